"""A language model run in this process by vLLM, offline and in large batches (extra ``mota[vllm]``, a GPU)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError, UsageError, first_line
from motacli.extras import needed
from motacli.llms.batching import Answered, Batcher
from motacli.llms.errors import LLMError
from motacli.llms.hf import check_sampling
from motacli.llms.openai import extra_fields, messages


@dataclass(frozen=True)
class VLLMOptions:
    """Which model and how it samples. ``engine`` is a JSON object of further arguments of ``vllm.LLM``.

    ``tensor_parallel_size`` is how many GPUs of this process share the model.
    ``batch_size`` requests are handed over at once; vLLM schedules them on its own.
    """

    model: str = ""
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    engine: str = ""
    batch_size: int = field(default=256, metadata={"identity": False})
    tensor_parallel_size: int = field(default=1, metadata={"identity": False})

    def __post_init__(self) -> None:
        check_sampling(self)
        try:
            arguments = extra_fields(self.engine)
        except ValueError as error:
            raise ValueError(str(error).replace("extra", "engine", 1)) from error
        if self.tensor_parallel_size < 1:
            raise ValueError("tensor_parallel_size must be positive")
        own = {"model", "seed"} | ({"tensor_parallel_size"} if self.tensor_parallel_size > 1 else set())
        if own := own & set(arguments):
            raise ValueError(f"engine must not name {' and '.join(sorted(own))}, which are options of their own")

    def arguments(self) -> dict[str, Any]:
        """The further arguments of ``vllm.LLM``."""
        size = self.tensor_parallel_size
        return {**({"tensor_parallel_size": size} if size > 1 else {}), **extra_fields(self.engine)}


class VLLMChat:
    """A client that generates in batches, held to the answer's JSON schema; it shows pictures to models that see."""

    name = "vllm"
    in_process = True
    Options = VLLMOptions

    def __init__(self, options: VLLMOptions) -> None:
        if not options.model:
            raise UsageError("which language model?", "give --llm-model, an id on the Hugging Face hub or a folder")
        self.options = options
        self.model = options.model
        self._batcher = Batcher(self._run, options.batch_size)
        self._engine: Any = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask once. Raises `LLMError`."""
        return await self._batcher.complete(request)

    async def close(self) -> None:
        """Begin no further batch."""
        await self._batcher.close()

    def _load(self, vllm: Any) -> None:
        if self._engine is None:
            try:
                self._engine = vllm.LLM(model=self.model, seed=self.options.seed, **self.options.arguments())
            except (OSError, ValueError, RuntimeError, TypeError) as error:  # the last for unknown arguments
                raise MotaError(f"vLLM cannot load {self.model}: {first_line(error)}") from error

    def _run(self, requests: Sequence[ChatRequest]) -> list[Answered]:
        vllm = _vllm()
        self._load(vllm)
        answers: list[Answered | None] = [None] * len(requests)
        asked: list[int] = []
        chats = []
        for place, request in enumerate(requests):
            try:
                chats.append(messages(request))
                asked.append(place)
            except LLMError as error:
                answers[place] = error
        parameters = [self._sampling(vllm, requests[place].schema) for place in asked]
        for place, answer in zip(asked, self._chat(chats, parameters), strict=True):
            answers[place] = answer
        return [answer for answer in answers if answer is not None]

    def _chat(self, chats: list[Any], parameters: list[Any]) -> list[Answered]:
        """Answers to conversations; where vLLM refuses some, such as too long ones, they are asked about one by one."""
        if not chats:
            return []
        try:
            outputs = self._engine.chat(chats, sampling_params=parameters, use_tqdm=False)
        except ValueError as error:
            if len(chats) == 1:
                return [LLMError("refused by vLLM", first_line(error), remedy="give up")]
            return [self._chat([chat], [one])[0] for chat, one in zip(chats, parameters, strict=True)]
        # Sorted by request; before them come those that were accepted ahead of a refused one.
        return [_answer(output) for output in outputs[-len(chats) :]]

    def _sampling(self, vllm: Any, schema: Mapping[str, Any] | None) -> Any:
        values: dict[str, Any] = {
            "temperature": self.options.temperature,
            "top_p": self.options.top_p,
            "max_tokens": self.options.max_tokens,
        }
        form = getattr(vllm.sampling_params, "StructuredOutputsParams", None)
        if schema is not None and form is not None:  # vLLM 0.11 and later
            values["structured_outputs"] = form(json=dict(schema))
        return vllm.SamplingParams(**values)


def _vllm() -> Any:
    needed("vllm.sampling_params", "vllm", "generator vllm")
    return needed("vllm", "vllm", "generator vllm")


def _answer(output: Any) -> Answered:
    best = output.outputs[0]
    if best.finish_reason == "length":
        return LLMError("cut off", "the answer ran past max_tokens", remedy="ask again", raw=best.text)
    return ChatAnswer(best.text, len(output.prompt_token_ids or ()), len(best.token_ids))
