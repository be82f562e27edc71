"""Optimisation-based textual inversion: a pseudo-word of its own for each picture (SEARLE, ICCV 2023)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.compose import TokenPrompt, tokenize_pieces
from motacli.config import parse_options
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.inversions.concepts import templates
from motacli.inversions.data import cosine_loss, spliced_features
from motacli.inversions.phrases import PhraseBook
from motacli.inversions.recipes import read_recipe
from motacli.inversions.training import require, step_seed
from motacli.processes.world import World
from motacli.weights import read_part, write_part

SHORT_TEMPLATES = ("a photo of {}", "a picture of {}", "an image of {}", "there is {}", "{}")
_START, _DRAWS = 11, 13
"""Tell apart the streams of random numbers that one seed gives."""


@dataclass(frozen=True)
class OTIOptions:
    """Textual inversion of single pictures, by the authors' recipe; ``concepts`` of a picture are drawn from.

    ``templates`` are PALAVRA's 24 or five ``short`` ones [ours]. ``batch_size`` only changes speed and memory.
    """

    steps: int = 350
    lr: float = 2e-2
    wd: float = 0.01
    ema: float = 0.99
    phrase_weight: float = 0.5
    concepts: int = 15
    templates: Literal["palavra", "short"] = "palavra"
    batch_size: int = 256

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"{self.steps} steps optimise nothing")
        require(self.lr > 0, f"lr must be positive, not {self.lr}")
        require(0 <= self.ema < 1, f"ema must lie in 0..1, not be {self.ema}")
        require(self.phrase_weight >= 0 and self.wd >= 0, "phrase_weight and wd must not be negative")
        require(self.concepts >= 1 and self.batch_size >= 1, "concepts and batch_size must be positive")


def invert(
    backbone: Backbone,
    image: Tensor,
    phrases: PhraseBook | None,
    options: OTIOptions,
    *,
    seed: int = 0,
    first: int = 0,
    alike: bool = False,
    progress: Progress | None = None,
    work: Path | None = None,
    world: World | None = None,
) -> Tensor:
    """Pictures ``(N, d)`` to the moving average of their pseudo-words ``(N, w)``.

    Each step pulls a random template with the pseudo-word to the picture, and a phrase with the pseudo-word in its
    concept's place to the phrase as it was: ``(L_cos + a L_phrase) / (1 + a)``; without ``phrases`` the first alone.
    ``first`` is the number of the first picture, by which phrases are drawn. Batches that are done are kept in ``work``
    and not done again. The result depends on seed, picture numbers and batch size only; with ``alike`` all pictures
    start from one pseudo-word and have the same templates, so that none depends on its neighbours either [ours]. The
    processes of ``world`` take a batch each, in turn, and all have the result; ``work`` is then a folder they share.
    """
    frames = [_frame(backbone, text) for text in (templates() if options.templates == "palavra" else SHORT_TEMPLATES)]
    progress, world = progress or NullProgress(), world or World()
    done: list[Tensor] = []
    starts = range(0, len(image), options.batch_size)
    for start in starts[world.rank :: world.size]:
        part = image[start : start + options.batch_size]
        path = None if work is None else work / f"{first + start:09d}.safetensors"
        made_by = "" if path is None else _made_by(backbone, part, options, seed) + " alike" * alike
        words = None if path is None else read_part(path, made_by)
        if words is None:
            bar = f"optimising pseudo-words {start + 1} to {start + len(part)} of {len(image)}"
            words = _invert_batch(backbone, part, phrases, frames, options, seed, first + start, alike, progress, bar)
            if path is not None:
                write_part(path, words, made_by)
        done.append(words.cpu())
    whose = [number % world.size for number in range(len(starts))]
    mine = iter(done)
    return torch.cat([world.agreed(lambda: next(mine), by=rank) for rank in whose]).to(image.device)


def _invert_batch(
    backbone: Backbone,
    image: Tensor,
    phrases: PhraseBook | None,
    frames: Sequence[TokenPrompt],
    options: OTIOptions,
    seed: int,
    first: int,
    alike: bool,
    progress: Progress,
    bar: str,
) -> Tensor:
    stream = 0 if alike else first
    rng, count = drawing(seed, stream), len(image)
    words = first_words(1 if alike else count, backbone.text_width, seed, stream)
    words = words.expand(count, -1).clone().to(image.device).requires_grad_(True)
    average, rows = words.detach().clone(), range(first, first + count)
    optimizer = torch.optim.AdamW([words], lr=options.lr, weight_decay=options.wd)
    for _ in progress.track(range(options.steps), bar):
        picked = [rng.choice(frames)] * count if alike else [rng.choice(frames) for _ in rows]
        loss = cosine_loss(spliced_features(backbone, picked, words[:, None]), image)
        if phrases is not None and options.phrase_weight:
            prompts, wholes = phrases.draw(rows, rng)
            keep = cosine_loss(spliced_features(backbone, prompts, words[:, None]), wholes)
            loss = (loss + options.phrase_weight * keep) / (1 + options.phrase_weight)
        optimizer.zero_grad(set_to_none=True)
        (loss * count if alike else loss).backward()  # a mean's gradients would shrink with more neighbours
        optimizer.step()
        average.mul_(options.ema).add_(words.detach(), alpha=1 - options.ema)
    return average


def first_words(count: int, width: int, seed: int, first: int) -> Tensor:
    """The random pseudo-words ``(count, width)`` that a batch, with picture ``first`` at its head, starts from."""
    generator = torch.Generator().manual_seed(step_seed(seed, _START, first))
    return torch.randn(count, width, generator=generator) * 0.02


def drawing(seed: int, first: int) -> Random:
    """The random numbers that choose a batch's templates and phrases."""
    return Random(step_seed(seed, _DRAWS, first))


def _frame(backbone: Backbone, template: str) -> TokenPrompt:
    before, _, after = template.partition("{}")
    return tokenize_pieces(backbone, (before, after))


def _made_by(backbone: Backbone, image: Tensor, options: OTIOptions, seed: int) -> str:
    pictures = hashlib.sha256(np.ascontiguousarray(image.cpu().numpy()).data).hexdigest()
    return f"{backbone.fingerprint()} {pictures} {seed} {asdict(options)}"


class SearleOTI(nn.Module):
    """SEARLE-OTI: each picture's pseudo-word optimised when it is asked for; no weights, only a backbone and patience.

    Phrases are left out unless a `PhraseBook` for the pictures is given.
    """

    name = "searle-oti"

    def __init__(
        self, backbone: Backbone, options: OTIOptions | None = None, *, progress: Progress | None = None
    ) -> None:
        super().__init__()
        self._backbone: Any = backbone
        self.options = options or OTIOptions()
        self._progress = progress

    @classmethod
    def for_backbone(cls, backbone: Backbone) -> SearleOTI:
        """For use at evaluation, by the recipe that the backbone asks for."""
        values = read_recipe(None, "searle", backbone).get("oti", {})
        return cls(backbone, parse_options(OTIOptions, values, "recipe of textual inversion")).eval()

    @torch.enable_grad()
    def forward(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, 1, w)``, whatever the other pictures are."""
        unique, rows = torch.unique(F.normalize(features, dim=1), dim=0, return_inverse=True)
        words = invert(self._backbone, unique, None, self.options, alike=True, progress=self._progress)
        return words[rows][:, None]
