"""Which expert answers what: usage by type of modification, load, entropy, and steadiness under paraphrase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motacli.analysis.estimates import Estimate, mean_estimate
from motacli.analysis.feature_sets import Parts
from motacli.analysis.gate_consistency import Consistency, consistency
from motacli.analysis.gates import expert_gates
from motacli.analysis.mutual_information import Association, association, one_hot
from motacli.analysis.routed_queries import RoutedQueries
from motacli.errors import DataError

SAMPLE = 2000
TOP = 4
"""Queries shown of each expert."""


@dataclass(frozen=True, slots=True)
class TypeRow:
    """Queries of a type: mean gates ``(K,)`` with their standard errors, and the share that each expert leads."""

    name: str
    queries: int
    gates: tuple[Estimate, ...]
    leads: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ExpertRow:
    """An expert, counted from 1: its mean gate, the share of queries that it leads, and those it is strongest for."""

    expert: int
    load: Estimate
    leads: Estimate
    top: tuple[TopQuery, ...]


@dataclass(frozen=True, slots=True)
class TopQuery:
    """A query and the gate that an expert has there."""

    id: str
    picture: str
    caption: str
    types: tuple[str, ...]
    gate: float


@dataclass(frozen=True)
class RoutingAnalysis:
    """All about the routing of some queries; errors are standard errors over queries.

    ``entropy`` is that of a query's gates and ``load_entropy`` that of their mean, both over ``log K``: 1 is even.
    ``leading`` and ``mixing`` associate types with the strongest expert and with the gates; None where all queries are
    of one type. ``typed_by`` says what types are, ``paraphrased_by`` where paraphrases come from.
    """

    queries: int
    experts: int
    seed: int
    typed_by: str
    paraphrased_by: str
    types: tuple[TypeRow, ...]
    load: tuple[ExpertRow, ...]
    entropy: Estimate
    load_entropy: float
    leading: Association | None
    mixing: Association | None
    consistency: tuple[Consistency, ...]


def analyse_routing(
    parts: Parts,
    routed: RoutedQueries,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = 0,
    batch_size: int = 256,
) -> RoutingAnalysis:
    """Read the gates of all queries and describe them; without ``paraphrases`` templates make some."""
    if len(routed) < 2:
        raise DataError(f"{len(routed)} query is too few to look at routing", "it takes two at least")
    prompts = [query.prompt(query.captions) for query in routed.queries]
    gates = expert_gates(parts, routed.features, prompts, batch_size)
    experts = gates.shape[1]
    names, types = type_shares([query.types for query in routed.queries])
    leads = one_hot(gates.argmax(1), experts)
    several = len(names) > 1
    return RoutingAnalysis(
        queries=len(routed),
        experts=experts,
        seed=seed,
        typed_by=routed.typed_by,
        paraphrased_by="templates" if paraphrases is None else "a file",
        types=tuple(_type_row(name, types[:, place] > 0, gates, leads) for place, name in enumerate(names)),
        load=tuple(_expert_row(k, gates, leads, routed) for k in range(experts)),
        entropy=mean_estimate(relative_entropy(gates)),
        load_entropy=float(relative_entropy(gates.mean(0, keepdims=True))[0]),
        leading=association(types, leads, seed) if several else None,
        mixing=association(types, gates, seed) if several else None,
        consistency=consistency(parts, routed, gates, paraphrases, seed=seed, batch_size=batch_size),
    )


def type_shares(types: Sequence[Sequence[str]]) -> tuple[list[str], np.ndarray]:
    """The names of all types, and for each query ``(Q, T)`` equal shares in those that it is of."""
    names = sorted({name for each in types for name in each})
    place = {name: column for column, name in enumerate(names)}
    shares = np.zeros((len(types), len(names)))
    for row, each in enumerate(types):
        shares[row, [place[name] for name in each]] = 1 / len(set(each))
    return names, shares


def relative_entropy(gates: np.ndarray) -> np.ndarray:
    """Entropies ``(Q,)`` of gates ``(Q, K)`` over that of an even mix: in 0..1."""
    logs = np.log(gates, out=np.zeros_like(gates), where=gates > 0)
    found: np.ndarray = -(gates * logs).sum(1) / math.log(gates.shape[1])
    return found


def _type_row(name: str, of: np.ndarray, gates: np.ndarray, leads: np.ndarray) -> TypeRow:
    estimates = tuple(mean_estimate(column) for column in gates[of].T)
    return TypeRow(name, int(of.sum()), estimates, tuple(leads[of].mean(0).tolist()))


def _expert_row(k: int, gates: np.ndarray, leads: np.ndarray, routed: RoutedQueries) -> ExpertRow:
    best = np.argsort(-gates[:, k], kind="stable")[:TOP]
    top = tuple(_top(routed, int(row), float(gates[row, k])) for row in best)
    return ExpertRow(k + 1, mean_estimate(gates[:, k]), mean_estimate(leads[:, k]), top)


def _top(routed: RoutedQueries, row: int, gate: float) -> TopQuery:
    query = routed.queries[row]
    return TopQuery(query.id, query.picture, " and ".join(query.captions), query.types, gate)
