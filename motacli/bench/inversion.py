"""`mota bench train-inversion`: steps of our training of inversion networks, and the same steps as published code runs
them.

Text features are ready before our clock starts, as they are in `mota train inversion`, which encodes every caption once
for all epochs. Tokenising and masking count on both sides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from motacli.backbones import OpenClipBackbone
from motacli.bench import peer_training
from motacli.bench.harness import Case, Work
from motacli.bench.peer_training import PeerTower, Step
from motacli.bench.random_clip import MINIATURE, VIT_B_32, TowerShape, random_backbone
from motacli.bench.text_inputs import make_captions, mean_tokens
from motacli.encoding import encode_texts
from motacli.errors import MotaError
from motacli.inversions import oti
from motacli.inversions.concepts import templates
from motacli.inversions.data import PairFeatures
from motacli.inversions.lincir import LinCIRObjective, LinCIROptions
from motacli.inversions.oti import OTIOptions
from motacli.inversions.phi import Phi
from motacli.inversions.phrases import CaptionBook
from motacli.inversions.searle import SearleObjective, SearleOptions
from motacli.inversions.training import InversionOptions, train_inversion

SAME = 1e-4
"""How far the sides' results may be apart."""
WORD_SCALE = 0.02
"""Spread of a pseudo-word's coordinates, as of CLIP's token embeddings."""
_SAMPLE = 200
"""Captions whose tokens are counted for the report."""


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """Pictures with captions, all features ready, a pseudo-word ``(N, w)`` for each, and a network to start from."""

    backbone: OpenClipBackbone
    data: PairFeatures
    words: Tensor
    phi: nn.Module
    seed: int


@dataclass(frozen=True)
class TrainingCase(ABC):
    """``steps`` steps on batches of ``rows`` samples, no sample twice.

    ``weight_gradients`` says whether the baseline's tower is left trainable.
    """

    name: str
    rows: int = 32
    steps: int = 2
    tower: TowerShape = VIT_B_32
    weight_gradients: bool = True

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows of a step, steps, the tower's size, and the mean tokens of captions before and after masking."""
        captions = make_captions(_SAMPLE, 0)
        return {
            "rows": self.rows,
            "steps": self.steps,
            "layers": self.tower.layers,
            "width": self.tower.width,
            "caption_tokens": round(mean_tokens(captions)),
            "masked_tokens": round(mean_tokens([self._masked(caption) for caption in captions])),
        }

    @property
    def counted(self) -> tuple[str, int]:
        """The samples that one run goes through."""
        return "samples", self.rows * self.steps

    def scaled(self, rows: int, steps: int) -> Self:
        """The same on a miniature tower."""
        return replace(self, rows=rows, steps=steps, tower=MINIATURE)

    def inputs(self, seed: int) -> TrainingInputs:
        """Everything random is drawn from the seed."""
        backbone = random_backbone(self.tower, seed)
        size = self.rows * self.steps
        captions = make_captions(size, seed)
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(size, backbone.joint_dim, generator=generator)
        words = WORD_SCALE * torch.randn(size, backbone.text_width, generator=generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            phi = Phi(joint_dim=backbone.joint_dim, text_width=backbone.text_width, dropout=0.0)
        text = torch.from_numpy(encode_texts(backbone, captions))
        return TrainingInputs(backbone, PairFeatures(image, captions, text), words, phi, seed)

    @abstractmethod
    def ours(self, inputs: TrainingInputs) -> Work:
        """Our steps."""

    def baseline(self, inputs: TrainingInputs) -> Work:
        """The steps of `motacli.bench.peer_training`, on a copy of the tower."""
        backbone = inputs.backbone
        tower = PeerTower(backbone.model, backbone.tokenizer, weight_gradients=self.weight_gradients)
        return lambda: self._peer(inputs, tower)

    def check(self, inputs: TrainingInputs, ours: Any, baseline: Any) -> int:
        """The results have to be the same; nothing that differs is let pass."""
        difference = self._difference(torch.as_tensor(ours), torch.as_tensor(baseline))
        if not difference <= SAME:  # in this form NaN is no small difference
            raise MotaError(
                f"{self.name}: our results and the baseline's are {difference:.2g} apart",
                "a comparison of speed would mean nothing; please report this",
            )
        return 0

    @abstractmethod
    def _peer(self, inputs: TrainingInputs, tower: PeerTower) -> Any:
        """The baseline's steps."""

    def _masked(self, caption: str) -> str:
        return peer_training.mask_concept(caption)

    def _difference(self, ours: Tensor, baseline: Tensor) -> float:
        """Between the losses of each step, the largest."""
        return float((ours - baseline).abs().max())


class LinCIRCase(TrainingCase):
    """LinCIR: every run of keywords is masked."""

    def ours(self, inputs: TrainingInputs) -> Work:
        """`train_inversion` on a `LinCIRObjective`."""
        options = self._options(inputs)
        return lambda: _train(inputs, options, lambda: LinCIRObjective(inputs.backbone, inputs.data, options))

    def _peer(self, inputs: TrainingInputs, tower: PeerTower) -> list[float]:
        options = self._options(inputs)
        steps = drawn_steps(len(inputs.data), options)
        phi, captions = deepcopy(inputs.phi), inputs.data.captions
        return peer_training.train_lincir(tower, phi, captions, steps, lr=options.lr, wd=options.wd)

    def _options(self, inputs: TrainingInputs) -> LinCIROptions:
        return LinCIROptions(steps=self.steps, batch_size=self.rows, keywords="light", seed=inputs.seed)

    def _masked(self, caption: str) -> str:
        return peer_training.mask_keywords(caption)


class SearleCase(TrainingCase):
    """SEARLE's distillation: optimised pseudo-words are learned, phrases keep their meaning."""

    def ours(self, inputs: TrainingInputs) -> Work:
        """`train_inversion` on a `SearleObjective`."""
        options, backbone, data = self._options(inputs), inputs.backbone, inputs.data

        def objective() -> SearleObjective:
            return SearleObjective(backbone, data.image, inputs.words, CaptionBook(backbone, data), options)

        return lambda: _train(inputs, options, objective)

    def _peer(self, inputs: TrainingInputs, tower: PeerTower) -> list[float]:
        options, data = self._options(inputs), inputs.data
        return peer_training.train_searle(
            tower,
            deepcopy(inputs.phi),
            data.image,
            inputs.words,
            data.captions,
            drawn_steps(len(data), options),
            lr=options.lr,
            wd=options.wd,
            temperature=options.temperature,
            phrase_weight=options.phrase_weight,
        )

    def _options(self, inputs: TrainingInputs) -> SearleOptions:
        return SearleOptions(epochs=0, steps=self.steps, batch_size=self.rows, seed=inputs.seed)


class OTICase(TrainingCase):
    """SEARLE's textual inversion: ``steps`` steps for the first ``rows`` pictures."""

    def ours(self, inputs: TrainingInputs) -> Work:
        """`motacli.inversions.oti.invert`."""
        backbone, data = inputs.backbone, inputs.data

        def work() -> Tensor:
            book = CaptionBook(backbone, data)
            return oti.invert(backbone, data.image[: self.rows], book, self._options(), seed=inputs.seed)

        return work

    def _peer(self, inputs: TrainingInputs, tower: PeerTower) -> Tensor:
        options, data = self._options(), inputs.data
        return peer_training.invert(
            tower,
            data.image[: self.rows],
            oti.first_words(self.rows, inputs.backbone.text_width, inputs.seed, 0),
            data.captions[: self.rows],
            templates(),
            oti.drawing(inputs.seed, 0),
            steps=options.steps,
            lr=options.lr,
            wd=options.wd,
            phrase_weight=options.phrase_weight,
        )

    def _options(self) -> OTIOptions:
        # Without averaging, the words that come back are those of the last step.
        return OTIOptions(steps=self.steps, batch_size=self.rows, ema=0.0)

    def _difference(self, ours: Tensor, baseline: Tensor) -> float:
        """Between coordinates of the pseudo-words, on average: a first step moves each by the whole learning rate, to
        one side or the other even where rounding decides which.
        """
        return float((ours - baseline).abs().mean())


def drawn_steps(size: int, options: InversionOptions) -> list[Step]:
    """The rows and the noise of every step that `train_inversion` makes with these options."""
    drawn: list[tuple[Sequence[int], Tensor]] = []

    def note(phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        drawn.append((rows.tolist(), noise.get_state()))
        return sum((weight.sum() for weight in phi.parameters()), torch.zeros(()))

    train_inversion(nn.Linear(1, 1), note, size, options)
    return [(rows, torch.Generator().set_state(state)) for rows, state in drawn]


def _train(inputs: TrainingInputs, options: InversionOptions, objective: Callable[[], Any]) -> Sequence[float]:
    """The losses of our training, from the inputs' network, which stays as it is."""
    return train_inversion(deepcopy(inputs.phi), objective(), len(inputs.data), options).losses


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        LinCIRCase("lincir"),
        LinCIRCase("lincir-frozen", weight_gradients=False),
        SearleCase("searle"),
        OTICase("searle-oti", rows=16),
    )
}
