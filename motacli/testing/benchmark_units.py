"""Checks of a benchmark's units: what queries name is there, and an ideal query is scored as one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from motacli.contracts import EvalUnit, Query
from motacli.datasets import open_image
from motacli.errors import MotaError
from motacli.evaluation import score_unit
from motacli.metrics import check_name
from motacli.testing.benchmark_subject import BenchmarkSubject, first
from motacli.testing.checks import Checks, LeftOut

checks = Checks[BenchmarkSubject]()
OPENED = 3
"""Pictures of each unit that are opened."""


@checks.add("EvalUnit", "its name is its own, its benchmark and split are those that were read", after="attributes")
def unit_names(subject: BenchmarkSubject) -> Iterator[str]:
    """What results are filed under."""
    names = [unit.name for unit in subject.units]
    if len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        yield f"units are called {', '.join(map(repr, names))}"
    for unit in subject.units:
        if unit.benchmark != subject.benchmark.name:
            yield f"{unit.name} says that it is of benchmark {unit.benchmark!r}"
        if unit.split not in ((subject.split,) if subject.split else subject.benchmark.splits):
            yield f"{unit.name} says that it is of split {unit.split!r}"


@checks.add("EvalUnit.gallery", "it lists each image once, and is not empty")
def gallery(subject: BenchmarkSubject) -> Iterator[str]:
    """What is ranked."""
    for unit in subject.units:
        if not unit.gallery:
            yield f"{unit.name} has an empty gallery"
        elif len(set(unit.gallery)) < len(unit.gallery):
            yield f"{unit.name} has an image twice in its gallery"


@checks.add("EvalUnit.images", "it locates every picture of the unit, references included")
def images(subject: BenchmarkSubject) -> Iterator[str]:
    """By the ids that gallery and queries use."""
    for unit in subject.units:
        used = {*unit.gallery, *(query.reference for query in unit.queries)}
        if lost := sorted(used - set(unit.images)):
            yield f"{unit.name} does not locate {len(lost)} pictures, such as {lost[0]!r}"
        if other := [id for id, image in unit.images.items() if image.id != id]:
            yield f"{unit.name} has under {other[0]!r} the picture {unit.images[other[0]].id!r}"


@checks.add("EvalUnit.images", "pictures are where it says", after="images")
def pictures(subject: BenchmarkSubject) -> Iterator[str]:
    """The first few of each unit are opened."""
    if not subject.pictures:
        raise LeftOut("pictures=False was given")
    for unit in subject.units:
        for id in list(unit.images)[:OPENED]:
            try:
                open_image(unit.images[id])
            except MotaError as error:
                yield f"{unit.name}: picture {id!r} cannot be opened: {error}"
                break


@checks.add("EvalUnit.queries", "there are queries, each by an id of its own")
def query_ids(subject: BenchmarkSubject) -> Iterator[str]:
    """What per-query values are filed under."""
    for unit in subject.units:
        ids = [query.id for query in unit.queries]
        if not ids:
            yield f"{unit.name} has no queries"
        elif len(set(ids)) < len(ids) or not all(isinstance(id, str) and id for id in ids):
            yield f"{unit.name} has queries without an id of their own"


@checks.add("Query.captions", "they are the relative captions as annotated, one at least")
def captions(subject: BenchmarkSubject) -> Iterator[str]:
    """A tuple of texts, which may be empty ones."""
    yield from first(
        f"query {query.id!r} of {unit.name} has captions {query.captions!r}"
        for unit, query in subject.queries()
        if not isinstance(query.captions, tuple)
        or not query.captions
        or not all(isinstance(caption, str) for caption in query.captions)
    )


@checks.add("Query.targets", "every ground truth is in the gallery, and all queries of a unit have some, or none has")
def targets(subject: BenchmarkSubject) -> Iterator[str]:
    """What is looked for can be found."""
    for unit in subject.units:
        there = set(unit.gallery)
        yield from first(
            f"query {query.id!r} of {unit.name} has a target that is not in the gallery"
            for query in unit.queries
            if not there.issuperset(query.targets)
        )
        if 0 < sum(bool(query.targets) for query in unit.queries) < len(unit.queries):
            yield f"{unit.name} has targets for some of its queries alone"


@checks.add("Query.candidates", "a query's own gallery is within the unit's, and holds its target", after="targets")
def candidates(subject: BenchmarkSubject) -> Iterator[str]:
    """Where queries have one."""
    yield from _groups(subject, "candidates")


@checks.add("Query.subset", "it is within the gallery, and holds the target but not the reference", after="targets")
def subset(subject: BenchmarkSubject) -> Iterator[str]:
    """Where queries have one."""
    yield from _groups(subject, "subset")
    yield from first(
        f"query {query.id!r} of {unit.name} has its reference in the subset"
        for unit, query in subject.queries()
        if query.reference in query.subset
    )


@checks.add(
    "EvalUnit.metrics",
    "they are metrics by name, and a query that is its own target scores 100 by every recall",
    after="gallery images query_ids captions targets candidates subset",
)
def metrics(subject: BenchmarkSubject) -> Iterator[str]:
    """Ideal queries among random features, scored."""
    for unit in subject.units:
        for name in unit.metrics:
            check_name(name)
        if not any(query.targets for query in unit.queries):
            continue
        if not unit.metrics:
            yield f"{unit.name} has targets and no metrics"
            continue
        found = score_unit(unit, *_ideal(unit)).metrics
        for name in unit.metrics:
            if not 0 <= found[name] <= 100 or ("mAP" not in name and found[name] < 100):
                yield f"{unit.name}: ideal queries score {found[name]:.4g} by {name}"


def _groups(subject: BenchmarkSubject, attribute: str) -> Iterator[str]:
    """A problem where a query's candidates or subset, if any, leave the gallery or lack its target."""

    def wrong(unit: EvalUnit, query: Query, there: set[str]) -> str:
        group = getattr(query, attribute)
        if not group:
            return ""
        if not there.issuperset(group):
            return "is not within the gallery"
        return "lacks the target" if not set(query.targets[:1]) <= set(group) else ""

    for unit in subject.units:
        there = set(unit.gallery)
        yield from first(
            f"{attribute} of query {query.id!r} of {unit.name} {said}"
            for query in unit.queries
            if (said := wrong(unit, query, there))
        )


def _ideal(unit: EvalUnit) -> tuple[np.ndarray, np.ndarray]:
    """Random unit features ``(G, 16)``, and for each query those of its target ``(Q, 16)``."""
    features = np.random.default_rng(0).standard_normal((len(unit.gallery), 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    row = {id: number for number, id in enumerate(unit.gallery)}
    return features, features[[row[query.targets[0]] for query in unit.queries]]
