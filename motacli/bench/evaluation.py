"""`mota bench eval`: from features to metrics, by `motacli.evaluation` and as published code does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from motacli.bench.agreement import near_ties
from motacli.bench.harness import Case, Work
from motacli.bench.synthetic import UnitFeatures, UnitShape, circo_ids, cirr_ids, fashioniq_ids, make_unit
from motacli.evaluation import UnitResult, score_unit

if TYPE_CHECKING:
    from motacli.bench.peer_baseline import PeerScores


@dataclass(frozen=True, slots=True)
class EvaluationCase:
    """One split of a benchmark; ``keep_top`` entries of each ranking are kept as for a submission."""

    name: str
    units: tuple[UnitShape, ...]
    keep_top: int = 0

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows over all units, and the dimension of the features."""
        queries, gallery = sum(unit.queries for unit in self.units), sum(unit.gallery for unit in self.units)
        return {"queries": queries, "gallery": gallery, "dim": self.units[0].dim}

    def scaled(self, fraction: float) -> EvaluationCase:
        """A smaller case of the same kind."""
        return replace(self, units=tuple(unit.scaled(fraction) for unit in self.units))

    def inputs(self, seed: int) -> list[UnitFeatures]:
        """The units with their features."""
        return [make_unit(unit, np.random.default_rng((seed, index))) for index, unit in enumerate(self.units)]

    def ours(self, inputs: Sequence[UnitFeatures]) -> Work:
        """`score_unit` with everything it returns."""
        return lambda: [score_unit(data.unit, data.gallery, data.queries, self.keep_top) for data in inputs]

    def baseline(self, inputs: Sequence[UnitFeatures]) -> Work:
        """`motacli.bench.peer_baseline`, on tensors that share the inputs' memory."""
        import torch

        from motacli.bench.peer_baseline import score

        tensors = [(data.unit, torch.from_numpy(data.gallery), torch.from_numpy(data.queries)) for data in inputs]
        return lambda: [score(*unit) for unit in tensors]

    def check(self, inputs: Sequence[UnitFeatures], ours: Sequence[UnitResult], baseline: Sequence[PeerScores]) -> int:
        """Every query's metrics have to be the same; how many differ by a near tie."""
        units = zip(inputs, ours, baseline, strict=True)
        return sum(near_ties(data, one, other) for data, one, other in units)


def _cirr() -> EvaluationCase:
    metrics = ("R@1", "R@5", "R@10", "R@50", "Rsubset@1", "Rsubset@2", "Rsubset@3")
    unit = UnitShape("cirr_val", 4181, 2297, metrics, cirr_ids, subset=5, exclude_reference=True)
    return EvaluationCase("cirr-val", (unit,))


def _fashioniq() -> EvaluationCase:
    sizes = {"dress": (2017, 3817), "shirt": (2038, 6346), "toptee": (1961, 5373)}
    units = (UnitShape(f"fashioniq_{name}", *size, ("R@10", "R@50"), fashioniq_ids) for name, size in sizes.items())
    return EvaluationCase("fashioniq", tuple(units))


def _circo() -> EvaluationCase:
    """As many queries as the hidden test split has, whose scoring on the server is of this size."""
    metrics = ("mAP@5", "mAP@10", "mAP@25", "mAP@50", "R@5", "R@10", "R@25", "R@50")
    unit = UnitShape("circo_test", 800, 123_403, metrics, circo_ids, mean_targets=4.5)
    return EvaluationCase("circo", (unit,), keep_top=50)


CASES: dict[str, Case] = {case.name: case for case in (_cirr(), _fashioniq(), _circo())}
