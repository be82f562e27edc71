"""One step of an adapter's training: the loss of a batch and its gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.adapters.computing import Composer
from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.negatives import mine_near_misses
from motacli.adapters.objective import candidate_entropy, entropy_weights, weighted_info_nce
from motacli.adapters.options import TrainOptions
from motacli.adapters.prompts import balance_loss
from motacli.processes.world import World
from motacli.rows_on_disk import root_mean_square


@dataclass(frozen=True)
class StepReport:
    """What a step saw: loss, share of right choices in the batch, mean gate of each expert ``(K,)``.

    ``spread`` is the entropy of the samples' weights over its maximum: 1 when all count alike, less the fewer count.
    """

    loss: Tensor
    accuracy: Tensor
    usage: Tensor
    spread: Tensor

    def values(self) -> dict[str, float]:
        """Numbers for a curve or a line of progress."""
        usage = {f"usage/{number}": float(gate) for number, gate in enumerate(self.usage)}
        return {
            "loss": float(self.loss),
            "accuracy": float(self.accuracy),
            "weight_entropy": float(self.spread),
            **(usage if len(usage) > 1 else {}),
        }


class TrainingStep:
    """Computes the loss of the triplets ``rows`` and adds its gradients to the adapter's parameters.

    Near misses are looked for once. ``learnt`` are the rows that may be learned from.
    """

    def __init__(
        self,
        composer: Composer,
        data: TripletFeatures,
        options: TrainOptions,
        world: World | None = None,
        learnt: Tensor | None = None,
    ) -> None:
        self.composer, self.data, self.options = composer, data, options
        self.world = world or World()
        self.learnt = learnt
        self.scale = composer.backbone.logit_scale
        self.unit = root_mean_square(data.image)

    @cached_property
    def near_misses(self) -> Tensor | None:
        """Rows ``(N, M)`` of each triplet's mined negatives."""
        options = self.options
        if not options.mined_negatives:
            return None
        return mine_near_misses(
            self.data.target,
            options.mined_negatives,
            options.mining_pool,
            options.mining_ceiling,
            options.seed,
            self.learnt,
        )

    def __call__(self, rows: Tensor, noise: torch.Generator) -> StepReport:
        """``rows`` ``(B,)`` are those of all processes together; ``noise`` draws the features' noise for them."""
        shifts = torch.randn(len(rows), self.data.image.shape[1], generator=noise) if self.options.noise else None
        own, count = self.world.own(rows), len(rows)
        features = self.data.image[own]
        if shifts is not None:
            features = features + self.options.noise * self.unit * self.world.own(shifts).to(features.device)
        made = self.composer(features, [self.data.prompts[row] for row in own.tolist()])
        composed = self.world.gather(made.composed, count).requires_grad_()
        gates = self.world.gather(made.gates, count).requires_grad_()
        weights = self._weights(rows)
        loss = self._loss(composed, gates, rows, weights)
        if torch.isfinite(loss):
            loss.backward()
            assert composed.grad is not None
            made.backward(self.world.own(composed.grad), None if gates.grad is None else self.world.own(gates.grad))
            self.world.sum_gradients(self.composer.adapter)
        return self._report(loss.detach(), composed.detach(), gates.detach(), rows, weights)

    def _weights(self, rows: Tensor) -> Tensor | None:
        options = self.options
        if not options.beta or self.data.base is None:
            return None
        if options.scope == "bank":
            assert self.data.entropy is not None
            entropy = self.data.entropy[rows]
        else:
            candidates = F.normalize(self.data.target[rows], dim=1)
            entropy = candidate_entropy(self.data.base[rows], candidates, self.scale)
        return entropy_weights(entropy, options.beta)

    def _loss(self, composed: Tensor, gates: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
        options, data = self.options, self.data
        negatives = data.reference[rows] if options.reference_negatives else None
        misses = None if self.near_misses is None else data.target[self.near_misses[rows]]
        loss = weighted_info_nce(
            composed, data.target[rows], self.scale, weights, negatives, options.symmetric, near_misses=misses
        )
        if options.balance and gates.shape[1] > 1:
            loss = loss + options.balance * balance_loss(gates)
        if options.anchor and data.base is not None:
            loss = loss + options.anchor * (1 - F.cosine_similarity(composed, data.base[rows], dim=1).mean())
        return loss

    def _report(
        self, loss: Tensor, composed: Tensor, gates: Tensor, rows: Tensor, weights: Tensor | None
    ) -> StepReport:
        similarity = F.normalize(composed, dim=1) @ F.normalize(self.data.target[rows], dim=1).T
        right = similarity.argmax(1) == torch.arange(len(rows), device=similarity.device)
        shares = torch.full_like(similarity[0], 1 / len(rows)) if weights is None else weights / weights.sum()
        spread = -(shares * shares.clamp(min=1e-12).log()).sum() / math.log(max(len(rows), 2))
        return StepReport(loss, right.float().mean(), gates.mean(0), spread)
