"""SEARLE (Baldrati et al., ICCV 2023): optimise a pseudo-word for each picture, then distil them into one network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn

from motacli.compose import TokenPrompt
from motacli.contracts import Backbone, Prompt
from motacli.inversions.data import PairFeatures, cosine_loss, spliced_features, two_sided

TEMPLATES = ("a photo of", "a picture of", "an image of", "there is", "")


@dataclass(frozen=True)
class OTIOptions:
    """Textual inversion of single pictures. The authors run 350 steps at learning rate 2e-2 with an EMA of 0.99."""

    steps: int = 120
    lr: float = 2e-2
    ema: float = 0.95
    phrase_weight: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Phrases:
    """For each picture, phrases around one of its concepts: the phrase's text feature and the prompt with a slot for the concept."""

    prompts: tuple[TokenPrompt, ...]
    features: Tensor


def caption_phrases(backbone: Backbone, data: PairFeatures, concepts: Sequence[tuple[int, int]]) -> Phrases:
    """Phrases made offline from the pictures' own captions: the concept is the words ``concepts[i]`` = (start, end).

    The authors let GPT-Neo continue "a photo of {concept} that"; any list of phrases will do [ours].
    """
    halves = []
    for caption, (start, end) in zip(data.captions, concepts, strict=True):
        words = caption.split()
        halves.append(Prompt(" ".join(words[:start]), " ".join(words[end:])))
    prompts = tuple(TokenPrompt(tuple(backbone.tokenize(p.prefix)), tuple(backbone.tokenize(p.suffix))) for p in halves)
    return Phrases(prompts, data.text)


def invert(
    backbone: Backbone,
    image: Tensor,
    phrases: Phrases,
    options: OTIOptions,
    batch_size: int = 512,
    on_step: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Optimisation-based textual inversion: pictures ``(N, d)`` to the EMA of their pseudo-words ``(N, w)``.

    Each step pulls a random template with the pseudo-word to the picture, and a phrase with the pseudo-word in its
    concept's place to the phrase as it was: ``(L_cos + 0.5 L_phrase) / 1.5``.
    """
    templates = [TokenPrompt(tuple(backbone.tokenize(text)), ()) for text in TEMPLATES]
    rng, generator = Random(options.seed), torch.Generator().manual_seed(options.seed)
    done = []
    for start in range(0, len(image), batch_size):
        part = slice(start, start + batch_size)
        words = torch.randn(len(image[part]), backbone.text_width, generator=generator) * 0.02
        done.append(_invert_batch(backbone, image[part], phrases, part, words, templates, rng, options, on_step))
    return torch.cat(done)


def _invert_batch(
    backbone: Backbone,
    image: Tensor,
    phrases: Phrases,
    part: slice,
    words: Tensor,
    templates: Sequence[TokenPrompt],
    rng: Random,
    options: OTIOptions,
    on_step: Callable[[int, float], None] | None,
) -> Tensor:
    words.requires_grad_(True)
    average = words.detach().clone()
    optimizer = torch.optim.AdamW([words], lr=options.lr, weight_decay=0.01)
    for step in range(options.steps):
        picked = [rng.choice(templates) for _ in range(len(image))]
        pull = cosine_loss(spliced_features(backbone, picked, words[:, None]), image)
        keep = cosine_loss(
            spliced_features(backbone, phrases.prompts[part], words[:, None]), phrases.features[part]
        )
        loss = (pull + options.phrase_weight * keep) / (1 + options.phrase_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        average.mul_(options.ema).add_(words.detach(), alpha=1 - options.ema)
        if on_step is not None:
            on_step(part.start + step + 1, float(loss.detach()))
    return average


class SearleObjective:
    """Distillation: phi must reproduce the optimised pseudo-words (contrastive, temperature 0.25) and keep the meaning of
    phrases (weight 0.75). ``image_weight`` adds a pull to the picture itself [ours, 0 in the paper]."""

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
