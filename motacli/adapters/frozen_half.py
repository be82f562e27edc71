"""What stays frozen of a training, computed once: a step then runs the prompted text half only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.adapters.options import TrainOptions
from motacli.compose import TokenPrompt, batches_by_length, compose_base, tokenize_prompt
from motacli.contracts import Backbone, Inversion, Prompt, Triplet
from motacli.encoding import encode_texts
from motacli.errors import DataError


@dataclass(frozen=True)
class TripletFeatures:
    """What a training reads: image features ``(N, d)``, prompts, text features of targets and references ``(N, d)``.

    ``base`` ``(N, d)`` are the base model's unit composed features, for entropy weights and anchor; all the rest is the
    same for every inversion network.
    """

    image: Tensor
    prompts: tuple[TokenPrompt, ...]
    target: Tensor
    reference: Tensor
    base: Tensor | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    def to(self, device: torch.device) -> TripletFeatures:
        """The same on another device."""
        base = None if self.base is None else self.base.to(device)
        image, target, reference = (part.to(device) for part in (self.image, self.target, self.reference))
        return replace(self, image=image, target=target, reference=reference, base=base)


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
) -> TripletFeatures:
    """Compute the frozen half once. ``image_features`` ``(N, d)`` is row by row the triplets' reference images."""
    if len(triplets) < 2:
        raise DataError(f"{len(triplets)} triplets are too few to train on", "a contrastive batch needs at least two")
    if not torch.isfinite(image_features).all():
        raise DataError("the image features hold NaN or infinity", "make the feature cache again")
    return TripletFeatures(
        image=image_features,
        prompts=tuple(tokenize_prompt(backbone, training_prompt(t, template)) for t in triplets),
        target=torch.from_numpy(encode_texts(backbone, [t.target_caption for t in triplets], batch_size)),
        reference=torch.from_numpy(encode_texts(backbone, [t.reference_caption for t in triplets], batch_size)),
    )


@torch.no_grad()
def with_base(
    data: TripletFeatures, backbone: Backbone, inversion: Inversion, batch_size: int = 256
) -> TripletFeatures:
    """The same with the base model's composed features."""
    base = torch.empty_like(data.target)
    for rows in batches_by_length(data.prompts, batch_size):
        prompts = [data.prompts[row] for row in rows.tolist()]
        base[rows] = compose_base(backbone, inversion, data.image[rows], prompts).to(base.device)
    return replace(data, base=F.normalize(base, dim=1))
