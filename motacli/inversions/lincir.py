"""LinCIR (Gu et al., CVPR 2024): self-masking projection, learned from captions alone.

A caption's text feature, with noise, becomes a pseudo-word; put in place of the caption's keywords it must give the
caption's feature again.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.compose import TokenPrompt
from motacli.contracts import Backbone
from motacli.inversions.data import PHOTO, PairFeatures, spliced_features

FUNCTION_WORDS = frozenset(
    "on in at near next to with beside it and of the against front is that there from behind under over by for as into".split()
)


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
        return TokenPrompt(tuple(backbone.tokenize(PHOTO)), ())
    start, end = runs[0][0], runs[rng.randrange(len(runs))][1]
    before, after = " ".join(words[:start]), " ".join(words[end:])
    return TokenPrompt(tuple(backbone.tokenize(before)), tuple(backbone.tokenize(after)))


class LinCIRObjective:
    """Mean squared error between T(masked caption with phi(T(caption) + noise)) and T(caption), as in the paper.

    Noise is ``u * eps`` with one ``u ~ U(0, 1)`` per caption and ``eps ~ N(0, I)``, in units of the features' spread so that
    it means the same on every backbone [ours; the authors use 1.0 for ViT-L/14].
    """

    def __init__(self, backbone: Backbone, data: PairFeatures, noise: float = 1.0, variants: int = 2, seed: int = 0) -> None:
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
        strength = torch.rand(len(rows), 1, generator=noise)
        noisy = text + self.noise * strength * torch.randn(text.shape, generator=noise)
        pick = torch.randint(len(self.prompts[0]), (1,), generator=noise).item()
        prompts = [self.prompts[row][int(pick)] for row in rows.tolist()]
        return F.mse_loss(spliced_features(self.backbone, prompts, phi(noisy)), text)
