"""Does a router treat like queries alike? Jensen-Shannon distances of gates, within queries and between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motacli.analysis.estimates import Estimate, mean_estimate
from motacli.analysis.feature_sets import Parts
from motacli.analysis.gates import expert_gates
from motacli.analysis.paraphrases import by_template
from motacli.analysis.routed_queries import Captions, RoutedQueries
from motacli.errors import DataError

QUERIES = 500
"""Queries that are paraphrased at most."""
PARAPHRASES = "paraphrases of a query"
SAME_PICTURE, SAME_CAPTION = "same picture, another caption", "same caption, another picture"
SAME_TYPE, ANY = "another query of its type", "another query"


@dataclass(frozen=True, slots=True)
class Consistency:
    """How far apart gates are, 0 to 1: mean distance over ``queries``, and the share with the same strongest expert."""

    between: str
    queries: int
    distance: Estimate
    same_expert: Estimate


def js_distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distances ``(...,)`` of distributions ``(..., K)``: the root of the divergence in bits, a metric.

    Endres and Schindelin, IEEE Transactions on Information Theory 49(7), 2003. In 0..1.
    """
    middle = (p + q) / 2
    divergence = (_terms(p, middle) + _terms(q, middle)).sum(-1) / 2
    return np.sqrt(divergence.clip(0.0, 1.0))


def _terms(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return p * np.log2(ratio)


def consistency(
    parts: Parts,
    routed: RoutedQueries,
    gates: np.ndarray,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = 0,
    batch_size: int = 256,
) -> tuple[Consistency, ...]:
    """The rows of the comparison, for queries that have paraphrases; ``gates`` ``(Q, K)`` are those of all queries.

    Paraphrases of a query share its picture, so that two controls say what picture and caption do alone: a picture with
    another query's caption, and a caption with another query's picture. `DataError` where no query has paraphrases.
    """
    rows, worded = _worded(routed, paraphrases, seed)
    own = gates[rows]
    rng = np.random.default_rng([seed, 19])
    other = _others(rows, len(routed), rng)
    ask = [routed.queries[row].prompt(routed.queries[mate].captions) for row, mate in zip(rows, other, strict=True)]
    there = [routed.queries[row].prompt(routed.queries[row].captions) for row in rows]
    found = [
        _within(parts, routed, rows, own, worded, batch_size),
        _compared(SAME_PICTURE, own, expert_gates(parts, routed.features[rows], ask, batch_size)),
        _compared(SAME_CAPTION, own, expert_gates(parts, routed.features[other], there, batch_size)),
    ]
    alike = _mates(routed, rows, rng)
    if alike:
        here, mates = (np.array(side) for side in zip(*alike, strict=True))
        found.append(_compared(SAME_TYPE, gates[here], gates[mates]))
    found.append(_compared(ANY, own, gates[other]))
    return tuple(found)


def _worded(
    routed: RoutedQueries, paraphrases: Mapping[str, Sequence[str]] | None, seed: int
) -> tuple[np.ndarray, list[list[Captions]]]:
    """Rows of queries ``(P,)``, drawn at random, and the paraphrases of each."""
    if paraphrases is None:
        able = list(range(len(routed)))
    else:
        able = [row for row, query in enumerate(routed.queries) if query.id in paraphrases]
        if not able:
            raise DataError(
                f"the paraphrases are of none of the {len(routed)} queries",
                f"ids are those of the queries, as {routed.queries[0].id!r}; --sample may have left them out",
            )
    rows = np.sort(np.random.default_rng([seed, 23]).permutation(able)[:QUERIES])
    if paraphrases is None:
        return rows, [by_template(routed.queries[row].captions) for row in rows]
    return rows, [[(text,) for text in paraphrases[routed.queries[row].id]] for row in rows]


def _within(
    parts: Parts,
    routed: RoutedQueries,
    rows: np.ndarray,
    own: np.ndarray,
    worded: Sequence[Sequence[Captions]],
    batch_size: int,
) -> Consistency:
    """Each query against its paraphrases: a mean for each query, then over queries."""
    owners = np.repeat(np.arange(len(rows)), [len(texts) for texts in worded])
    prompts = [
        routed.queries[row].prompt(captions) for row, texts in zip(rows, worded, strict=True) for captions in texts
    ]
    gates = expert_gates(parts, routed.features[rows[owners]], prompts, batch_size)
    counts = np.bincount(owners)
    distance = np.bincount(owners, js_distance(own[owners], gates)) / counts
    same = np.bincount(owners, own[owners].argmax(1) == gates.argmax(1)) / counts
    return Consistency(PARAPHRASES, len(rows), mean_estimate(distance), mean_estimate(same))


def _compared(name: str, own: np.ndarray, other: np.ndarray) -> Consistency:
    same = (own.argmax(1) == other.argmax(1)).astype(np.float64)
    return Consistency(name, len(own), mean_estimate(js_distance(own, other)), mean_estimate(same))


def _others(rows: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """For each row another one, at random."""
    return np.asarray((rows + rng.integers(1, total, len(rows))) % total)


def _mates(routed: RoutedQueries, rows: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of a row and another query that shares a type, where there is one."""
    by_type: dict[str, list[int]] = {}
    for row, query in enumerate(routed.queries):
        for kind in query.types:
            by_type.setdefault(kind, []).append(row)
    pairs = []
    for row in rows.tolist():
        kind = routed.queries[row].types[int(rng.integers(len(routed.queries[row].types)))]
        mates = [mate for mate in by_type[kind] if mate != row]
        if mates:
            pairs.append((row, mates[int(rng.integers(len(mates)))]))
    return pairs
