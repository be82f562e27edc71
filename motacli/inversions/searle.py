"""SEARLE (Baldrati et al., ICCV 2023): optimise a pseudo-word for each picture, then distil them into one network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from motacli.contracts import Backbone
from motacli.inversions.concepts import associate, read_concepts
from motacli.inversions.data import (
    PairFeatures,
    cosine_loss,
    require_captions,
    require_images,
    spliced_features,
    two_sided,
)
from motacli.inversions.oti import OTIOptions, invert
from motacli.inversions.phi import Phi
from motacli.inversions.phrases import (
    CaptionBook,
    ConceptBook,
    PhraseBook,
    names_of,
    read_phrases,
    rule_phrases,
)
from motacli.inversions.training import InversionOptions, fit_network, require
from motacli.processes.sharing import sharing
from motacli.watch import Watch


@dataclass(frozen=True)
class SearleOptions(InversionOptions):
    """SEARLE's training, by its authors' recipe: 100 epochs of 100,000 pictures in batches of 256.

    ``temperature`` and ``phrase_weight`` are the distillation's; ``oti`` is how the pseudo-words are optimised first.
    ``phrases`` come from the pictures' own ``captions`` [ours], or from ``rules`` or a JSON file and are about concepts
    of each picture: its closest ``top_concepts`` among the names in the file ``concepts``.
    """

    epochs: int = 100
    batch_size: int = 256
    temperature: float = 0.25
    phrase_weight: float = 0.75
    phrases: str = "captions"
    concepts: str = ""
    top_concepts: int = 150
    oti: OTIOptions = field(default_factory=OTIOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.temperature > 0, f"temperature must be positive, not {self.temperature}")
        require(self.phrase_weight >= 0, f"phrase_weight must not be negative: {self.phrase_weight}")
        require(self.top_concepts >= 1, f"top_concepts must be positive, not {self.top_concepts}")
        require(self.phrases == "captions" or bool(self.concepts), "phrases about concepts need a file of concepts")


class Searle(Phi):
    """Phi trained by distilling optimised pseudo-words."""

    name = "searle"
    Options = SearleOptions

    @classmethod
    def fit(
        cls, backbone: Backbone, data: PairFeatures, options: SearleOptions, watch: Watch | None = None
    ) -> tuple[Self, dict[str, Any]]:
        """Optimise a pseudo-word for each picture, then train. See `motacli.contracts.TrainableInversion`."""
        require_images(data, cls.name)
        watch = watch or Watch()

        def objective(data: PairFeatures) -> SearleObjective:
            books = _books(backbone, data, options, watch)
            work = None if watch.work is None else watch.work / "oti"
            words = invert(
                backbone,
                data.image,
                books["oti"],
                options.oti,
                seed=options.seed,
                progress=watch.progress,
                work=work,
                world=watch.world,
            )
            return SearleObjective(backbone, data.image, words, books["distillation"], options)

        return fit_network(cls, backbone, data, options, objective, watch)


Stage = Literal["oti", "distillation"]


def _books(backbone: Backbone, data: PairFeatures, options: SearleOptions, watch: Watch) -> dict[Stage, PhraseBook]:
    """The phrases of both stages, which look at different numbers of a picture's concepts."""
    if options.phrases == "captions":
        require_captions(data, Searle.name)
        book = CaptionBook(backbone, data)
        return {"oti": book, "distillation": book}
    names = read_concepts(Path(options.concepts))
    phrases = rule_phrases(names) if options.phrases == "rules" else read_phrases(Path(options.phrases))
    names = tuple(name for name in names if name in phrases)
    with sharing(watch.world):
        found = names_of(associate(backbone, data.image, names, options.top_concepts, watch.progress), names)
    return {
        "oti": ConceptBook(backbone, [own[: options.oti.concepts] for own in found], phrases),
        "distillation": ConceptBook(backbone, found, phrases),
    }


class SearleObjective:
    """Distillation: phi must reproduce the optimised pseudo-words (contrastive) and keep the meaning of phrases."""

    def __init__(
        self,
        backbone: Backbone,
        image: Tensor,
        pseudo_words: Tensor,
        phrases: PhraseBook,
        options: SearleOptions,
    ) -> None:
        self.backbone = backbone
        self.image, self.pseudo_words, self.phrases = image, pseudo_words, phrases
        self.temperature, self.phrase_weight = options.temperature, options.phrase_weight

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the pictures to a loss."""
        words = phi(self.image[rows])  # (B, 1, w)
        loss = two_sided(self.pseudo_words[rows], words[:, 0].float(), self.temperature)
        if not self.phrase_weight:
            return loss
        rng = Random(int(torch.randint(2**62, (1,), generator=noise).item()))
        prompts, wholes = self.phrases.draw(rows.tolist(), rng)
        keep = cosine_loss(spliced_features(self.backbone, prompts, words).float(), wholes)
        return loss + self.phrase_weight * keep
