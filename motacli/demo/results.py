"""The demo's table: what each way to query reaches on the four mini benchmarks, and what the adapter adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from motacli.demo.recipe import HEADLINES, Recipe
from motacli.demo.scoring import Metrics, Scores, source_name

BASELINES = ("image", "text", "sum", "late-fusion")


@dataclass(frozen=True)
class Adapted:
    """One inversion network on one benchmark, in percent: alone, with the adapter, and both with late fusion.

    ``mota`` are means over adapter seeds, ``..._std`` their sample standard deviations (0 for a single seed).
    """

    base: Metrics
    mota: Metrics
    mota_std: Metrics
    base_late_fusion: Metrics
    mota_late_fusion: Metrics
    mota_late_fusion_std: Metrics

    def gain(self, metric: str) -> float:
        """Points won by the adapter."""
        return self.mota[metric] - self.base[metric]


@dataclass(frozen=True)
class DemoResults:
    """What ``mota demo --json`` prints: percent by benchmark and metric, a share in 0..1, and seconds by stage."""

    baselines: Mapping[str, Mapping[str, Metrics]]
    inversions: Mapping[str, Mapping[str, Adapted]]
    trainable_share: float
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, scores: Scores, recipe: Recipe, trainable_share: float, seconds: Mapping[str, float]) -> DemoResults:
        """Gather the scores of all seeds."""
        inversions = {
            name: {benchmark: _adapted(scores, name, benchmark, recipe.adapter_seeds) for benchmark in HEADLINES}
            for name in recipe.inversions
        }
        baselines = {name: scores[name] for name in BASELINES}
        return cls(baselines, inversions, trainable_share, {**seconds, "total": round(sum(seconds.values()), 2)})

    def mean_gain(self, inversion: str) -> float:
        """Points won by the adapter, averaged over the benchmarks' headline metrics."""
        return fmean(self.inversions[inversion][name].gain(metric) for name, metric in HEADLINES.items())

    def best_inversion(self) -> str:
        """The inversion network with the best adapted headline numbers."""
        return max(
            self.inversions,
            key=lambda name: fmean(self.inversions[name][b].mota[m] for b, m in HEADLINES.items()),
        )


def _adapted(scores: Scores, inversion: str, benchmark: str, seeds: Sequence[int]) -> Adapted:
    plain = [scores[source_name(inversion, seed)][benchmark] for seed in seeds]
    fused = [scores[source_name(inversion, seed, fused=True)][benchmark] for seed in seeds]
    return Adapted(
        base=scores[source_name(inversion)][benchmark],
        mota=_mean(plain),
        mota_std=_std(plain),
        base_late_fusion=scores[source_name(inversion, fused=True)][benchmark],
        mota_late_fusion=_mean(fused),
        mota_late_fusion_std=_std(fused),
    )


def _mean(runs: Sequence[Metrics]) -> dict[str, float]:
    return {metric: fmean(run[metric] for run in runs) for metric in runs[0]}


def _std(runs: Sequence[Metrics]) -> dict[str, float]:
    return {metric: stdev(run[metric] for run in runs) if len(runs) > 1 else 0.0 for metric in runs[0]}
