"""`mota bench adapter`: a composed query with MoTa-Adapter, beside the same query without it.

The picture's features are ready, so what is timed is the text side alone: tokenising, inversion, the text tower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from motacli.adapters.mota import MotaAdapter
from motacli.backbones import OpenClipBackbone
from motacli.bench.harness import Case, Work
from motacli.bench.random_clip import Architecture, TowerShape, architecture, parameter_count, random_backbone
from motacli.bench.text_inputs import make_changes, mean_tokens
from motacli.compose import compose_queries
from motacli.contracts import Prompt
from motacli.errors import MotaError
from motacli.inversions.phi import Phi

ARCHITECTURES = ("ViT-B-32", "ViT-L-14", "ViT-H-14", "ViT-bigG-14")
PREFIX, SUFFIX = "a photo of", "that {}"
_SAMPLE = 200
"""Captions whose tokens are counted for the report."""


@dataclass(frozen=True, slots=True)
class QueryInputs:
    """Reference features ``(Q, d)`` with a prompt each, and all that composes them."""

    backbone: OpenClipBackbone
    inversion: Phi
    adapter: MotaAdapter
    features: Tensor
    prompts: list[list[Prompt]]


@dataclass(frozen=True)
class AdapterCase:
    """``queries`` queries, composed ``batch`` at a time; one at a time, it is a single query's latency."""

    name: str
    shape: Architecture
    queries: int = 16
    batch: int = 1

    @property
    def sizes(self) -> Mapping[str, int]:
        """Queries, batch, the text tower's size, mean tokens of a caption, and all parameters on either side."""
        return {
            "queries": self.queries,
            "batch": self.batch,
            "layers": self.shape.text.layers,
            "width": self.shape.text.width,
            "caption_tokens": round(mean_tokens(make_changes(_SAMPLE, 0))),
            "trainable_parameters": trainable_parameters(self.shape.text),
            "dual_encoder_parameters": parameter_count(self.shape),
        }

    @property
    def counted(self) -> tuple[str, int]:
        """The queries of one run."""
        return "queries", self.queries

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """What the adapter costs: parameters by those of both towers, and time by that without it."""
        return {
            "trainable_share": trainable_parameters(self.shape.text) / parameter_count(self.shape),
            "latency_ratio": seconds / baseline_seconds,
        }

    def scaled(self, shape: Architecture, queries: int) -> AdapterCase:
        """The same on another CLIP."""
        return replace(self, shape=shape, queries=queries)

    def inputs(self, seed: int) -> QueryInputs:
        """Everything random is drawn from the seed; the image tower is left out."""
        backbone = random_backbone(self.shape.text, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inversion = Phi(joint_dim=backbone.joint_dim, text_width=backbone.text_width).eval()
            adapter = MotaAdapter(backbone).eval()
            features = torch.randn(self.queries, backbone.joint_dim)
        adapter.calibrate(features)
        prompts = [[Prompt(PREFIX, SUFFIX.format(change))] for change in make_changes(self.queries, seed)]
        return QueryInputs(backbone, inversion, adapter, features, prompts)

    def ours(self, inputs: QueryInputs) -> Work:
        """With the adapter."""
        return lambda: self._compose(inputs, inputs.adapter)

    def baseline(self, inputs: QueryInputs) -> Work:
        """Without."""
        return lambda: self._compose(inputs, None)

    def check(self, inputs: QueryInputs, ours: Tensor, baseline: Tensor) -> int:
        """Both are unit vectors of one shape, and the adapter has moved every query: it did take part."""
        if ours.shape != baseline.shape or not (_unit(ours) and _unit(baseline)):
            raise MotaError(f"{self.name}: a side's queries are no unit vectors of the same shape")
        if not bool(((ours - baseline).norm(dim=1) > 1e-6).all()):
            raise MotaError(f"{self.name}: the adapter left queries as they were")
        return 0

    def _compose(self, inputs: QueryInputs, adapter: MotaAdapter | None) -> Tensor:
        return compose_queries(
            inputs.backbone, inputs.inversion, inputs.features, inputs.prompts, adapter, batch_size=self.batch
        )


@dataclass(frozen=True, slots=True)
class _Outline:
    """What an adapter asks of a backbone when it is made."""

    joint_dim: int
    text_width: int
    text_layers: int


def trainable_parameters(tower: TowerShape) -> int:
    """How many numbers the default adapter of such a tower learns."""
    outline: Any = _Outline(tower.joint_dim, tower.width, tower.layers)
    with torch.device("meta"):
        return MotaAdapter(outline).trainable_parameters()


def _unit(features: Tensor) -> bool:
    return bool(((features.norm(dim=1) - 1).abs() < 1e-4).all())  # in this form NaN is no unit vector


CASES: dict[str, Case] = {name: AdapterCase(name, architecture(name)) for name in ARCHITECTURES}
