"""Which queries the page of a comparison shows: some drawn at random, and those that even the best run fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from random import Random

from motacli.contracts import EvalUnit, ImageRef, Query, Ranking
from motacli.errors import DataError
from motacli.metrics import ranks_in
from motacli.plugins import PluginHost
from motacli.report.comparison import Row, Table, part_of
from motacli.report.content import Hit
from motacli.report.runs import Run

SHOWN = 10
"""Entries shown of each ranking."""
UP, DOWN, SAME = 1, -1, 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The best entries a run found, and the rank of the first target, infinite where it is not among ``depth``."""

    hits: tuple[Hit, ...]
    rank: float
    depth: int


@dataclass(frozen=True, slots=True)
class Example:
    """A query with the answer of the compared run and, where there is one, the baseline's."""

    part: str
    query: Query
    reference: ImageRef
    targets: tuple[ImageRef, ...]
    before: Answer | None
    after: Answer


@dataclass(frozen=True, slots=True)
class Examples:
    """The queries shown of one table. ``before`` and ``after`` are the runs behind the answers.

    ``hardest`` are the worst of the run ``best``. Of all queries the first target moved ``up`` or ``down`` from the one
    run to the other, or stayed the ``same``.
    """

    before: Row | None
    after: Row
    best: Row
    sampled: tuple[Example, ...]
    hardest: tuple[Example, ...]
    up: int
    down: int
    same: int


def find_examples(table: Table, host: PluginHost, count: int, seed: int, root: Path | None = None) -> Examples:
    """Queries drawn at random, as many that got better as worse or neither, and the hardest; up to ``count`` of each.

    Pictures and captions come from the benchmark's files below ``root``, by default where the run found them. Raises
    `motacli.errors.MotaError` where these or the runs' rankings are wanting.
    """
    before, after, best = table.baseline, table.best_of(table.rows[1:] or table.rows), table.best_of(table.rows)
    asked = [
        each
        for unit in load_benchmark(after.run, host, root)
        if before is None or unit.name in before.run.units
        for each in _asked(unit, before.run if before else None, after.run)
    ]
    rng = Random(f"{seed}-{table.title}")
    changes = [each.change for each in asked]
    return Examples(
        before=before,
        after=after,
        best=best,
        sampled=tuple(each.example() for each in _sampled(asked, count, rng)),
        hardest=tuple(each.example() for each in _hardest(asked, count, rng, best is before)),
        up=changes.count(UP),
        down=changes.count(DOWN),
        same=changes.count(SAME),
    )


def load_benchmark(run: Run, host: PluginHost, root: Path | None = None) -> list[EvalUnit]:
    """The units that a run was scored on, read again from the data set's files."""
    place = root or run.options.get("data-root")
    if not place:
        raise DataError(f"{run.path} does not say where its data set was", "give --data-root")
    benchmark = host.component("benchmarks", run.benchmark).make()
    units: list[EvalUnit] = benchmark.load(Path(place), run.split, run.options.get("part") or ())
    return [unit for unit in units if unit.name in run.units]


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a run found for the queries of a unit, and the rank of each query's first target."""

    unit: EvalUnit
    ranking: Ranking
    rows: Mapping[str, int]
    ranks: Mapping[str, float]

    @classmethod
    def of(cls, run: Run, unit: EvalUnit) -> _Answers:
        ranking = run.ranking(unit.name)
        if ranking is None:
            raise DataError(
                f"{run.path} kept no rankings of {unit.name}", "run `mota eval` again with --out and --top-k"
            )
        rows = {id: row for row, id in enumerate(ranking.query_ids)}
        named = {id for ids in ranking.ids for id in ids}
        # Broken pictures may have been dropped from the run, so the data set can hold more than it answered.
        if not rows.keys() <= {query.id for query in unit.queries} or not named <= unit.images.keys():
            raise DataError(
                f"{run.path} answered other queries of {unit.name} than the data set holds",
                "give the folder of its data set as --data-root",
            )
        known = run.units[unit.name]
        ranks = {id: min(ranks) for id, ranks in zip(known.query_ids, known.ranks, strict=False) if ranks}
        for query in unit.queries:
            if query.id in rows and query.id not in ranks:
                ranks[query.id] = min(ranks_in(ranking.ids[rows[query.id]], query.targets), default=math.inf)
        return cls(unit, ranking, rows, ranks)

    def answer(self, query: Query) -> Answer:
        """The answer to one query."""
        row = self.rows[query.id]
        scored = list(zip(self.ranking.ids[row], self.ranking.scores[row], strict=True))
        hits = tuple(Hit(self.unit.images[id], float(score), id in query.targets) for id, score in scored[:SHOWN])
        return Answer(hits, self.ranks[query.id], len(scored))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query, and where its answers are."""

    query: Query
    before: _Answers | None
    after: _Answers

    @property
    def change(self) -> int:
        if self.before is None:
            return SAME
        old, new = self.before.ranks[self.query.id], self.after.ranks[self.query.id]
        return UP if new < old else DOWN if new > old else SAME

    def example(self) -> Example:
        unit, query = self.after.unit, self.query
        return Example(
            part=part_of(unit.name, unit.benchmark, unit.split),
            query=query,
            reference=unit.images[query.reference],
            targets=tuple(unit.images[target] for target in query.targets),
            before=self.before.answer(query) if self.before else None,
            after=self.after.answer(query),
        )


def _asked(unit: EvalUnit, before: Run | None, after: Run) -> list[_Asked]:
    old, new = _Answers.of(before, unit) if before else None, _Answers.of(after, unit)
    answered = [query for query in unit.queries if query.id in new.rows and (old is None or query.id in old.rows)]
    return [_Asked(query, old, new) for query in answered]


def _sampled(asked: Sequence[_Asked], count: int, rng: Random) -> list[_Asked]:
    """A query of each kind in turn, for as long as there are any."""
    drawn = rng.sample(asked, len(asked))
    kinds = [[each for each in drawn if each.change == kind] for kind in (UP, DOWN, SAME)]
    taken = [each for each in chain.from_iterable(zip_longest(*kinds)) if each is not None][:count]
    return sorted(taken, key=lambda each: (UP, DOWN, SAME).index(each.change))


def _hardest(asked: Sequence[_Asked], count: int, rng: Random, by_baseline: bool) -> list[_Asked]:
    """The queries whose first target stands lowest; what came first is no failure."""

    def rank(each: _Asked) -> float:
        answers = each.before if by_baseline and each.before else each.after
        return answers.ranks[each.query.id]

    drawn = rng.sample(asked, len(asked))  # where rankings were cut, many are equally low
    return sorted((each for each in drawn if rank(each) > 1), key=rank, reverse=True)[:count]
