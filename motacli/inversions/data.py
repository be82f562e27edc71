"""What inversion networks are trained on: cached features of pictures and captions, and the losses they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.compose import TokenPrompt, splice, spliced_length
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.processes.sharing import all_rows, own_rows, sharing_world

PHOTO = "a photo of"


@dataclass(frozen=True)
class PairFeatures:
    """Image features ``(N, d)`` and captions with their text features ``(N, d)``, all frozen and not normalised.

    What a training does not need may be missing: ``image`` and ``text`` are then ``(0, d)``, ``captions`` empty.
    Features may be `motacli.rows_on_disk.RowsOnDisk` in a tensor's place: only rows that are indexed are then read.
    """

    image: Tensor
    captions: tuple[str, ...]
    text: Tensor

    def __len__(self) -> int:
        return max(len(self.image), len(self.captions))

    @property
    def has_images(self) -> bool:
        """Whether there are pictures, and not captions alone."""
        return len(self.image) > 0

    @property
    def has_captions(self) -> bool:
        """Whether there are captions, and not pictures alone."""
        return len(self.captions) > 0

    def to(self, device: torch.device) -> PairFeatures:
        """The same on another device."""
        return PairFeatures(self.image.to(device), self.captions, self.text.to(device))


def require_images(data: PairFeatures, name: str) -> None:
    """Raise `DataError` where there are captions alone."""
    if not data.has_images:
        raise DataError(f"inversion {name!r} is trained on pictures, and there are none", "give --data or --features")


def require_captions(data: PairFeatures, name: str) -> None:
    """Raise `DataError` where there are pictures alone."""
    if not data.has_captions:
        raise DataError(f"inversion {name!r} is trained on captions, and there are none", "give data that has captions")


def photo_prompt(backbone: Backbone) -> TokenPrompt:
    """``a photo of [pseudo-word]``."""
    return TokenPrompt(tuple(backbone.tokenize(PHOTO)), ())


def spliced_features(backbone: Backbone, prompts: Sequence[TokenPrompt], pseudo_words: Tensor) -> Tensor:
    """Prompts with pseudo-words ``(B, n, w)`` to text features ``(B, d)``.

    In a training of several processes each computes its part of them, and all have the same values and gradients.
    """
    world = sharing_world()
    if world.size == 1:
        return _spliced_features(backbone, prompts, pseudo_words)
    # As long as the whole batch makes them, for rounding does not differ then between numbers of processes.
    length = spliced_length(backbone, prompts, pseudo_words.shape[1])
    own = _spliced_features(backbone, prompts[world.part(len(prompts))], own_rows(pseudo_words), length)
    return all_rows(own, len(prompts))


def _spliced_features(
    backbone: Backbone, prompts: Sequence[TokenPrompt], pseudo_words: Tensor, length: int = 0
) -> Tensor:
    spliced = splice(backbone, prompts, pseudo_words, length=length)
    return backbone.encode_embeddings(spliced.embeddings, spliced.ends)


def two_sided(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """SEARLE's contrastive loss between pairs ``a`` and ``b`` ``(B, w)`` (Baldrati et al., ICCV 2023, distillation).

    Negatives come from both sides, and each anchor's denominator holds its positive.
    """
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    both = torch.cat([a, b])
    logits = both @ both.T / temperature
    logits = logits.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), -torch.inf)
    size = len(a)
    positive = torch.arange(2 * size, device=both.device).roll(size)
    return F.cross_entropy(logits, positive)


def cosine_loss(a: Tensor, b: Tensor) -> Tensor:
    """One minus the mean cosine of rows ``(B, d)``."""
    return 1 - F.cosine_similarity(a, b, dim=1).mean()


@torch.no_grad()
def recall_at_1(backbone: Backbone, phi: nn.Module, image: Tensor, batch_size: int = 256) -> float:
    """How often "a photo of [phi(v)]" is nearest to its own picture in ``image`` ``(N, d)``: a health check, 0..1."""
    prompt = photo_prompt(backbone)
    texts = [spliced_features(backbone, [prompt] * len(part), phi(part)) for part in image.split(batch_size)]
    similarity = F.normalize(torch.cat(texts), dim=1) @ F.normalize(image, dim=1).T
    nearest = similarity.argmax(1)
    return float((nearest == torch.arange(len(image), device=nearest.device)).float().mean())
