"""A causal language model from Hugging Face, run in this process with transformers (extra ``mota[hf]``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, Protocol

import torch

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError, UsageError, first_line
from motacli.extras import needed
from motacli.llms.batching import Answered, Batcher
from motacli.llms.errors import LLMError
from motacli.models import resolve_device

_REMEMBERED = 10_000
"""How many requests are known again."""


class Sampling(Protocol):
    """What the options of models that run in this process have in common."""

    @property
    def temperature(self) -> float: ...

    @property
    def top_p(self) -> float: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def batch_size(self) -> int: ...


def check_sampling(options: Sampling) -> None:
    """Raise `ValueError` for options that no model can sample with."""
    if options.batch_size < 1 or options.max_tokens < 1:
        raise ValueError("batch_size and max_tokens must be positive")
    if not options.temperature >= 0 or not 0 < options.top_p <= 1:
        raise ValueError("temperature must not be negative, and top_p lie above 0 and up to 1")


@dataclass(frozen=True)
class HFOptions:
    """Which model and how it samples: ``model`` is an id or a local folder whose tokenizer has a chat template.

    ``temperature`` 0 decodes greedily. ``dtype`` ``auto`` is what the weights are stored in.
    """

    model: str = ""
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    seed: int = 0
    batch_size: int = field(default=8, metadata={"identity": False})
    device: str = field(default="auto", metadata={"identity": False})

    def __post_init__(self) -> None:
        check_sampling(self)


class HFChat:
    """A client that generates in batches; the model is loaded with the first request.

    Weights are read as safetensors only, and no code that comes with a model is run. An answer depends on the requests
    that it shares a batch with, and on how often it was asked for.
    """

    name = "hf"
    in_process = True
    Options = HFOptions

    def __init__(self, options: HFOptions) -> None:
        if not options.model:
            raise UsageError("which language model?", "give --llm-model, an id on the Hugging Face hub or a folder")
        self.options = options
        self.model = options.model
        self._batcher = Batcher(self._run, options.batch_size)
        self._loaded: _Loaded | None = None
        self._asked: Counter[str] = Counter()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask once. Raises `LLMError`."""
        if request.image is not None:
            raise LLMError("unreadable picture", "this client shows a model no pictures", remedy="give up")
        return await self._batcher.complete(request)

    async def close(self) -> None:
        """Begin no further batch."""
        await self._batcher.close()

    def _run(self, requests: Sequence[ChatRequest]) -> list[Answered]:
        if self._loaded is None:
            self._loaded = _load(self.options)
        tokenizer, model, ends = self._loaded.tokenizer, self._loaded.model, self._loaded.ends
        texts = [self._loaded.prompt(request) for request in requests]
        encoded = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        # Some tokenizers give more than that, such as token types, which `generate` refuses.
        inputs = {name: encoded[name].to(model.device) for name in ("input_ids", "attention_mask")}
        sampling: dict[str, Any] = {"do_sample": False}
        if self.options.temperature:
            sampling = {"do_sample": True, "temperature": self.options.temperature, "top_p": self.options.top_p}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(self._seed(requests, texts))
            output = model.generate(
                **inputs,
                max_new_tokens=self.options.max_tokens,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=list(ends),
                **sampling,
            )
        start = inputs["input_ids"].shape[1]
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [self._answer(row[start:].tolist(), length) for row, length in zip(output, lengths, strict=True)]

    def _answer(self, ids: list[int], prompt_tokens: int) -> Answered:
        assert self._loaded is not None
        length = next((place for place, token in enumerate(ids) if token in self._loaded.ends), None)
        text: str = self._loaded.tokenizer.decode(ids[:length], skip_special_tokens=True)
        if length is None:
            return LLMError("cut off", "the answer ran past max_tokens", remedy="ask again", raw=text)
        return ChatAnswer(text, prompt_tokens, length)

    def _seed(self, requests: Sequence[ChatRequest], texts: Sequence[str]) -> int:
        """A seed of the batch's own: what else was asked before does not matter, but asking again gives another."""
        if len(self._asked) > _REMEMBERED:
            self._asked.clear()
        self._asked.update(request.key for request in requests)
        times = [str(self._asked[request.key]) for request in requests]
        parts = (str(self.options.seed), *times, *texts)
        digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8)
        return int.from_bytes(digest.digest(), "little") >> 1


@dataclass(frozen=True)
class _Loaded:
    """A model that is ready, its tokenizer, and the tokens that end an answer."""

    tokenizer: Any
    model: Any
    ends: tuple[int, ...]

    def prompt(self, request: ChatRequest) -> str:
        """What the model goes on from. Instructions go to the user's text where the template knows no system."""
        from jinja2 import TemplateError

        try:
            return self._filled(chat(request))
        except TemplateError:
            merged = f"{request.system}\n\n{request.user}" if request.system else request.user
            try:
                return self._filled(chat(ChatRequest(request.key, merged)))
            except TemplateError as error:
                raise MotaError(f"the model's chat template fails: {first_line(error)}") from error

    def _filled(self, messages: list[dict[str, str]]) -> str:
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text to a tokenizer


def _load(options: HFOptions) -> _Loaded:
    transformers = needed("transformers", "hf", "generator hf")
    device = resolve_device(options.device)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            options.model, padding_side="left", trust_remote_code=False
        )
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            options.model, dtype=options.dtype, use_safetensors=True, trust_remote_code=False
        )
    except Exception as error:  # damaged files raise all kinds
        raise MotaError(
            f"cannot load the language model {options.model}: {first_line(error)}",
            "give a folder or an id on the Hugging Face hub, with weights as safetensors",
        ) from error
    if tokenizer.chat_template is None:
        raise MotaError(f"{options.model} has no chat template", "use an instruction-tuned model")
    ends = _ends(tokenizer, model)
    if not ends:
        raise MotaError(f"{options.model} has no token that ends an answer", "use an instruction-tuned model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(ends[0])
    return _Loaded(tokenizer, model.to(device).eval(), ends)


def _ends(tokenizer: Any, model: Any) -> tuple[int, ...]:
    """The tokens that end an answer: chat models may have several, which only their generation config tells."""
    told = model.generation_config.eos_token_id
    known = [tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])]
    return tuple(dict.fromkeys(token for token in known if token is not None))


def chat(request: ChatRequest) -> list[dict[str, str]]:
    """A request as the messages of a chat template."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": request.user}]
