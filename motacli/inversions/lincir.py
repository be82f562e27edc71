"""LinCIR (Gu et al., CVPR 2024): self-masking projection, learned from captions alone.

A caption's text feature, with noise, becomes a pseudo-word; put in place of the caption's keywords it must give the
caption's feature again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.compose import TokenPrompt, tokenize_prompt
from motacli.console import Progress
from motacli.contracts import Backbone, Prompt
from motacli.inversions.data import PairFeatures, photo_prompt, spliced_features
from motacli.inversions.phi import Phi
from motacli.inversions.training import InversionOptions, fit_network, require


@dataclass(frozen=True)
class LinCIROptions(InversionOptions):
    """LinCIR's training. The authors: 20000 steps of 512 captions, constant lr 1e-4, dropout 0.5, noise 1.0.

    ``noise`` is in units of the features' spread, ``variants`` how many maskings of each caption are drawn beforehand.
    """

    steps: int = 800
    lr: float = 2e-3
    noise: float = 0.6
    variants: int = 2

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
        cls,
        backbone: Backbone,
        data: PairFeatures,
        options: LinCIROptions,
        on_step: Callable[[int, float], None] | None = None,
        progress: Progress | None = None,
    ) -> tuple[Self, dict[str, Any]]:
        """Train on the captions alone. See `motacli.contracts.TrainableInversion`."""

        def objective(data: PairFeatures) -> LinCIRObjective:
            return LinCIRObjective(backbone, data, options.noise, options.variants, options.seed)

        return fit_network(cls, backbone, data, options, objective, on_step, progress)


_FUNCTION_WORDS = """
on in at near next to with beside it and of the against front is that there from behind under over by for as into
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def keyword_runs(caption: str) -> list[tuple[int, int]]:
    """Runs of content words, ``(start, end)`` indices into the caption's blank-separated words.

    The light fallback for spaCy's runs of nouns, adjectives and determiners: every word that is not a function word.
    """
    runs: list[tuple[int, int]] = []
    words = caption.lower().split()
    start = None
    for index, word in enumerate([*words, "of"]):
        if word.strip(",.") in FUNCTION_WORDS:
            if start is not None:
                runs.append((start, index))
            start = None
        elif start is None:
            start = index
    return runs


def masked_prompt(backbone: Backbone, caption: str, rng: Random) -> TokenPrompt:
    """The caption with its first to last keyword run replaced by one slot.

    The authors put the same vector into every run; one slot for the stretch from a first to a last run is [ours] and is
    what the slot sees at retrieval, where a pseudo-word stands once.
    """
    words = caption.split()
    runs = keyword_runs(caption)
    if not runs:
        return photo_prompt(backbone)
    start, end = runs[0][0], runs[rng.randrange(len(runs))][1]
    return tokenize_prompt(backbone, Prompt(" ".join(words[:start]), " ".join(words[end:])))


class LinCIRObjective:
    """Mean squared error between T(masked caption with phi(T(caption) + noise)) and T(caption), as in the paper.

    Noise is ``u * eps`` with one ``u ~ U(0, 1)`` per caption and ``eps ~ N(0, I)``, in units of the features' spread so
    that it means the same on every backbone [ours; the authors use 1.0 for ViT-L/14].
    """

    def __init__(
        self, backbone: Backbone, data: PairFeatures, noise: float = 1.0, variants: int = 2, seed: int = 0
    ) -> None:
        self.backbone = backbone
        self.text = data.text
        self.noise = noise * data.text.std(0).mean()
        rng = Random(seed)
        self.prompts: Sequence[Sequence[TokenPrompt]] = [
            [masked_prompt(backbone, caption, rng) for _ in range(variants)] for caption in data.captions
        ]

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the captions to a loss."""
        text = self.text[rows]
        drawn = torch.rand(len(rows), 1, generator=noise) * torch.randn(text.shape, generator=noise)
        noisy = text + self.noise * drawn.to(text.device)
        pick = torch.randint(len(self.prompts[0]), (1,), generator=noise).item()
        prompts = [self.prompts[row][int(pick)] for row in rows.tolist()]
        return F.mse_loss(spliced_features(self.backbone, prompts, phi(noisy)), text)
