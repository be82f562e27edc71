"""LinCIR (Gu et al., CVPR 2024): self-masking projection, learned from captions alone.

A caption's text feature, with noise, becomes a pseudo-word; put in place of the caption's keywords it must give the
caption's feature again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.compose import TokenPrompt, text_room, tokenize_pieces
from motacli.contracts import Backbone
from motacli.inversions.data import PairFeatures, photo_prompt, require_captions, spliced_features
from motacli.inversions.keywords import KeywordTagger, Run, Tagger, find_tagger
from motacli.inversions.masking import MASKINGS, Masking, Pieces
from motacli.inversions.phi import Phi
from motacli.inversions.training import InversionOptions, fit_network, require
from motacli.rows_on_disk import spread
from motacli.watch import Watch

NoiseFamily = Literal["scaled gaussian", "gaussian", "uniform", "none"]
_KEPT_ROWS = 500_000
"""Captions whose masked prompts are kept once they were made."""


@dataclass(frozen=True)
class LinCIROptions(InversionOptions):
    """LinCIR's training, by its authors' recipe; ``faithful`` masking reproduces their code where it differs.

    ``noise_family`` "scaled gaussian" is ``u * eps`` with one ``u ~ U(0, 1)`` per caption and ``eps ~ N(0, I)``.
    ``noise`` scales it: absolutely, or in units of the features' ``spread`` so that it means the same on every backbone
    [ours]. ``masking`` is ``runs`` (every keyword run, the same vector in each), ``stretch`` (one slot, ours) or
    ``faithful``. ``variants`` is how many maskings of each caption are drawn, where masking is random.
    """

    noise: float = 1.0
    noise_family: NoiseFamily = "scaled gaussian"
    noise_unit: Literal["absolute", "spread"] = "absolute"
    masking: Masking = "runs"
    keywords: Tagger = "auto"
    variants: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.noise >= 0, f"noise must not be negative: {self.noise}")
        require(self.variants >= 1, f"{self.variants} variants of a caption are too few")


class LinCIR(Phi):
    """Phi trained on captions alone by self-masking projection."""

    name = "lincir"
    Options = LinCIROptions

    @classmethod
    def fit(
        cls, backbone: Backbone, data: PairFeatures, options: LinCIROptions, watch: Watch | None = None
    ) -> tuple[Self, dict[str, Any]]:
        """Train on the captions alone. See `motacli.contracts.TrainableInversion`."""
        require_captions(data, cls.name)
        tagger = find_tagger(options.keywords)
        phi, record = fit_network(
            cls, backbone, data, options, lambda data: LinCIRObjective(backbone, data, options, tagger), watch
        )
        return phi, {**record, "keywords": tagger.name}


class MaskedPrompts:
    """The masked prompts of captions, made when first asked for and kept."""

    def __init__(
        self, backbone: Backbone, captions: Sequence[str], runs: Sequence[Sequence[Run]], masking: Masking
    ) -> None:
        self._backbone, self._captions, self._runs = backbone, captions, runs
        self._mask: Callable[[str, Sequence[Run], Random], Pieces] = MASKINGS[masking]
        self._made: dict[tuple[int, int], TokenPrompt] = {}
        self._empty = photo_prompt(backbone)

    def of(self, row: int, variant: int, seed: int) -> TokenPrompt:
        """One masking of one caption; the same for the same seed, whenever it is asked for."""
        key = (row, variant)
        prompt = self._made.get(key)
        if prompt is None:
            prompt = self._prompt(row, Random(f"{seed} {row} {variant}"))
            if len(self._made) < _KEPT_ROWS:
                self._made[key] = prompt
        return prompt

    def _prompt(self, row: int, rng: Random) -> TokenPrompt:
        caption = self._captions[row]
        if not caption.strip():
            return self._empty
        prompt = tokenize_pieces(self._backbone, self._mask(caption, self._runs[row], rng))
        lost = len(prompt.prefix) >= text_room(self._backbone)  # no slot within the context
        return self._empty if lost else prompt


class LinCIRObjective:
    """Mean squared error between T(masked caption with phi(T(caption) + noise)) and T(caption), as in the paper."""

    def __init__(
        self, backbone: Backbone, data: PairFeatures, options: LinCIROptions, tagger: KeywordTagger | None = None
    ) -> None:
        self.backbone = backbone
        self.text = data.text
        self.options = options
        self.scale = options.noise * (spread(data.text) if options.noise_unit == "spread" else 1.0)
        captions = [clean_caption(caption) for caption in data.captions]
        runs = list((tagger or find_tagger(options.keywords)).runs(captions))
        self.prompts = MaskedPrompts(backbone, captions, runs, options.masking)

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the captions to a loss."""
        text = self.text[rows]
        noisy = text + self.scale * draw_noise(self.options.noise_family, text.shape, noise).to(text.device)
        pick = int(torch.randint(self.options.variants, (1,), generator=noise).item())
        prompts = [self.prompts.of(row, pick, self.options.seed) for row in rows.tolist()]
        return F.mse_loss(spliced_features(self.backbone, prompts, phi(noisy)).float(), text)


def draw_noise(family: NoiseFamily, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Noise ``(B, d)`` of a family, on the CPU; "uniform" lies in -1..1."""
    if family == "none":
        return torch.zeros(shape)
    if family == "uniform":
        return 2 * torch.rand(shape, generator=generator) - 1
    scale = torch.rand(shape[0], 1, generator=generator) if family == "scaled gaussian" else 1.0
    return scale * torch.randn(shape, generator=generator)


def clean_caption(caption: str) -> str:
    """A caption as LinCIR takes it: anonymised persons are persons, lower case, without dollar signs."""
    return caption.replace("<PERSON>", "person").lower().replace("$", "").strip()
