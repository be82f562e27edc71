"""How published code for composed image retrieval scores a unit; the yardstick of `mota bench eval`.

Rankings are sorted in full and turned into matrices of image names, and every question is put to the names: where is
the reference, so that it can be taken out; which entry is the target; who belongs to the group. Benchmarks with several
targets are gone through one query at a time. Written from a description of what such code does; it stands for none in
particular, and runs on the CPU, where the names are in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motacli.contracts import EvalUnit
from motacli.errors import MotaError
from motacli.metrics import NAME


@dataclass(frozen=True, slots=True)
class PeerScores:
    """Metrics in percent, and their values in 0..1 for every query ``(Q,)``."""

    metrics: Mapping[str, float]
    per_query: Mapping[str, np.ndarray]


def score(unit: EvalUnit, gallery: Tensor, queries: Tensor) -> PeerScores:
    """Score queries ``(Q, d)`` against a gallery ``(G, d)``, both of unit rows."""
    several = any(name.startswith("mAP@") for name in unit.metrics)
    per_query = _score_one_by_one(unit, gallery, queries) if several else _score_by_names(unit, gallery, queries)
    return PeerScores({name: 100 * float(values.mean()) for name, values in per_query.items()}, per_query)


def _score_by_names(unit: EvalUnit, gallery: Tensor, queries: Tensor) -> dict[str, np.ndarray]:
    """Recalls from name matrices ``(Q, G)``."""
    distances = 1 - queries @ gallery.T
    order = torch.argsort(distances, dim=-1).numpy()
    ranked = np.array(unit.gallery)[order]
    if unit.exclude_reference:
        kept = ranked != _repeated([query.reference for query in unit.queries], ranked.shape[1])
        ranked = ranked[kept].reshape(len(ranked), -1)
    labels = {"R": ranked == _repeated([query.targets[0] for query in unit.queries], ranked.shape[1])}
    if not (labels["R"].sum(axis=1) == 1).all():
        raise MotaError(f"{unit.name}: a target is not in its ranking exactly once")
    if unit.queries[0].subset:
        members = np.array([(query.reference, *query.subset) for query in unit.queries])
        in_group = (ranked[:, :, None] == members[:, None, :]).sum(axis=-1).astype(bool)
        labels["Rsubset"] = labels["R"][in_group].reshape(len(ranked), -1)
    return {name: labels[kind][:, :k].sum(axis=1).astype(float) for name, kind, k in _parsed(unit.metrics)}


def _score_one_by_one(unit: EvalUnit, gallery: Tensor, queries: Tensor) -> dict[str, np.ndarray]:
    """Average precisions, and recalls of the annotated target, from the best few of each query in turn."""
    parsed = _parsed(unit.metrics)
    deepest = max(k for _, _, k in parsed)
    columns: dict[str, list[float]] = {name: [] for name in unit.metrics}
    for feature, query in zip(queries, unit.queries, strict=True):
        best = torch.topk(feature @ gallery.T, deepest).indices
        ranked = np.array(unit.gallery)[best]
        hits = np.isin(ranked, query.targets)
        precisions = np.cumsum(hits) * hits / np.arange(1, deepest + 1)
        label = ranked == query.targets[0]
        for name, kind, k in parsed:
            found = precisions[:k].sum() / min(len(query.targets), k) if kind == "mAP" else label[:k].sum()
            columns[name].append(float(found))
    return {name: np.array(values) for name, values in columns.items()}


def _repeated(names: Sequence[str], times: int) -> np.ndarray:
    """One name per query, repeated along its row ``(Q, times)``."""
    return np.repeat(np.array(names), times).reshape(len(names), times)


def _parsed(metrics: Sequence[str]) -> list[tuple[str, str, int]]:
    """Name, kind and K of each metric."""
    matches = [(name, NAME.fullmatch(name)) for name in metrics]
    return [(name, match[1], int(match[2])) for name, match in matches if match]
