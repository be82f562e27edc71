"""How the prompted text half of a step is computed: in chunks, in which number type, and what is kept for backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motacli.adapters.options import TrainOptions
from motacli.compiling import compiled
from motacli.compose import TokenPrompt, batches_by_length
from motacli.contracts import Backbone, Inversion
from motacli.text_tower import layers_recomputed

CPU_CHUNK, CHUNK = 32, 512
"""Rows that go through the text encoder together, on a CPU and elsewhere."""


@dataclass
class Composed:
    """Composed features ``(B, d)`` float32 and gates ``(B, K)``; `backward` sends their gradients to the adapter."""

    composed: Tensor
    gates: Tensor
    backward: Callable[[Tensor, Tensor | None], None]


@dataclass
class Composer:
    """Composes rows with an adapter, for `CPU_CHUNK` or more rows of like length at a time. [ours]

    The numbers are those of one call, and each chunk is only as long as its own longest text. ``checkpointing`` is
    `TrainOptions.checkpointing`.
    """

    adapter: Any
    backbone: Backbone
    inversion: Inversion
    chunk: int = CPU_CHUNK
    autocast: bool = False
    checkpointing: str = "none"

    @classmethod
    def of(cls, adapter: Any, backbone: Backbone, inversion: Inversion, options: TrainOptions) -> Composer:
        """As the options say, on the backbone's device."""
        device = backbone.device.type
        chunk = options.chunk or (CPU_CHUNK if device == "cpu" else CHUNK)
        if options.compile:
            backbone = compiled(backbone, "encode_embeddings")
        return cls(adapter, backbone, inversion, chunk, _in_bf16(options.autocast, device), options.checkpointing)

    def __call__(self, features: Tensor, prompts: Sequence[TokenPrompt]) -> Composed:
        """Image features ``(B, d)`` and ``B`` prompts, composed; gradients flow only where they are switched on."""
        parts = batches_by_length(prompts, self.chunk)
        back = torch.cat(parts).argsort()
        if self.checkpointing == "chunks" and torch.is_grad_enabled():
            return self._cached(features, prompts, parts, back)
        made = [self._run(features, prompts, part) for part in parts]
        composed = torch.cat([part for part, _ in made])[back]
        gates = torch.cat([part for _, part in made])[back]

        def backward(gradient: Tensor, of_gates: Tensor | None) -> None:
            _backward([(composed, gradient), (gates, of_gates)])

        return Composed(composed, gates, backward)

    def _run(self, features: Tensor, prompts: Sequence[TokenPrompt], part: Tensor) -> tuple[Tensor, Tensor]:
        device = self.backbone.device
        texts = [prompts[row] for row in part.tolist()]
        with _autocast(device, self.autocast), layers_recomputed(self.checkpointing == "layers"):
            composed, gates = self.adapter(self.backbone, self.inversion, features[part], texts)
        return composed.float() if composed.dtype in _HALVES else composed, gates

    def _cached(
        self, features: Tensor, prompts: Sequence[TokenPrompt], parts: Sequence[Tensor], back: Tensor
    ) -> Composed:
        """Composed without anything kept; `Composed.backward` runs every chunk again, with the same dropout."""
        states, made = [], []
        with torch.no_grad():
            for part in parts:
                states.append(_random_state(self.backbone.device))
                made.append(self._run(features, prompts, part))

        def backward(gradient: Tensor, of_gates: Tensor | None) -> None:
            after = _random_state(self.backbone.device)
            for part, state in zip(parts, states, strict=True):
                _set_random_state(self.backbone.device, state)
                composed, gates = self._run(features, prompts, part)
                there = part.to(gradient.device)
                _backward([(composed, gradient[there]), (gates, None if of_gates is None else of_gates[there])])
            _set_random_state(self.backbone.device, after)

        composed = torch.cat([part for part, _ in made])[back]
        return Composed(composed, torch.cat([part for _, part in made])[back], backward)


_HALVES = (torch.float16, torch.bfloat16)


def _backward(pairs: Sequence[tuple[Tensor, Tensor | None]]) -> None:
    wanted = [(value, gradient) for value, gradient in pairs if value.requires_grad and gradient is not None]
    torch.autograd.backward([value for value, _ in wanted], [gradient for _, gradient in wanted])


def _in_bf16(autocast: str, device: str) -> bool:
    if autocast == "auto":
        return device == "cuda" and torch.cuda.is_bf16_supported()
    return autocast == "bf16"


def _autocast(device: torch.device, on: bool) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()


def _random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_state(device: torch.device, states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
