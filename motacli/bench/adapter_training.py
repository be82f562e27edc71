"""`mota bench train`: steps of our training of MoTa-Adapter, and the same steps in a plain loop.

What is frozen is encoded before our clock starts, as `mota train` does once for all epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice

import torch

from motacli.adapters.batches import row_order, shuffled_batches
from motacli.adapters.frozen_half import TripletFeatures, prepare, with_base
from motacli.adapters.mota import MotaAdapter
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import train_adapter
from motacli.backbones import OpenClipBackbone
from motacli.bench import peer_adapter_training
from motacli.bench.gradients import Descent, keep_gradients, relative_difference
from motacli.bench.harness import Case, Work
from motacli.bench.peer_adapter_training import PeerObjective, PeerTriplets, PromptedTower
from motacli.bench.random_clip import Architecture, architecture, random_backbone
from motacli.bench.text_inputs import make_captions, make_changes, mean_tokens
from motacli.contracts import GeneratorInfo, Triplet
from motacli.errors import MotaError
from motacli.inversions.phi import Phi
from motacli.watch import Watch

SAME = 1e-4
"""How far losses and gradients of the sides may be apart, by their own size."""
LEARNED = 0.02
"""How far the adapter is from its start, where some gradients are zero whatever the tower does."""
_SAMPLE = 200
"""Captions whose tokens are counted for the report."""


@dataclass(frozen=True, slots=True)
class AdapterTrainingInputs:
    """Triplets as either side reads them, and an adapter to start from."""

    backbone: OpenClipBackbone
    inversion: Phi
    adapter: MotaAdapter
    features: TripletFeatures
    plain: PeerTriplets
    seed: int


@dataclass(frozen=True)
class AdapterTrainingCase:
    """``steps`` steps on batches of ``rows`` triplets, none twice.

    A single step of 8 is the default as the plain loop takes minutes for it on two cores; gradients are compared as
    such, so that no second step is needed to tell of them.
    """

    name: str
    shape: Architecture
    rows: int = 8
    steps: int = 1

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows of a step, steps, both towers' sizes, and the mean tokens of relative and target captions."""
        return {
            "rows": self.rows,
            "steps": self.steps,
            "layers": self.shape.text.layers,
            "width": self.shape.text.width,
            "vision_layers": self.shape.vision.layers,
            "vision_width": self.shape.vision.width,
            "caption_tokens": round(mean_tokens(make_changes(_SAMPLE, 0))),
            "target_tokens": round(mean_tokens(make_captions(_SAMPLE, 0))),
        }

    @property
    def counted(self) -> tuple[str, int]:
        """The samples that one run goes through."""
        return "samples", self.rows * self.steps

    def scaled(self, shape: Architecture, rows: int, steps: int) -> AdapterTrainingCase:
        """The same on another CLIP."""
        return replace(self, shape=shape, rows=rows, steps=steps)

    def inputs(self, seed: int) -> AdapterTrainingInputs:
        """Everything random is drawn from the seed."""
        backbone = random_backbone(self.shape.text, seed, self.shape.vision)
        count, size = self.rows * self.steps, self.shape.vision.image_size
        generator = torch.Generator().manual_seed(seed)
        pictures = torch.randn(count, 3, size, size, generator=generator)
        image = torch.cat([backbone.encode_image(part) for part in pictures.split(self.rows)])
        changes, targets = make_changes(count, seed), make_captions(count, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inversion = Phi(joint_dim=backbone.joint_dim, text_width=backbone.text_width)
            inversion.eval().requires_grad_(False)
            adapter = _learned(MotaAdapter(backbone))
        adapter.calibrate(image)
        features = prepare(backbone, list(map(_triplet, changes, targets)), image)
        features = with_base(features, backbone, inversion)
        plain = PeerTriplets(pictures, changes, targets, adapter.mdm.unit)
        return AdapterTrainingInputs(backbone, inversion, adapter, features, plain, seed)

    def ours(self, inputs: AdapterTrainingInputs) -> Work:
        """`train_adapter`."""
        return lambda: self._train(inputs)

    def baseline(self, inputs: AdapterTrainingInputs) -> Work:
        """The steps of `motacli.bench.peer_adapter_training`, on a copy of the towers."""
        backbone = inputs.backbone
        tower = PromptedTower(backbone.model, backbone.tokenizer, weight_gradients=True)
        return lambda: self._peer(inputs, tower)

    def check(self, inputs: AdapterTrainingInputs, ours: Descent, baseline: Descent) -> int:
        """Losses and gradients have to be the same; nothing that differs is let pass."""
        difference = relative_difference(ours, baseline)
        if not difference <= SAME:  # in this form NaN is no small difference
            raise MotaError(
                f"{self.name}: our losses or gradients and the baseline's are {difference:.2g} of their size apart",
                "a comparison of speed would mean nothing; please report this",
            )
        return 0

    def _train(self, inputs: AdapterTrainingInputs) -> Descent:
        adapter, losses = deepcopy(inputs.adapter), list[float]()
        gradients = keep_gradients(adapter)
        watch = Watch(on_step=lambda step, loss: losses.append(loss))
        options = self._options(inputs)
        train_adapter(adapter, inputs.backbone, inputs.inversion, inputs.features, options, watch=watch)
        return Descent(losses, gradients)

    def _peer(self, inputs: AdapterTrainingInputs, tower: PromptedTower) -> Descent:
        options = self._options(inputs)
        batches = shuffled_batches(len(inputs.features), options.batch_size, row_order(options.seed))
        return peer_adapter_training.train(
            tower,
            inputs.inversion,
            deepcopy(inputs.adapter),
            inputs.plain,
            [rows.tolist() for rows in islice(batches, self.steps)],
            torch.Generator().manual_seed(options.seed),
            PeerObjective(
                lr=options.lr,
                wd=options.wd,
                warmup=options.warmup,
                beta=options.beta,
                balance=options.balance,
                anchor=options.anchor,
                noise=options.noise,
            ),
        )

    def _options(self, inputs: AdapterTrainingInputs) -> TrainOptions:
        """The defaults of `mota train`."""
        return TrainOptions(steps=self.steps, batch_size=self.rows, seed=inputs.seed)


@torch.no_grad()
def _learned(adapter: MotaAdapter) -> MotaAdapter:
    for weight in adapter.parameters():
        weight.add_(LEARNED * torch.randn(weight.shape))
    return adapter


def _triplet(change: str, target: str) -> Triplet:
    """A made-up triplet; the reference's caption is the target's, as nothing reads it."""
    return Triplet("", "", "", target, change, target, "", "", GeneratorInfo("bench"))


CASES: dict[str, Case] = {"ViT-L-14": AdapterTrainingCase("ViT-L-14", architecture("ViT-L-14"))}
