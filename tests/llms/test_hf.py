"""A language model in this process: a real one of transformers, as small as they get, with random weights."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motacli.cli import main
from motacli.contracts import ChatAnswer, ChatRequest, ImageRef, ImageText
from motacli.errors import DataError, MotaError, UsageError, first_line
from motacli.llms.asking import Asker, AskOptions
from motacli.llms.errors import LLMError
from motacli.llms.hf import HFChat, HFOptions
from motacli.plugins import PluginHost
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.schema import read_triplets, rejects_path

transformers = pytest.importorskip("transformers")

from small_llama import EOS, PAD, TEMPLATE, TURN, save_small_llama, writing  # noqa: E402

NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a language model with random weights."""
    return save_small_llama(tmp_path_factory.mktemp("language") / "model")


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    """A copy of the model to be damaged."""
    return Path(shutil.copytree(model, tmp_path / "copied"))


def client(folder: Path, **options: Any) -> HFChat:
    return HFChat(HFOptions(model=str(folder), **{"max_tokens": 12, "device": "cpu", **options}))


def request(number: int = 0, **values: Any) -> ChatRequest:
    return ChatRequest(f"k{number}", f"question {number} " * (number + 1), **{"system": "be brief", **values})


def answers(chat: HFChat, *asked: ChatRequest) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(chat.complete, asked), return_exceptions=True)

    return asyncio.run(all_of_them())


def text_of(answer: ChatAnswer | LLMError) -> str:
    return answer.text if isinstance(answer, ChatAnswer) else answer.raw


# ---------------------------------------------------------------------------------------------- for real


def test_a_network_of_random_weights_is_cut_off(model: Path) -> None:
    found = answers(client(model, temperature=0.0), request(0), request(3))
    assert [(one.reason, one.remedy) for one in found] == [("cut off", "ask again")] * 2
    assert all(len(one.raw) > 0 for one in found)


def test_greedy_answers_are_always_the_same(model: Path) -> None:
    chat = client(model, temperature=0.0)
    first = [text_of(one) for one in answers(chat, request(0), request(2))]
    again = [text_of(one) for one in answers(chat, request(0), request(2))]
    other = [text_of(one) for one in answers(client(model, temperature=0.0, seed=5), request(0), request(2))]
    assert first == again == other and first[0] != first[1]


def test_sampled_answers_depend_on_the_seed_and_on_how_often_they_were_asked_for(model: Path) -> None:
    chat = client(model, temperature=1.0)
    first, again = (text_of(answers(chat, request())[0]) for _ in range(2))
    assert first != again, "asking again would be in vain"
    anew = client(model, temperature=1.0)
    answers(anew, request(7))
    assert [text_of(answers(anew, request())[0]) for _ in range(2)] == [first, again]
    assert text_of(answers(client(model, temperature=1.0, seed=1), request())[0]) != first


def test_sampling_leaves_the_global_random_state_alone(model: Path) -> None:
    import torch

    before = torch.random.get_rng_state()
    answers(client(model, temperature=1.0), request())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_padding_does_not_change_a_greedy_answer(model: Path) -> None:
    chat = client(model, temperature=0.0)
    assert text_of(answers(chat, request(0), request(9))[0]) == text_of(answers(chat, request(0))[0])


def test_half_a_surrogate_pair_stops_nobody(model: Path) -> None:
    found = answers(client(model), ChatRequest("k", "a \ud800 dog"), request())
    assert all(isinstance(one, ChatAnswer | LLMError) for one in found)


def rows(count: int = 3) -> list[ImageText]:
    return [ImageText(ImageRef(f"{i}.jpg", Path(f"{i}.jpg")), f"a dog number {i}") for i in range(count)]


def test_nonsense_ends_as_rejections(model: Path, host: PluginHost, tmp_path: Path) -> None:
    llm = {"model": str(model), "max_tokens": 8, "device": "cpu"}
    generator = load_generator(host, "hf", {"llm": llm, "asking": {"attempts": 2}})
    with pytest.raises(DataError, match="no triplets: 3 rows were read"):
        generate(rows(), generator, tmp_path / "t.jsonl")
    refused = [json.loads(line) for line in rejects_path(tmp_path / "t.jsonl").read_text().splitlines()]
    assert {one["source_id"] for one in refused} == {"0.jpg", "1.jpg", "2.jpg"}
    assert {one["reason"] for one in refused} <= {"cut off", "not JSON"} and refused[0]["raw"]
    assert refused[0]["generator"]["name"] == "hf" and refused[0]["generator"]["model"] == str(model)


# ---------------------------------------------------------------------------------------------- with words put in


def test_good_answers_become_triplets(
    model: Path, host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(prompt: str) -> str:
        caption = json.loads(prompt.split("as a JSON string: ")[1].split("\n")[0])
        triplet = {"relative_caption": "make it blue", "target_caption": f"{caption}, in blue"}
        return json.dumps({"triplets": [{**triplet, "modification_type": "attribute"}]})

    calls = writing(monkeypatch, write)
    data, out = tmp_path / "data.jsonl", tmp_path / "t.jsonl"
    data.write_text(
        "".join(json.dumps({"image": f"{i}.jpg", "caption": f"ein Hund Nr. {i} ✓"}) + "\n" for i in range(5))
    )
    argv = ["gen-triplets", str(data), "--out", str(out), "--generator", "hf", "--llm-model", str(model), "--json"]
    assert main([*argv, "--llm-option", "batch_size=2", "--llm-option", "device=cpu"], host=host) == 0
    report = json.loads(capsys.readouterr().out)
    found = sorted(read_triplets(out), key=lambda one: one.id)
    assert [one.target_caption for one in found] == [f"ein Hund Nr. {i} ✓, in blue" for i in range(5)]
    assert [len(call["input_ids"]) for call in calls] == [2, 2, 1]
    length = len(write('as a JSON string: "ein Hund Nr. 0 ✓"\n'))
    assert (report["requests"], report["completion_tokens"]) == (5, 5 * length)
    assert report["prompt_tokens"] == sum(int(call["attention_mask"].sum()) for call in calls)
    assert report["options"]["llm"]["model"] == str(model) and "batch_size" not in report["options"]["llm"]


def test_what_is_asked_is_the_models_own_template(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    calls = writing(monkeypatch, lambda prompt: seen.append(prompt) or "yes")  # type: ignore[func-returns-value]
    found = answers(client(model, temperature=0.5, top_p=0.9), request(0), request(1, system=""))
    first = "<|system|>be brief\n<|user|>question 0 \n<|assistant|>"
    assert seen == [first, "<|user|>question 1 question 1 \n<|assistant|>"]
    assert found == [ChatAnswer("yes", len(first), 3), ChatAnswer("yes", len(seen[1]), 3)]
    (call,) = calls
    assert (call["do_sample"], call["temperature"], call["top_p"], call["max_new_tokens"]) == (True, 0.5, 0.9, 12)
    assert (call["pad_token_id"], call["eos_token_id"]) == (PAD, [EOS])
    assert call["input_ids"][0, 0] != PAD and call["input_ids"][1, 0] == PAD, "prompts are padded on the left"
    answers(client(model, temperature=0.0), request())
    assert calls[1]["do_sample"] is False and "temperature" not in calls[1]


def test_an_answer_ends_at_any_of_the_models_end_tokens(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [TURN, EOS]}))
    calls = writing(monkeypatch, lambda prompt: "yes", ends=[TURN, *range(5, 9)])
    assert [one.text for one in answers(client(copied), request())] == ["yes"]
    assert calls[0]["eos_token_id"] == [EOS, TURN]


def test_an_answer_that_ends_with_the_last_token_is_whole(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing(monkeypatch, lambda prompt: "12345678901")
    assert answers(client(model, max_tokens=12), request())[0].text == "12345678901"
    (cut,) = answers(client(model, max_tokens=11), request())
    assert (cut.reason, cut.remedy, cut.raw) == ("cut off", "ask again", "12345678901")


def test_a_padding_token_that_the_model_writes_ends_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing(monkeypatch, lambda prompt: "yes<pad>no")
    assert answers(client(model), request()) == [
        ChatAnswer("yesno", len("<|system|>be brief\n<|user|>question 0 \n<|assistant|>"), 6)
    ]


def test_a_template_without_a_system_gets_one_text(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "chat_template.jinja").write_text(NO_SYSTEM)
    seen: list[str] = []
    writing(monkeypatch, lambda prompt: seen.append(prompt) or "yes")  # type: ignore[func-returns-value]
    answers(client(copied), request())
    assert seen == ["<|user|>be brief\n\nquestion 0 \n<|assistant|>"]


def test_tokenizers_that_give_token_types_are_no_problem(copied: Path) -> None:
    path = copied / "tokenizer_config.json"
    names = ["input_ids", "token_type_ids", "attention_mask"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_input_names": names}))
    assert "token_type_ids" in transformers.AutoTokenizer.from_pretrained(copied)("a")
    assert answers(client(copied), request())[0].reason == "cut off"


def test_a_tokenizer_without_padding_pads_with_an_end(copied: Path) -> None:
    path = copied / "tokenizer_config.json"
    known = {key: value for key, value in json.loads(path.read_text()).items() if key != "pad_token"}
    path.write_text(json.dumps(known))
    assert transformers.AutoTokenizer.from_pretrained(copied).pad_token is None
    assert len(answers(client(copied), request(0), request(3))) == 2


# ---------------------------------------------------------------------------------------------- what cannot be used


def pickled(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def with_code(folder: Path) -> None:
    """A model that comes with code, which would leave a file behind if it were run."""
    config = json.loads((folder / "config.json").read_text())
    code = {"auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}, "model_type": "own"}
    (folder / "config.json").write_text(json.dumps(config | code))
    (folder / "own.py").write_text(f"open({str(folder / 'was run')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")


def larger(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))


def without_ends(folder: Path) -> None:
    for name, key in (
        ("tokenizer_config", "eos_token"),
        ("config", "eos_token_id"),
        ("generation_config", "eos_token_id"),
    ):
        path = folder / f"{name}.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": None}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ raise_exception('never') }}"), "fails: never"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"), "chat template fails"),
        (shutil.rmtree, "cannot load the language model"),
        (pickled, "no file named model.safetensors"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"no weights" * 9),
            "cannot load the language model",
        ),
        (larger, "cannot load the language model"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a valid JSON file"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"a": 1}'), "cannot load the language model"),
        (with_code, "contains custom code"),
        (without_ends, "no token that ends an answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_what_cannot_be_used_is_said_once(damage: Callable[[Path], Any], said: str, copied: Path) -> None:
    damage(copied)
    for one in answers(client(copied), request(0), request(1)):
        assert type(one) is MotaError and said in one.message and "\n" not in one.message
    assert not (copied / "was run").exists()


def test_an_unusable_model_ends_the_command(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"image": f"{i}.jpg", "caption": f"a dog {i}"}) + "\n" for i in range(100)))
    argv = ["gen-triplets", str(data), "--out", str(tmp_path / "t.jsonl"), "--generator", "hf"]
    assert main([*argv, "--llm-model", str(tmp_path / "missing")], host=host) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and f"error: cannot load the language model {tmp_path / 'missing'}" in captured.err
    assert "never retrieved" not in captured.err and "pending" not in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_a_device_that_is_not_there_is_a_mistake(model: Path) -> None:
    (one,) = answers(client(model, device="gpu7"), request())
    assert isinstance(one, UsageError) and "device 'gpu7' cannot be used" in one.message


def test_without_transformers_the_extra_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    (one,) = answers(client(model), request())
    assert isinstance(one, UsageError) and "mota[hf]" in one.hint


def test_it_shows_no_pictures(model: Path) -> None:
    (one,) = answers(client(model), request(image=ImageRef("x", Path("x.png"))))
    assert (one.reason, one.remedy) == ("unreadable picture", "give up")


@pytest.mark.parametrize(
    "values",
    [
        {"batch_size": 0},
        {"max_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
    ],
)
def test_options_that_nothing_can_sample_with_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        HFOptions(model="m", **values)


def test_an_asker_asks_a_model_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(["first", "second"])
    writing(monkeypatch, lambda prompt: next(texts))

    def read(text: str) -> str:
        if text == "first":
            raise LLMError("not JSON", remedy="ask again")
        return text

    async def ask() -> Any:
        return await Asker(client(model), AskOptions(backoff=0.0)).ask(request(), read)

    asked = asyncio.run(ask())
    assert (asked.value, asked.requests) == ("second", 2)


def test_only_the_first_line_of_an_error_is_shown() -> None:
    assert first_line(OSError("\n first\nsecond")) == "first" and first_line(OSError()) == "OSError"
