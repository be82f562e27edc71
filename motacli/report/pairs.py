"""Two runs on the same queries: what one has over the other, and what else tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from motacli.errors import DataError
from motacli.report.runs import Run
from motacli.significance import RESAMPLES, Difference, Resampled, resample

Key = tuple[str, str]
"""A unit and a metric."""
_SAME_MEAN = 1e-6


def differences(
    baseline: Run, other: Run, wanted: Sequence[Key], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[Key, Difference]:
    """What ``other`` has over ``baseline``, in points, where both know what each query was worth.

    An average over units is resampled within each of them. Raises `DataError` where the queries are not the same.
    """
    resampled: dict[Key, Resampled] = {}
    for unit in _shared_units(baseline, other):
        metrics = [metric for metric in baseline.units[unit].values if metric in other.units[unit].values]
        if not metrics:
            continue
        # Seeded by the unit's name, so that its numbers do not depend on what else is compared.
        together = resample(_paired(baseline, other, unit, metrics), [seed, crc32(unit.encode())], resamples)
        resampled |= {(unit, metric): together.column(place) for place, metric in enumerate(metrics)}
    found = {}
    for key in wanted:
        part = resampled.get(key) or _average(baseline, other, key, resampled)
        if part is not None:
            (found[key],) = part.differences()
    return found


def remarks(baseline: Run, other: Run) -> list[str]:
    """What else differs between two runs than the way to query."""
    pair = f"{baseline.path} and {other.path}"
    said = [
        f"{pair} differ in their {name}: part of their difference may come from that."
        for name in sorted(baseline.settings.keys() & other.settings.keys())
        if baseline.settings[name] != other.settings[name]
    ]
    said += [
        f"{run.path} is ranked by index store {store['name']!r}; published numbers are ranked exactly."
        for run in (baseline, other)
        if (store := run.settings.get("index store"))
    ]
    asked, answered = _digests(baseline), _digests(other)
    known = [unit for unit in _shared_units(baseline, other) if unit in asked and unit in answered]
    said += [
        f"{pair} saw different galleries or annotations of {unit}." for unit in known if asked[unit] != answered[unit]
    ]
    for one, two in ((baseline, other), (other, baseline)):
        lacking = [name for name in one.units if name not in two.units]
        if lacking:
            said.append(f"{two.path} lacks {', '.join(lacking)}, which {one.path} has.")
    return said


def _shared_units(baseline: Run, other: Run) -> list[str]:
    own = [{name for name, unit in run.units.items() if not unit.derived} for run in (baseline, other)]
    return [name for name in baseline.units if name in own[0] & own[1]]


def _paired(baseline: Run, other: Run, unit: str, metrics: Sequence[str]) -> np.ndarray:
    """Differences ``(Q, M)`` in points, query by query."""
    first, second = baseline.units[unit], other.units[unit]
    if set(first.query_ids) != set(second.query_ids):
        raise DataError(
            f"{baseline.path} and {other.path} answered different queries of {unit}",
            "only runs on the same annotation files can be compared",
        )
    place = {id: row for row, id in enumerate(second.query_ids)}
    rows = [place[id] for id in first.query_ids]
    return 100 * np.stack([second.values[m][rows] - first.values[m] for m in metrics], axis=1)


def _average(baseline: Run, other: Run, key: Key, resampled: Mapping[Key, Resampled]) -> Resampled | None:
    """A derived number's resamples where in both runs it is the plain mean over the units; None where it is not."""
    name, metric = key
    parts = {unit: part for (unit, of), part in resampled.items() if of == metric}
    for run in (baseline, other):
        stated = run.units[name].metrics.get(metric) if name in run.units else None
        means = {unit.name: unit.metrics.get(metric) for unit in run.units.values() if not unit.derived}
        if stated is None or not parts or means.keys() != parts.keys():
            return None
        if abs(sum(means[unit] or 0.0 for unit in parts) / len(parts) - stated) > _SAME_MEAN:
            return None
    return Resampled.average(list(parts.values()))


def _digests(run: Run) -> Mapping[str, str]:
    found = run.provenance.get("digests", {})
    return found if isinstance(found, Mapping) else {}
