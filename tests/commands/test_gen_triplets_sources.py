"""`mota gen-triplets` end to end: every kind of source by every kind of generator that runs without weights."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llm_server import LLMServer, completion, good_text
from PIL import Image

from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.triplets.schema import read_triplets

CAPTIONS = ["a red car parked on a street", "two dogs on a sofa", "a wooden table with a lamp"]


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
    return [f"{number}.png" for number in range(3)]


def sidecars(folder: Path) -> str:
    for name, caption in zip(pictures(folder), CAPTIONS, strict=True):
        (folder / name).with_suffix(".txt").write_text(caption)
    return str(folder)


def table(delimiter: str, name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        names = pictures(folder)
        with (folder / name).open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([("image", "caption"), *zip(names, CAPTIONS, strict=True)])
        return str(folder / name)

    return make


def jsonl(folder: Path) -> str:
    rows = zip(pictures(folder), CAPTIONS, strict=True)
    lines = [json.dumps({"id": f"own{n}", "image": i, "caption": c}) for n, (i, c) in enumerate(rows)]
    (folder / "data.jsonl").write_text("\n".join(lines))
    return str(folder / "data.jsonl")


def parquet(folder: Path) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    columns = {"image": [{"bytes": png(n), "path": None} for n in range(3)], "caption": CAPTIONS}
    folder.mkdir()
    files.write_table(pyarrow.table(columns), folder / "data.parquet")
    return str(folder / "data.parquet")


def shards(folder: Path) -> str:
    folder.mkdir()
    for shard in range(3):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as archive:
            for ending, data in (("png", png(shard)), ("txt", CAPTIONS[shard].encode())):
                info = tarfile.TarInfo(f"{shard:05d}0000.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return str(folder / "{00000..00002}.tar")


def llava(folder: Path) -> str:
    names = pictures(folder / "images")
    entries = [
        {"id": name, "image": name, "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": text}]}
        for name, text in zip(names, CAPTIONS, strict=True)
    ]
    (folder / "chat.json").write_text(json.dumps(entries))
    return str(folder)


def saved(folder: Path) -> str:
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("pyarrow")
    rows = {"image": [f"{n}.png" for n in range(3)], "caption": CAPTIONS}
    datasets.Dataset.from_dict(rows).save_to_disk(folder)
    pictures(folder)
    return str(folder)


SOURCES = {
    "folder": sidecars,
    "csv": table(",", "data.csv"),
    "tsv": table("\t", "data.tsv"),
    "jsonl": jsonl,
    "parquet": parquet,
    "shards": shards,
    "llava": llava,
    "saved": saved,
}


def check(out: Path, generator: str) -> None:
    triplets = sorted(read_triplets(out), key=lambda triplet: triplet.reference_caption)
    assert [triplet.reference_caption for triplet in triplets] == sorted(CAPTIONS)
    assert {triplet.generator.name for triplet in triplets} == {generator}
    assert all(triplet.id == f"{triplet.source_id}#0" for triplet in triplets)
    assert all(triplet.target_caption != triplet.reference_caption for triplet in triplets)
    assert len({triplet.source_id for triplet in triplets}) == 3


@pytest.mark.parametrize("generator", ["rules", "llm", "mllm", "batch"])
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_by_every_generator(kind: str, generator: str, tmp_path: Path, host: PluginHost) -> None:
    data, out = SOURCES[kind](tmp_path / "data"), tmp_path / "t.jsonl"
    argv = ["gen-triplets", data, "-o", str(out), "--generator", generator]
    if generator == "rules":
        assert main(argv, host=host) == 0
    elif generator == "batch":
        assert main([*argv, "--llm-model", "m", "--export-requests", str(tmp_path / "r.jsonl")], host=host) == 0
        answer(tmp_path / "r.jsonl", tmp_path / "a.jsonl")
        assert main([*argv, "--llm-model", "m", "--import-answers", str(tmp_path / "a.jsonl")], host=host) == 0
    else:
        with LLMServer() as server:
            assert main([*argv, "--llm-url", server.url, "--llm-model", "m"], host=host) == 0
        kinds = {type(body["messages"][-1]["content"]) for body in server.bodies}
        assert kinds == {list if generator == "mllm" else str}
    check(out, generator)


def answer(requests: Path, answers: Path) -> None:
    """What a batch service makes of a file of requests."""
    found: list[dict[str, Any]] = []
    for line in requests.read_text().splitlines():
        request = json.loads(line)
        body = completion(good_text(request["body"], request["custom_id"]))
        found.append({"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}})
    answers.write_text("".join(json.dumps(record) + "\n" for record in reversed(found)))


def test_images_are_not_opened_where_nobody_looks_at_them(tmp_path: Path, host: PluginHost) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"image": f"{n}.png", "caption": c}) + "\n" for n, c in enumerate(CAPTIONS)))
    assert main(["gen-triplets", str(data), "-o", str(tmp_path / "t.jsonl")], host=host) == 0
    assert len(read_triplets(tmp_path / "t.jsonl")) == 3


def test_a_plugins_language_model_writes_too(tmp_path: Path) -> None:
    from types import ModuleType

    from motacli import ChatAnswer, ChatRequest, hookimpl, load_plugins

    class Parrot:
        name = model = "parrot"

        def complete(self, request: ChatRequest) -> ChatAnswer:
            return ChatAnswer(good_text({"messages": [{"content": request.user}]}, "polly"))

    module = ModuleType("birds")
    module.register_llm_clients = hookimpl(lambda register: register("parrot", Parrot))  # type: ignore[attr-defined]
    host = load_plugins(entry_points=[], modules={"birds": module})
    argv = ["gen-triplets", sidecars(tmp_path / "data"), "-o", str(tmp_path / "t.jsonl")]
    assert main([*argv, "--generator", "llm", "--llm", "parrot"], host=host) == 0
    check(tmp_path / "t.jsonl", "llm")
    assert {triplet.generator.model for triplet in read_triplets(tmp_path / "t.jsonl")} == {"parrot"}
