"""A causal language model from Hugging Face, run in this process with transformers (extra ``mota[hf]``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import torch

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError, UsageError
from motacli.llms.batching import Answered, Batcher
from motacli.llms.errors import LLMError


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
        if self.batch_size < 1 or self.max_tokens < 1 or self.temperature < 0:
            raise ValueError("batch_size and max_tokens must be positive, temperature not negative")


class HFChat:
    """A client that generates in batches; the model is loaded with the first request.

    Weights are read as safetensors only. An answer depends on the requests that it shares a batch with.
    """

    name = "hf"
    Options = HFOptions

    def __init__(self, options: HFOptions) -> None:
        if not options.model:
            raise UsageError("which language model?", "give --llm-model, an id on the Hugging Face hub or a folder")
        self.options = options
        self.model = options.model
        self._batcher = Batcher(self._run, options.batch_size)
        self._loaded: tuple[Any, Any] | None = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask once. Raises `LLMError`."""
        if request.image is not None:
            raise LLMError("unreadable picture", "this client shows a model no pictures", remedy="give up")
        return await self._batcher.complete(request)

    def _run(self, requests: Sequence[ChatRequest]) -> list[Answered]:
        tokenizer, model = self._load()
        texts = [
            tokenizer.apply_chat_template(chat(request), tokenize=False, add_generation_prompt=True)
            for request in requests
        ]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        sampling: dict[str, Any] = {"do_sample": False}
        if self.options.temperature:
            sampling = {"do_sample": True, "temperature": self.options.temperature, "top_p": self.options.top_p}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(_seed(self.options.seed, texts))
            output = model.generate(
                **inputs, max_new_tokens=self.options.max_tokens, pad_token_id=tokenizer.pad_token_id, **sampling
            )
        start = inputs["input_ids"].shape[1]
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            self._answer(tokenizer, row[start:].tolist(), length) for row, length in zip(output, lengths, strict=True)
        ]

    def _answer(self, tokenizer: Any, ids: list[int], prompt_tokens: int) -> Answered:
        ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
        length = next((place for place, token in enumerate(ids) if token in ends), None)
        text: str = tokenizer.decode(ids, skip_special_tokens=True)
        if length is None and len(ids) >= self.options.max_tokens:
            return LLMError("cut off", "the answer ran past max_tokens", remedy="ask again", raw=text)
        return ChatAnswer(text, prompt_tokens, len(ids) if length is None else length)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            try:
                from transformers import AutoModelForCausalLM, AutoTokenizer
            except ImportError as error:
                raise UsageError("generator hf needs transformers", "pip install 'mota[hf]'") from error
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.model, padding_side="left")
                model = AutoModelForCausalLM.from_pretrained(self.model, dtype=self.options.dtype, use_safetensors=True)
            except (OSError, ValueError) as error:
                raise MotaError(f"cannot load the language model {self.model}: {first_line(error)}") from error
            if tokenizer.chat_template is None:
                raise MotaError(f"{self.model} has no chat template", "use an instruction-tuned model")
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            self._loaded = tokenizer, model.to(_device(self.options.device)).eval()
        return self._loaded


def chat(request: ChatRequest) -> list[dict[str, str]]:
    """A request as the messages of a chat template."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": request.user}]


def first_line(error: BaseException) -> str:
    """What an error says first: those of model hubs go on for a page."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _seed(seed: int, texts: Sequence[str]) -> int:
    """A seed of the batch's own, so that what was asked before it does not matter."""
    digest = blake2b("\0".join((str(seed), *texts)).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") >> 1
