"""What stays frozen of a training, computed once: a step then runs the prompted text half only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.adapters.frozen_store import ENTROPY_ROWS, FrozenStore, not_finite
from motacli.adapters.objective import candidate_entropy
from motacli.adapters.options import TrainOptions
from motacli.compose import TokenPrompt, batches_by_length, compose_base, tokenize_prompt
from motacli.console import Progress
from motacli.contracts import Backbone, Inversion, Prompt, Triplet
from motacli.encoding import encode_texts, unique_rows
from motacli.errors import DataError
from motacli.rows_on_disk import all_finite, rows_between

BANK = 1024
"""Target captions that the entropy of scope ``bank`` is over, about so many."""


@dataclass(frozen=True)
class TripletFeatures:
    """What a training reads: image features ``(N, d)``, prompts, text features of targets and references ``(N, d)``.

    ``base`` ``(N, d)`` are the base model's unit composed features, for entropy weights and anchor; all the rest is the
    same for every inversion network. ``entropy`` ``(N,)`` is the base model's over a fixed bank, for scope ``bank``.
    ``pictures`` ``(N,)`` numbers the distinct reference images.
    """

    image: Tensor
    prompts: tuple[TokenPrompt, ...]
    target: Tensor
    reference: Tensor
    base: Tensor | None = None
    entropy: Tensor | None = None
    pictures: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    def to(self, device: torch.device) -> TripletFeatures:
        """The same on another device."""
        base, entropy = (None if part is None else part.to(device) for part in (self.base, self.entropy))
        image, target, reference = (part.to(device) for part in (self.image, self.target, self.reference))
        return replace(self, image=image, target=target, reference=reference, base=base, entropy=entropy)


def training_prompt(triplet: Triplet, template: str) -> Prompt:
    """The composed prompt of a triplet."""
    prefix, suffix = template.split("{slot}")
    return Prompt(prefix.strip(), suffix.strip().format(caption=triplet.relative_caption))


@torch.no_grad()
def prepare(
    backbone: Backbone,
    triplets: Sequence[Triplet],
    image_features: Tensor,
    template: str = TrainOptions.template,
    batch_size: int = 256,
    progress: Progress | None = None,
    store: FrozenStore | None = None,
) -> TripletFeatures:
    """Compute the frozen half once, or take it from ``store``.

    ``image_features`` ``(N, d)`` is row by row the triplets' reference images.
    """
    if len(triplets) < 2:
        raise DataError(f"{len(triplets)} triplets are too few to train on", "a contrastive batch needs at least two")
    if not all_finite(image_features):
        raise DataError("the image features hold NaN or infinity", "make the feature cache again")
    texts = [triplet.target_caption for triplet in triplets] + [triplet.reference_caption for triplet in triplets]
    encoded = (
        store.texts(backbone, texts, batch_size, progress)
        if store is not None
        else torch.from_numpy(encode_texts(backbone, texts, batch_size, progress))
    )
    return TripletFeatures(
        image=image_features,
        prompts=tuple(tokenize_prompt(backbone, training_prompt(t, template)) for t in triplets),
        target=rows_between(encoded, 0, len(triplets)),
        reference=rows_between(encoded, len(triplets), len(encoded)),
        pictures=unique_rows([triplet.image for triplet in triplets])[1],
    )


@torch.no_grad()
def with_base(
    data: TripletFeatures,
    backbone: Backbone,
    inversion: Inversion,
    batch_size: int = 256,
    progress: Progress | None = None,
    store: FrozenStore | None = None,
) -> TripletFeatures:
    """The same with the base model's composed features; `MotaError` where one of them is not finite."""
    if store is not None:
        kept = store.base(backbone, inversion, data.image, data.prompts, batch_size, progress)
        return replace(data, base=kept.to(data.target.device))
    base = torch.empty_like(data.target)
    batches = batches_by_length(data.prompts, batch_size)
    for rows in progress.track(batches, "composing with the base model") if progress else batches:
        prompts = [data.prompts[row] for row in rows.tolist()]
        base[rows] = compose_base(backbone, inversion, data.image[rows], prompts).to(base.device)
    if not torch.isfinite(base).all():
        raise not_finite(inversion)
    return replace(data, base=F.normalize(base, dim=1))


@torch.no_grad()
def with_entropy(data: TripletFeatures, scale: float, store: FrozenStore | None = None) -> TripletFeatures:
    """The same with the entropies over a bank of about `BANK` of the target captions, evenly spaced.

    ``base`` has to be there; ``scale`` is the backbone's logit scale.
    """
    assert data.base is not None
    bank = F.normalize(data.target[:: max(1, len(data) // BANK)], dim=1)
    if store is not None:
        return replace(data, entropy=store.entropies(data.base, bank, scale).to(data.base))
    parts = [candidate_entropy(part, bank, scale) for part in data.base.split(ENTROPY_ROWS)]
    return replace(data, entropy=torch.cat(parts))
