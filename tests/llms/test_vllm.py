"""The calls made of vLLM, against a stand-in of its interface.

vLLM needs a GPU and is not installed where these tests are written. The stand-in has the signatures of vLLM 0.11.0,
read from its source: ``LLM.__init__``, ``LLM.chat``, ``SamplingParams``, ``StructuredOutputsParams`` and the outputs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from llm_server import good_text
from PIL import Image

from motacli.contracts import ChatAnswer, ChatRequest, ImageRef, ImageText
from motacli.errors import MotaError, UsageError
from motacli.llms.errors import LLMError
from motacli.llms.vllm import VLLMChat, VLLMOptions
from motacli.plugins import PluginHost
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.schema import read_triplets

SCHEMA = {"type": "object", "properties": {}}


@dataclass
class StructuredOutputsParams:
    json: str | dict[str, Any] | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in vars(self).values()) != 1:
            raise ValueError("You can only use one kind of structured outputs constraint")


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 16
    structured_outputs: StructuredOutputsParams | None = None


class LLM:
    """Answers by ``write``; refuses, as vLLM does, prompts that are too long.

    What was accepted before a refused prompt stays in the engine and comes out with the next call, first.
    """

    made: list[LLM]

    def __init__(
        self, model: str, *, seed: int | None = None, enforce_eager: bool = False, max_model_len: int = 2**20
    ) -> None:
        if model == "missing":
            raise OSError("missing is not a local folder\nand so on")
        self.model, self.seed, self.enforce_eager, self.max_model_len = model, seed, enforce_eager, max_model_len
        self.calls: list[Any] = []
        self.waiting: list[Any] = []
        self.write = lambda conversation: conversation[-1]["content"]
        self.finish = "stop"
        LLM.made.append(self)

    def chat(
        self,
        messages: list[list[dict[str, Any]]],
        sampling_params: SamplingParams | list[SamplingParams] | None = None,
        use_tqdm: bool = True,
    ) -> list[Any]:
        assert isinstance(sampling_params, list) and len(sampling_params) == len(messages) > 0 and use_tqdm is False
        self.calls.append((messages, sampling_params))
        for conversation in messages:
            if len(str(conversation)) > self.max_model_len:
                raise ValueError("The decoder prompt is longer than the maximum model length\nMake sure that ...")
            self.waiting.append(conversation)
        done, self.waiting = self.waiting, []
        return [self.output(conversation) for conversation in done]

    def output(self, conversation: list[dict[str, Any]]) -> Any:
        text = self.write(conversation)
        best = SimpleNamespace(index=0, text=text, token_ids=list(range(len(text))), finish_reason=self.finish)
        return SimpleNamespace(request_id="0", prompt_token_ids=[1, 2, 3], outputs=[best], finished=True)


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, as far as `motacli.llms.vllm` may import it."""
    package: Any = ModuleType("vllm")
    package.__path__ = []
    package.sampling_params = ModuleType("vllm.sampling_params")
    package.sampling_params.StructuredOutputsParams = StructuredOutputsParams
    package.LLM, package.SamplingParams = LLM, SamplingParams
    monkeypatch.setattr(LLM, "made", [], raising=False)
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", package.sampling_params)
    return package


def client(**options: Any) -> VLLMChat:
    return VLLMChat(VLLMOptions(**{"model": "m", **options}))


def request(number: int = 0, **values: Any) -> ChatRequest:
    return ChatRequest(f"k{number}", f"question {number}", **{"system": "be brief", "schema": SCHEMA, **values})


def answers(chat: VLLMChat, asked: Sequence[ChatRequest]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(chat.complete, asked), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_conversations_go_to_one_engine_in_batches() -> None:
    chat = client(batch_size=2, seed=4, engine='{"enforce_eager": true}')
    found = answers(chat, [request(i) for i in range(3)])
    assert found == [ChatAnswer(f"question {i}", 3, 10) for i in range(3)]
    (engine,) = LLM.made
    assert (engine.model, engine.seed, engine.enforce_eager) == ("m", 4, True)
    assert [len(messages) for messages, _ in engine.calls] == [2, 1]
    system, user = engine.calls[0][0][1]
    assert system == {"role": "system", "content": "be brief"} and user == {"role": "user", "content": "question 1"}


def test_answers_are_held_to_the_schema() -> None:
    answers(client(temperature=0.2, top_p=0.8, max_tokens=9), [request(0), request(1, schema=None)])
    with_schema, without = LLM.made[0].calls[0][1]
    expected = {"temperature": 0.2, "top_p": 0.8, "max_tokens": 9}
    assert with_schema == SamplingParams(**expected, structured_outputs=StructuredOutputsParams(json=SCHEMA))
    assert without == SamplingParams(**expected) and with_schema.seed is None


def test_versions_that_know_no_schema_are_asked_without(vllm: Any) -> None:
    del vllm.sampling_params.StructuredOutputsParams
    assert answers(client(), [request()]) == [ChatAnswer("question 0", 3, 10)]
    assert LLM.made[0].calls[0][1][0].structured_outputs is None


def test_pictures_are_shown_and_a_missing_one_is_only_its_own_rows_affair(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    seen = request(0, image=ImageRef("x", tmp_path / "x.png"))
    gone = request(1, image=ImageRef("y", tmp_path / "gone.png"))
    chat = client()
    found = answers(chat, [gone, seen, request(2)])
    assert isinstance(found[0], LLMError) and (found[0].reason, found[0].remedy) == ("unreadable picture", "give up")
    assert found[2] == ChatAnswer("question 2", 3, 10)
    picture, text = LLM.made[0].calls[0][0][0][1]["content"]
    assert picture["type"] == "image_url" and picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "question 0"}
    (alone,) = answers(chat, [gone])
    assert isinstance(alone, LLMError) and len(LLM.made[0].calls) == 1


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    chat = client()
    answers(chat, [request()])
    LLM.made[0].finish = "length"
    (found,) = answers(chat, [request()])
    assert (found.reason, found.remedy, found.raw) == ("cut off", "ask again", "question 0")


def test_a_request_that_vllm_refuses_does_not_cost_the_others_theirs() -> None:
    chat = client(engine='{"max_model_len": 200}')
    asked = [request(0), request(1), ChatRequest("long", "x" * 300), request(3)]
    found = answers(chat, asked)
    assert [found[i] for i in (0, 1, 3)] == [ChatAnswer(f"question {i}", 3, 10) for i in (0, 1, 3)]
    assert (found[2].reason, found[2].remedy) == ("refused by vLLM", "give up")
    assert found[2].detail == "The decoder prompt is longer than the maximum model length"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "missing"}, "vLLM cannot load missing: missing is not a local folder"),
        ({"engine": '{"no_such_argument": 1}'}, "no_such_argument"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_said(options: dict[str, Any], said: str) -> None:
    (found,) = answers(client(**options), [request()])
    assert type(found) is MotaError and said in found.message


def test_without_vllm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    (found,) = answers(client(), [request()])
    assert isinstance(found, UsageError) and "mota[vllm]" in found.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"engine": "{"}, "engine is not valid JSON"),
        ({"engine": "[]"}, "engine must be a JSON object"),
        ({"engine": '{"model": "x"}'}, "engine must not name model"),
        ({"engine": '{"seed": 3}'}, "engine must not name seed"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_mistakes_in_options_are_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VLLMOptions(model="m", **values)


def test_the_generator_asks_for_many_at_once(host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: LLM, conversation: list[dict[str, Any]]) -> Any:
        caption = json.loads(conversation[-1]["content"].split("as a JSON string: ")[1].split("\n")[0])
        self.write = lambda messages: good_text({"messages": messages}, caption)  # type: ignore[method-assign]
        return output(self, conversation)

    output = LLM.output
    monkeypatch.setattr(LLM, "output", write)
    generator: Any = load_generator(host, "vllm", {"llm": {"model": "m"}, "per_image": 2})
    rows = [ImageText(ImageRef(f"{i}.jpg", Path(f"{i}.jpg")), f"a dog number {i}") for i in range(600)]
    report = generate(rows, generator, tmp_path / "t.jsonl")
    assert (report.triplets, report.rejected, report.requests) == (1200, {}, 600)
    found = read_triplets(tmp_path / "t.jsonl")
    assert all(one.target_caption.startswith(f"{one.reference_caption}, number") for one in found)
    assert {(one.generator.name, one.generator.model) for one in found} == {("vllm", "m")}
    sizes = [len(messages) for messages, _ in LLM.made[0].calls]
    assert sum(sizes) == 600 and sizes[0] == 256
    parameters = LLM.made[0].calls[0][1][0]
    assert parameters.structured_outputs.json["properties"]["triplets"]["maxItems"] == 2
