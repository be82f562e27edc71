"""The field's metrics as pure functions: one value in 0..1 per query, from the 1-based ranks of its targets.

Names are those of the papers: ``R@K``, ``Rsubset@K``, ``mAP@K`` and ``mean_of_A_and_B``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from motacli.contracts import APDivisor
from motacli.errors import MotaError, UnknownNameError
from motacli.ragged import Lists, Ragged

NAME = re.compile(r"(R|Rsubset|mAP)@([1-9]\d*)")
MEAN_PREFIX, MEAN_JOINER = "mean_of_", "_and_"


def ranks_in(ranking: Sequence[str], targets: Sequence[str]) -> list[float]:
    """The 1-based rank of each target in a list of ids, infinite where the list does not hold it."""
    places = {id: place for place, id in reversed(list(enumerate(ranking, start=1)))}
    return [places.get(target, float("inf")) for target in targets]


def recall_at_k(ranks: Sequence[float] | np.ndarray, k: int) -> float:
    """``R@K = 1 if rank(target) <= K else 0`` for one query.

    ``ranks`` holds the ranks of its targets, the annotated target first; only that one counts, in CIRCO too. Averaged
    over queries this is the field's recall, which other communities call hit rate.
    """
    return float(ranks[0] <= k)


def average_precision_at_k(
    ranks: Sequence[float] | np.ndarray, k: int, divisor: APDivisor = "min(K, targets)"
) -> float:
    """``AP@K = sum over targets with rank <= K of (targets ranked so far / rank) / min(K, |targets|)`` for one query.

    The divisor is CIRCO's (Baldrati et al., 2023): a perfect top K scores 1 even with more than K targets, and a query
    with fewer than K targets is not punished for the rest of the list. ``"targets"`` divides by all targets instead,
    as some suites do.
    """
    found = sorted(rank for rank in ranks if rank <= k)
    total = len(ranks) if divisor == "targets" else min(k, len(ranks))
    return float(sum(count / rank for count, rank in enumerate(found, start=1))) / total


def mean_parts(name: str) -> tuple[str, ...]:
    """The metrics that ``mean_of_A_and_B`` averages; empty for a metric of its own."""
    return tuple(name.removeprefix(MEAN_PREFIX).split(MEAN_JOINER)) if name.startswith(MEAN_PREFIX) else ()


def is_recall(name: str) -> bool:
    """Whether the metric counts hits, so that its sum over queries is an integer."""
    return name.startswith(("R@", "Rsubset@"))


def check_name(name: str) -> None:
    """Raise `UnknownNameError` unless ``name`` is a metric's."""
    for part in mean_parts(name) or (name,):
        if NAME.fullmatch(part) is None:
            raise UnknownNameError("metric", name, ("R@K", "Rsubset@K", "mAP@K", "mean_of_A_and_B"))


def cut_off(name: str) -> int:
    """The K of a metric that is no mean of others."""
    return int(name.partition("@")[2])


def query_values(
    name: str,
    ranks: Lists | Ragged,
    subset_ranks: Lists | Ragged | None = None,
    ap_divisor: APDivisor = "min(K, targets)",
) -> list[float]:
    """The named metric for every query; ``subset_ranks`` are the ranks within the queries' subsets.

    Equals `recall_at_k` and `average_precision_at_k` of each query's ranks.
    """
    check_name(name)
    parts = mean_parts(name)
    if parts:
        columns = [query_values(part, ranks, subset_ranks, ap_divisor) for part in parts]
        return [sum(row) / len(parts) for row in zip(*columns, strict=True)]
    kind, k = name.partition("@")[0], cut_off(name)
    if kind == "mAP":
        return [average_precision_at_k(row, k, ap_divisor) for row in Ragged.of(ranks, float).lists()]
    if kind == "R":
        return _recalls(ranks, k)
    if subset_ranks is None:
        raise MotaError(f"{name} needs queries with a subset", "only CIRR's queries have one")
    return _recalls(subset_ranks, k)


def _recalls(ranks: Lists | Ragged, k: int) -> list[float]:
    values: list[float] = (Ragged.of(ranks, float).first() <= k).astype(float).tolist()
    return values


def percent(values: Sequence[float]) -> float:
    """The mean over queries in percent."""
    return 100.0 * sum(values) / len(values)
