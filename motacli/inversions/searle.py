"""SEARLE (Baldrati et al., ICCV 2023): optimise a pseudo-word for each picture, then distil them into one network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn

from motacli.compose import TokenPrompt, tokenize_prompt
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Prompt
from motacli.inversions.data import PairFeatures, cosine_loss, spliced_features, two_sided
from motacli.inversions.lincir import keyword_runs
from motacli.inversions.phi import Phi
from motacli.inversions.training import InversionOptions, fit_network, require

TEMPLATES = ("a photo of", "a picture of", "an image of", "there is", "")


@dataclass(frozen=True)
class OTIOptions:
    """Textual inversion of single pictures. The authors run 350 steps at learning rate 2e-2 with an EMA of 0.99."""

    steps: int = 120
    lr: float = 2e-2
    ema: float = 0.95
    phrase_weight: float = 0.2

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"{self.steps} steps optimise nothing")
        require(self.lr > 0, f"lr must be positive, not {self.lr}")
        require(0 <= self.ema < 1, f"ema must lie in 0..1, not be {self.ema}")
        require(self.phrase_weight >= 0, f"phrase_weight must not be negative: {self.phrase_weight}")


@dataclass(frozen=True)
class SearleOptions(InversionOptions):
    """SEARLE's training. The authors: 39000 steps of 256 pictures, constant lr 1e-4, dropout 0.5, phrase weight 0.75.

    ``temperature`` and ``phrase_weight`` are the distillation's; ``oti`` is how the pseudo-words are optimised first.
    """

    steps: int = 800
    lr: float = 2e-3
    temperature: float = 0.25
    phrase_weight: float = 0.3
    oti: OTIOptions = field(default_factory=OTIOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.temperature > 0, f"temperature must be positive, not {self.temperature}")
        require(self.phrase_weight >= 0, f"phrase_weight must not be negative: {self.phrase_weight}")


class Searle(Phi):
    """Phi trained by distilling optimised pseudo-words."""

    name = "searle"
    Options = SearleOptions

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        data: PairFeatures,
        options: SearleOptions,
        on_step: Callable[[int, float], None] | None = None,
        progress: Progress | None = None,
    ) -> tuple[Self, dict[str, Any]]:
        """Optimise a pseudo-word for each picture, then train. See `motacli.contracts.TrainableInversion`."""

        def objective(data: PairFeatures) -> SearleObjective:
            phrases = caption_phrases(backbone, data, [first_concept(caption) for caption in data.captions])
            words = invert(backbone, data.image, phrases, options.oti, seed=options.seed, progress=progress)
            weight = options.phrase_weight
            return SearleObjective(
                backbone, data.image, words, phrases, temperature=options.temperature, phrase_weight=weight
            )

        return fit_network(cls, backbone, data, options, objective, on_step, progress)


@dataclass(frozen=True)
class Phrases:
    """For each picture a phrase with a slot for one of its concepts, and the whole phrase's text feature ``(N, d)``."""

    prompts: tuple[TokenPrompt, ...]
    features: Tensor

    def part(self, rows: slice) -> Phrases:
        """Those of some of the pictures."""
        return Phrases(self.prompts[rows], self.features[rows])


def first_concept(caption: str) -> tuple[int, int]:
    """The words ``(start, end)`` of a caption's first run of content words; the first word where it has none."""
    return next(iter(keyword_runs(caption)), (0, 1))


def caption_phrases(backbone: Backbone, data: PairFeatures, concepts: Sequence[tuple[int, int]]) -> Phrases:
    """Phrases made offline from the pictures' own captions: the concept is the words ``concepts[i]`` = (start, end).

    The authors let GPT-Neo continue "a photo of {concept} that"; any list of phrases will do [ours].
    """
    prompts = []
    for caption, (start, end) in zip(data.captions, concepts, strict=True):
        words = caption.split()
        prompts.append(tokenize_prompt(backbone, Prompt(" ".join(words[:start]), " ".join(words[end:]))))
    return Phrases(tuple(prompts), data.text)


def invert(
    backbone: Backbone,
    image: Tensor,
    phrases: Phrases,
    options: OTIOptions,
    batch_size: int = 512,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Optimisation-based textual inversion: pictures ``(N, d)`` to the EMA of their pseudo-words ``(N, w)``.

    Each step pulls a random template with the pseudo-word to the picture, and a phrase with the pseudo-word in its
    concept's place to the phrase as it was: ``(L_cos + a L_phrase) / (1 + a)``, where ``a`` is 0.5 for the authors.
    """
    templates = [TokenPrompt(tuple(backbone.tokenize(text)), ()) for text in TEMPLATES]
    rng, generator = Random(seed), torch.Generator().manual_seed(seed)
    done = []
    for start in range(0, len(image), batch_size):
        rows = slice(start, min(start + batch_size, len(image)))
        words = torch.randn(rows.stop - start, backbone.text_width, generator=generator) * 0.02
        bar = f"optimising pseudo-words {start + 1} to {rows.stop} of {len(image)}"
        steps = (progress or NullProgress()).track(range(options.steps), bar)
        words = words.to(image.device)
        done.append(_invert_batch(backbone, image[rows], phrases.part(rows), words, templates, rng, options, steps))
    return torch.cat(done)


def _invert_batch(
    backbone: Backbone,
    image: Tensor,
    phrases: Phrases,
    words: Tensor,
    templates: Sequence[TokenPrompt],
    rng: Random,
    options: OTIOptions,
    steps: Iterable[int],
) -> Tensor:
    words.requires_grad_(True)
    average = words.detach().clone()
    optimizer = torch.optim.AdamW([words], lr=options.lr, weight_decay=0.01)
    for _ in steps:
        picked = [rng.choice(templates) for _ in range(len(image))]
        pull = cosine_loss(spliced_features(backbone, picked, words[:, None]), image)
        keep = cosine_loss(spliced_features(backbone, phrases.prompts, words[:, None]), phrases.features)
        loss = (pull + options.phrase_weight * keep) / (1 + options.phrase_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.mul_(options.ema).add_(words.detach(), alpha=1 - options.ema)
    return average


class SearleObjective:
    """Distillation: phi must reproduce the optimised pseudo-words (contrastive) and keep the meaning of phrases."""

    def __init__(
        self,
        backbone: Backbone,
        image: Tensor,
        pseudo_words: Tensor,
        phrases: Phrases,
        *,
        temperature: float = 0.25,
        phrase_weight: float = 0.75,
    ) -> None:
        self.backbone = backbone
        self.image, self.pseudo_words, self.phrases = image, pseudo_words, phrases
        self.temperature, self.phrase_weight = temperature, phrase_weight

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the pictures to a loss."""
        words = phi(self.image[rows])  # (B, 1, w)
        distil = two_sided(self.pseudo_words[rows], words[:, 0], self.temperature)
        prompts = [self.phrases.prompts[row] for row in rows.tolist()]
        keep = cosine_loss(spliced_features(self.backbone, prompts, words), self.phrases.features[rows])
        return distil + self.phrase_weight * keep
