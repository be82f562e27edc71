"""Triplets that a language model writes (method section 1): `llm` from captions, `mllm` with the pictures as well."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motacli.config import identity
from motacli.contracts import ChatRequest, GeneratorInfo, ImageText, LLMClient, Outcome, Rejection, Triplet
from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.llms.asking import Asked, Asker, AskOptions, Heard
from motacli.llms.loading import load_client
from motacli.llms.pool import answered
from motacli.plugins import PluginHost
from motacli.triplets.answers import Answer, read_answer
from motacli.triplets.contexts import CONTEXT_MODES, MIXED, draw_context
from motacli.triplets.keys import digest64, row_random
from motacli.triplets.prompts import answer_schema, read_prompt, wanted_types

LONGEST_RAW = 4000
"""Characters of an answer that a rejection keeps."""


@dataclass(frozen=True)
class LLMOptions:
    """How a language model writes triplets.

    ``client`` is the LLM client's name and ``llm`` its options. ``prompt`` is a file instead of the built-in prompt.
    ``spread`` names types of modification in each request, so that all come up. ``recaption`` lets a model that sees
    the picture write the reference caption. ``asking`` is how its server is treated, ``prompt_price`` and
    ``completion_price`` what a million tokens cost.
    """

    client: str = "openai"
    llm: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""
    per_image: int = 1
    context: str = MIXED
    spread: bool = True
    recaption: bool = False
    seed: int = 0
    asking: AskOptions = field(default_factory=AskOptions, metadata={"identity": False})
    prompt_price: float = field(default=0.0, metadata={"identity": False})
    completion_price: float = field(default=0.0, metadata={"identity": False})

    def __post_init__(self) -> None:
        if self.context not in CONTEXT_MODES:
            raise UnknownNameError("context mode", self.context, CONTEXT_MODES)
        if self.per_image < 1:
            raise ValueError(f"per_image is {self.per_image}; ask for at least one triplet per image")
        if self.prompt_price < 0 or self.completion_price < 0:
            raise ValueError("prices must not be negative")


class LLMGenerator:
    """Asks for the triplets of each row. Rows under way end in any order."""

    name = "llm"
    Options = LLMOptions
    reads_images: bool = False

    def __init__(self, options: LLMOptions, client: LLMClient | None = None) -> None:
        self.options = options
        self.template = read_prompt(Path(options.prompt) if options.prompt else None)
        self._client = client
        self._heard = Heard()
        self._system = self.template.system_text()
        self._schema = answer_schema(options.per_image, options.recaption)
        self._about = ("recaption" if options.recaption else "picture") if self.reads_images else ""
        self._tag = json.dumps([self.template.digest, options.per_image, options.context, options.spread, options.seed])
        if options.recaption and not self.reads_images:
            raise UsageError(
                "a model that sees no picture cannot caption it", "use generator mllm, or batch with pictures=true"
            )

    def bind(self, host: PluginHost) -> None:
        """Find the client among the plugins' and make it with its options."""
        self._client = load_client(host, self.options.client, self.options.llm)

    @property
    def client(self) -> LLMClient:
        """The client that is asked."""
        if self._client is None:
            raise MotaError("this generator has no language model", "give it a client, or bind it to a plugin host")
        return self._client

    @property
    def info(self) -> GeneratorInfo:
        """The generator's name, the model's, and the prompt's digest."""
        return GeneratorInfo(self.name, self.client.model, self.template.digest)

    @property
    def settings(self) -> dict[str, Any]:
        """The options on which answers depend, the client's among them."""
        return {**identity(self.options), "llm": identity(getattr(self.client, "options", self.options.llm))}

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What so many tokens cost, where prices are known."""
        prices = (self.options.prompt_price, self.options.completion_price)
        if not any(prices):
            return None
        return (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        """See `motacli.contracts.TripletGenerator`."""
        return answered(rows, self.client, self.options.asking, self._outcome, self.options.seed, self._heard)

    def request(self, row: ImageText) -> tuple[ChatRequest, str]:
        """What is asked about a row, and what is to become of its context; both depend on the row and the seed only."""
        rng = row_random(self.options.seed, row)
        context = draw_context(self.options.context, rng)
        wanted = wanted_types(rng, self.options.per_image) if self.options.spread else []
        request = ChatRequest(
            key=f"{digest64(row.id, row.caption, row.image.id, self._tag):016x}",
            user=self.template.user_text(row.caption, self.options.per_image, context, wanted, self._about),
            system=self._system,
            image=row.image if self.reads_images else None,
            schema=self._schema,
        )
        return request, context

    def read(self, text: str) -> Answer:
        """A model's answer; `LLMError` for one that is no good."""
        return read_answer(text, self.options.per_image, self.options.recaption)

    def outcome(self, row: ImageText, context: str, asked: Asked[Answer]) -> Outcome:
        """What a row's answer amounts to."""
        cost = (asked.requests, asked.prompt_tokens, asked.completion_tokens)
        if asked.value is None:
            assert asked.error is not None
            error = asked.error
            return Outcome(row, (), (Rejection(error.reason, error.detail, error.raw[:LONGEST_RAW]),), *cost)
        caption = asked.value.reference_caption or row.caption
        triplets = tuple(
            Triplet(
                id=f"{row.id}#{number}",
                source_id=row.id,
                image=row.image.id,
                reference_caption=caption,
                relative_caption=written.relative_caption,
                target_caption=written.target_caption,
                modification_type=written.modification_type,
                context=context,
                generator=self.info,
            )
            for number, written in enumerate(asked.value.triplets)
        )
        return Outcome(row, triplets, self._missing(len(triplets)), *cost)

    def _missing(self, written: int) -> tuple[Rejection, ...]:
        asked = self.options.per_image
        if written == asked:
            return ()
        return (Rejection("too few triplets", f"{written} where {asked} were asked for"),)

    async def _outcome(self, asker: Asker, row: ImageText) -> Outcome:
        request, context = self.request(row)
        return self.outcome(row, context, await asker.ask(request, self.read))


class MLLMGenerator(LLMGenerator):
    """The same with the reference picture attached; with ``recaption`` the model captions it first."""

    name = "mllm"
    reads_images = True


@dataclass(frozen=True)
class HFOptions(LLMOptions):
    """As of `llm`, with the client ``hf``."""

    client: str = "hf"


class HFGenerator(LLMGenerator):
    """The same prompts, run in this process with transformers."""

    name = "hf"
    Options = HFOptions


@dataclass(frozen=True)
class VLLMOptions(LLMOptions):
    """As of `llm`, with the client ``vllm``, which needs many requests at once."""

    client: str = "vllm"
    asking: AskOptions = field(default_factory=lambda: AskOptions(concurrency=512), metadata={"identity": False})


class VLLMGenerator(LLMGenerator):
    """The same prompts, run in this process by vLLM."""

    name = "vllm"
    Options = VLLMOptions
