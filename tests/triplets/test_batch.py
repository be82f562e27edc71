"""Requests out to a batch service as a file, and its answers in again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llm_server import completion, good_text, user_text, written
from PIL import Image

from motacli.cli import main
from motacli.contracts import ImageRef, ImageText
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.triplets import batch
from motacli.triplets.batch import Exported, export_requests
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.schema import read_triplets, rejects_path


def rows(count: int = 4) -> list[ImageText]:
    return [ImageText(ImageRef(f"{i}.jpg", Path(f"{i}.jpg")), f"a dog number {i}") for i in range(count)]


def made(host: PluginHost, *answers: Path, name: str = "batch", **options: Any) -> Any:
    values = {"llm": {"model": "m", **options.pop("llm", {})}, **options}
    return load_generator(host, name, values | ({"answers": [str(path) for path in answers]} if answers else {}))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def caption_of(request: dict[str, Any]) -> str:
    text = user_text(request["body"])
    return str(json.loads(text.split("as a JSON string: ")[1].split("\n")[0]))


def answer(request: dict[str, Any], text: str | None = None, status: int = 200, finish: str = "stop") -> dict[str, Any]:
    """What a batch service answers to a request; what the tests' server writes unless ``text`` is given."""
    body = completion(good_text(request["body"], caption_of(request)) if text is None else text, finish)
    response = {
        "status_code": status,
        "request_id": "r",
        "body": body if status == 200 else {"error": {"message": "no"}},
    }
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None}


def write(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture
def requests(host: PluginHost, tmp_path: Path) -> list[dict[str, Any]]:
    """The requests of `rows`."""
    export_requests(rows(), made(host), tmp_path / "requests.jsonl")
    return lines(tmp_path / "requests.jsonl")


def rejections(out: Path) -> dict[str, dict[str, Any]]:
    return {record["source_id"]: record for record in lines(rejects_path(out))}


# ---------------------------------------------------------------------------------------------- export


def test_each_row_is_a_line_of_openai_batch_form(host: PluginHost, tmp_path: Path) -> None:
    generator = made(host, per_image=2, llm={"temperature": 0.5, "extra": '{"seed": 7}'})
    done = export_requests(rows(), generator, tmp_path / "sub" / "requests.jsonl")
    assert done == Exported((tmp_path / "sub" / "requests.jsonl",), 4, 0)
    found = lines(done.files[0])
    assert [set(line) for line in found] == [{"custom_id", "method", "url", "body"}] * 4
    assert {(line["method"], line["url"]) for line in found} == {("POST", "/v1/chat/completions")}
    assert len({line["custom_id"] for line in found}) == 4 and all(len(line["custom_id"]) <= 64 for line in found)
    assert [caption_of(line) for line in found] == [row.caption for row in rows()]
    body = found[0]["body"]
    assert (body["model"], body["temperature"], body["seed"]) == ("m", 0.5, 7)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["triplets"]["maxItems"] == 2
    assert [path.name for path in done.files[0].parent.iterdir()] == ["requests.jsonl"]


def test_captions_of_any_kind_are_one_line(host: PluginHost, tmp_path: Path) -> None:
    captions = ['a "dog"\nnext', "çà 犬 \u2028\x85", "\x00"]
    texts = [ImageText(ImageRef(f"{i}", Path("x")), caption) for i, caption in enumerate(captions)]
    export_requests(texts, made(host), tmp_path / "r.jsonl")
    data = (tmp_path / "r.jsonl").read_bytes()
    assert data.count(b"\n") == 3
    assert [caption_of(json.loads(line)) for line in data.split(b"\n")[:-1]] == captions


def test_a_picture_with_several_captions_has_several_requests(host: PluginHost, tmp_path: Path) -> None:
    several = [ImageText(ImageRef("1.jpg", Path("1.jpg")), caption) for caption in ("a dog", "a cat", "a dog")]
    export_requests(several, made(host), tmp_path / "r.jsonl")
    found = lines(tmp_path / "r.jsonl")
    assert len({line["custom_id"] for line in found}) == 3
    answers = write(tmp_path / "a.jsonl", [answer(line) for line in found])
    report = generate(several, made(host, answers), tmp_path / "t.jsonl")
    assert (report.triplets, report.rejected) == (3, {})
    assert [one.id for one in read_triplets(tmp_path / "t.jsonl")] == ["1.jpg#0", "1.jpg~2#0", "1.jpg~3#0"]


def test_what_is_too_much_for_a_file_goes_to_the_next(
    host: PluginHost, tmp_path: Path, requests: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 2)
    done = export_requests(rows(5), made(host), tmp_path / "a.jsonl")
    assert [path.name for path in done.files] == ["a.jsonl", "a.2.jsonl", "a.3.jsonl"] and done.requests == 5
    assert [len(lines(path)) for path in done.files] == [2, 2, 1]
    assert [line for path in done.files for line in lines(path)][:4] == requests
    monkeypatch.setattr(batch, "MOST_REQUESTS", 50_000)
    size = (tmp_path / "requests.jsonl").stat().st_size
    monkeypatch.setattr(batch, "MOST_BYTES", size - 1)
    done = export_requests(rows(), made(host), tmp_path / "b.jsonl")
    assert [len(lines(path)) for path in done.files] == [3, 1]
    monkeypatch.setattr(batch, "MOST_BYTES", size)
    assert len(export_requests(rows(), made(host), tmp_path / "c.jsonl").files) == 1


def test_a_request_larger_than_a_file_is_an_error(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST_BYTES", 100)
    with pytest.raises(MotaError, match="a request is larger than a batch may be"):
        export_requests(rows(), made(host), tmp_path / "a.jsonl")
    assert not (tmp_path / "a.jsonl").exists()


def test_nothing_is_overwritten(host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    with pytest.raises(MotaError, match="exists already"):
        export_requests(rows(1), made(host), tmp_path / "requests.jsonl")
    assert lines(tmp_path / "requests.jsonl") == requests


def test_rows_without_a_picture_are_counted_and_left_out(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 1)
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    texts = [ImageText(ImageRef(f"{i}.png", tmp_path / f"{i}.png"), "a dog") for i in range(4)]
    generator = made(host, name="mllm", llm={"url": "http://localhost:1/v1"})
    done = export_requests(texts, generator, tmp_path / "r.jsonl")
    assert done == Exported((tmp_path / "r.jsonl",), 1, 3)
    picture, _ = lines(tmp_path / "r.jsonl")[0]["body"]["messages"][1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    with pytest.raises(DataError, match=r"no request can be made: .*0\.png"):
        export_requests(texts[:1], generator, tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()


def test_no_rows_are_an_error(host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        export_requests([], made(host), tmp_path / "r.jsonl")


def test_only_requests_of_http_clients_can_be_exported(host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="requests of client 'hf' cannot be exported"):
        export_requests(rows(), made(host, name="hf"), tmp_path / "r.jsonl")


# ---------------------------------------------------------------------------------------------- import


def test_answers_become_triplets_in_the_order_of_the_rows(
    host: PluginHost, tmp_path: Path, requests: list[Any]
) -> None:
    answers = write(tmp_path / "a.jsonl", [answer(request) for request in reversed(requests)])
    report = generate(rows(), made(host, answers), tmp_path / "t.jsonl")
    found = read_triplets(tmp_path / "t.jsonl")
    assert [one.source_id for one in found] == [row.id for row in rows()]
    assert [one.target_caption for one in found] == [written(row.caption)["target_caption"] for row in rows()]
    assert {(one.generator.name, one.generator.model) for one in found} == {("batch", "m")}
    assert (report.requests, report.prompt_tokens, report.completion_tokens) == (4, 400, 40)


def test_each_row_that_has_no_good_answer_is_rejected(host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    good, refused, nonsense, cut = requests
    expired = {"custom_id": "of another batch", "response": None, "error": {"code": "batch_expired"}}
    records = [
        answer(good),
        answer(refused, status=400),
        answer(nonsense, "make it red"),
        answer(cut, "{", finish="length"),
    ]
    answers = write(tmp_path / "a.jsonl", [*records, expired])
    report = generate(rows(5), made(host, answers), tmp_path / "t.jsonl")
    assert (report.rows, report.triplets, report.empty_rows) == (5, 1, 4)
    assert report.rejected == {"refused by the batch": 1, "not JSON": 1, "cut off": 1, "no answer": 1}
    found = rejections(tmp_path / "t.jsonl")
    assert found["1.jpg"]["detail"] == "status 400" and '"no"' in found["1.jpg"]["raw"]
    assert found["2.jpg"]["raw"] == "make it red" and found["4.jpg"]["reason"] == "no answer"
    # The row without an answer cost nothing, nonsense as much as sense.
    assert (report.requests, report.prompt_tokens) == (4, 200)


@pytest.mark.parametrize("body", [None, {}, [], "text", {"choices": []}, {"choices": [{"message": "x"}]}, 3])
def test_a_body_of_another_form_is_a_rejection(
    body: Any, host: PluginHost, tmp_path: Path, requests: list[Any]
) -> None:
    broken = {"custom_id": requests[1]["custom_id"], "response": {"status_code": 200, "body": body}}
    answers = write(tmp_path / "a.jsonl", [answer(requests[0]), broken])
    report = generate(rows(2), made(host, answers), tmp_path / "t.jsonl")
    assert report.triplets == 1 and report.rejected == {"empty response": 1}


def test_a_second_batch_mends_the_first(host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    error = {
        "custom_id": requests[1]["custom_id"],
        "response": None,
        "error": {"code": "batch_expired", "message": "late"},
    }
    output = write(tmp_path / "output.jsonl", [answer(requests[0]), answer(requests[2], "not good")])
    errors = write(tmp_path / "errors.jsonl", [error, answer(requests[3], status=500)])
    report = generate(rows(), made(host, output, errors), tmp_path / "one.jsonl")
    assert report.triplets == 1 and report.rejected == {"refused by the batch": 2, "not JSON": 1}
    assert "batch_expired" in rejections(tmp_path / "one.jsonl")["1.jpg"]["raw"]
    again = [answer(requests[0], status=500), answer(requests[1]), answer(requests[2])]
    second = write(tmp_path / "second.jsonl", again)
    report = generate(rows(), made(host, output, errors, second), tmp_path / "two.jsonl")
    assert report.triplets == 3 and report.rejected == {"refused by the batch": 1}
    # In whatever order the files are named, an error does not undo an answer.
    report = generate(rows(2), made(host, second, output, errors), tmp_path / "three.jsonl")
    assert report.triplets == 2


@pytest.mark.parametrize("options", [{"per_image": 2}, {"seed": 1}, {"context": "keep"}, {"spread": False}])
def test_answers_to_other_options_are_no_answers(
    options: dict[str, Any], host: PluginHost, tmp_path: Path, requests: list[Any]
) -> None:
    answers = write(tmp_path / "a.jsonl", [answer(request) for request in requests])
    with pytest.raises(DataError, match="4 refusals were for 'no answer'"):
        generate(rows(), made(host, answers, **options), tmp_path / "t.jsonl")


def test_answers_to_other_captions_are_no_answers(host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    answers = write(tmp_path / "a.jsonl", [answer(request) for request in requests])
    changed = [rows()[0], ImageText(rows()[1].image, "a cat")]
    report = generate(changed, made(host, answers), tmp_path / "t.jsonl")
    assert report.triplets == 1 and report.rejected == {"no answer": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"custom_id": "x", "resp', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "no 'custom_id'"),
        (b'{"id": "x"}', "no 'custom_id'"),
        (b'{"custom_id": 3}', "no 'custom_id'"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, said: str, host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(answer(requests[0])).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(DataError, match=said) as caught:
        generate(rows(), made(host, path), tmp_path / "t.jsonl")
    assert caught.value.message.startswith(f"{path}:3: ") and not (tmp_path / "t.jsonl").exists()


def test_blank_lines_and_other_line_ends_are_no_damage(host: PluginHost, tmp_path: Path, requests: list[Any]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes("\r\n".join(["", *(json.dumps(answer(request)) for request in requests), ""]).encode())
    path.write_bytes(path.read_bytes() + json.dumps({"custom_id": "é"}, ensure_ascii=False).encode())
    assert generate(rows(), made(host, path), tmp_path / "t.jsonl").triplets == 4


def test_pictures_go_along_where_they_are_wanted(host: PluginHost, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "0.png")
    here = [ImageText(ImageRef(f"{i}.png", tmp_path / f"{i}.png"), f"thing {i}") for i in range(2)]
    options = {"pictures": True, "recaption": True}
    done = export_requests(here, made(host, **options), tmp_path / "r.jsonl")
    (request,) = lines(tmp_path / "r.jsonl")
    assert (done.requests, done.refused) == (1, 1)
    assert request["body"]["messages"][-1]["content"][0]["type"] == "image_url"
    answers = write(tmp_path / "a.jsonl", [answer(request)])
    report = generate(here, made(host, answers, **options), tmp_path / "t.jsonl")
    assert report.rejected == {"no answer": 1} and read_triplets(tmp_path / "t.jsonl")[0].reference_caption


def test_no_files_of_answers_are_a_mistake(host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="asks nobody") as caught:
        generate(rows(), made(host), tmp_path / "t.jsonl")
    assert "--export-requests" in caught.value.hint
    with pytest.raises(DataError, match="no such file of answers"):
        generate(rows(), made(host, tmp_path / "missing.jsonl"), tmp_path / "t.jsonl")


# ---------------------------------------------------------------------------------------------- the command


def test_the_whole_way_through_the_command(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marked")
    data, exported, out = tmp_path / "data.jsonl", tmp_path / "requests.jsonl", tmp_path / "t.jsonl"
    write(data, [{"image": f"{i // 2}.jpg", "caption": f"a dog number {i}"} for i in range(5)])
    argv = ["gen-triplets", str(data), "--out", str(out), "--generator", "batch", "--llm-model", "m"]
    argv += ["--per-image", "2", "--seed", "3"]
    assert main([*argv, "--limit", "4", "--export-requests", str(exported)], host=host) == 0
    asked = lines(exported)
    assert len(asked) == 4 and not out.exists() and "4" in capsys.readouterr().out
    assert "sk-marked" not in exported.read_text()
    output = write(tmp_path / "out.jsonl", [answer(request) for request in asked[:3]])
    errors = write(tmp_path / "errors.jsonl", [answer(asked[3], status=429)])
    given = ["--import-answers", str(output), "--import-answers", str(errors)]
    assert main([*argv, *given, "--json"], host=host) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["triplets"], report["empty_rows"]) == (5, 6, 2)
    assert report["rejected"] == {"refused by the batch": 1, "no answer": 1}
    assert report["options"]["answers"] == [str(output), str(errors)] and report["seed"] == 3
    captions = [one.reference_caption for one in read_triplets(out)]
    assert captions == [f"a dog number {i}" for i in range(3) for _ in range(2)]
    assert main([*argv, *given, "--json"], host=host) == 0
    assert json.loads(capsys.readouterr().out) == report


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "asks nobody"),
        (["--generator", "rules", "--export-requests", "r.jsonl"], "makes no requests"),
        (["--import-answers", "missing.jsonl"], "no such file of answers"),
        (["--recaption"], "sees no picture"),
    ],
)
def test_mistakes_on_the_command_line(
    flags: list[str], said: str, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data.jsonl", [{"image": "1.jpg", "caption": "a dog"}])
    argv = ["gen-triplets", str(data), "--out", str(tmp_path / "t.jsonl"), "--generator", "batch"]
    client = [] if "rules" in flags else ["--llm-model", "m"]
    assert main([*argv, *client, *flags], host=host) in (1, 2)
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == "" and not (tmp_path / "t.jsonl").exists()
