"""The demo's table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from motacli.demo.recipe import HEADLINES, INVERSION_TITLES, TITLES, Recipe
from motacli.demo.results import BASELINES, Adapted, DemoResults
from motacli.demo.scoring import Metrics

COLUMNS = (*HEADLINES.items(), ("cirr", "Rsubset@1"))
"""Benchmark and metric of each column."""
ADAPTER = "MoTa-Adapter"


def table_rows(results: DemoResults, recipe: Recipe) -> list[dict[str, str]]:
    """Baselines, then every inversion network alone and adapted, and both with late fusion."""
    fused = INVERSION_TITLES.get(recipe.fused, recipe.fused)
    names = ("image only", "text only", "image + text", f"late fusion ({fused} + {recipe.fusion:g} image)")
    rows = [_row(name, results.baselines[key]) for name, key in zip(names, BASELINES, strict=True)]
    spread = len(recipe.adapter_seeds) > 1
    for inversion, scores in results.inversions.items():
        title, base = INVERSION_TITLES.get(inversion, inversion), _part(scores, "base")
        std, fused_std = (_part(scores, f"mota{kind}_std") if spread else None for kind in ("", "_late_fusion"))
        gain = f"{results.mean_gain(inversion):+.1f}"
        rows += [
            _row(title, base),
            _row(f"{title} + {ADAPTER}", _part(scores, "mota"), std, base, gain),
            _row(f"{title} + late fusion", _part(scores, "base_late_fusion")),
            _row(f"{title} + {ADAPTER} + late fusion", _part(scores, "mota_late_fusion"), fused_std),
        ]
    return rows


def closing_lines(results: DemoResults, report: Path) -> list[str]:
    """What is said below the table."""
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in results.seconds.items())
    share = f"the adapter trains {100 * results.trainable_share:.2f} % of all parameters"
    return [f"{share}; {times}", f"pictures to look at: {report}"]


def _part(scores: Mapping[str, Adapted], name: str) -> dict[str, Metrics]:
    return {benchmark: getattr(adapted, name) for benchmark, adapted in scores.items()}


def _row(
    name: str,
    scores: Mapping[str, Metrics],
    std: Mapping[str, Metrics] | None = None,
    base: Mapping[str, Metrics] | None = None,
    mean_gain: str = "",
) -> dict[str, str]:
    row = {"query": name}
    for benchmark, metric in COLUMNS:
        text = f"{scores[benchmark][metric]:.1f}"
        if std is not None:
            text += f" ± {std[benchmark][metric]:.1f}"
        if base is not None:
            text += f" ({scores[benchmark][metric] - base[benchmark][metric]:+.1f})"
        row[f"{TITLES[benchmark]} {metric}"] = text
    row["mean gain"] = mean_gain
    return row
