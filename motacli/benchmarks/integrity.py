"""Whether a benchmark's pictures are all there and readable, what a gap does to its queries, and going on without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from motacli.console import NullProgress, Progress
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.datasets import attribute_box, open_image
from motacli.errors import DataError

Kind = Literal["missing", "empty", "truncated", "undecodable", "box outside"]
Role = Literal["reference", "target", "further target", "subset", "candidate"]


@dataclass(frozen=True, slots=True)
class BrokenPicture:
    """A picture that cannot be encoded, and why."""

    id: str
    path: Path
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class AffectedQuery:
    """A query that names a broken picture, and as what; the gravest of its roles where there are several."""

    id: str
    role: Role
    picture: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a unit lost and what is left of it, as ``--drop-broken`` records it.

    ``queries`` are gone because their reference or annotated target is; ``targets``, ``subsets`` and ``candidates`` map
    queries that stay to what they lost. ``counts`` has queries and gallery before and after: the new denominators.
    """

    pictures: tuple[BrokenPicture, ...]
    queries: tuple[AffectedQuery, ...]
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    candidates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------- looking


def find_broken(
    units: Sequence[EvalUnit], workers: int = 0, progress: Progress | None = None
) -> list[dict[str, BrokenPicture]]:
    """Decode every picture of the units, each file once; the broken ones of each unit by image id.

    ``workers`` threads decode at once, 0 and 1 one after the other.
    """
    boxes: dict[Path, set[tuple[float, float, float, float] | None]] = {}
    for unit in units:
        for ref in unit.images.values():
            boxes.setdefault(ref.path, set()).add(ref.box)
    pool = ThreadPoolExecutor(max(workers, 1), thread_name_prefix="check")
    try:
        checked = pool.map(lambda path: _check_file(path, boxes[path]), boxes)
        tracked = (progress or NullProgress()).track(checked, "checking pictures", len(boxes))
        faults = dict(zip(boxes, tracked, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the pictures not begun
    return [_of_unit(unit, faults) for unit in units]


def affected_queries(unit: EvalUnit, broken: Mapping[str, BrokenPicture]) -> list[AffectedQuery]:
    """The queries that name a broken picture, in the unit's order."""
    return [found for query in unit.queries if (found := _affected(query, broken)) is not None]


_Faults = Mapping[tuple[float, float, float, float] | None, tuple[Kind, str]]


def _check_file(path: Path, boxes: set[tuple[float, float, float, float] | None]) -> _Faults:
    """What is wrong with each box of a file, or with the file for all of them; empty if nothing is."""
    try:
        size = open_image(ImageRef("", path)).size
    except DataError as error:
        return dict.fromkeys(boxes, (_kind(path, error.message), error.message))
    found: dict[tuple[float, float, float, float] | None, tuple[Kind, str]] = {}
    for box in boxes:
        try:
            if box is not None:
                attribute_box(box, size)
        except ValueError as error:
            found[box] = ("box outside", str(error))
    return found


def _kind(path: Path, reason: str) -> Kind:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError):  # may not be read, a link to itself, a name that no file can have
        return "undecodable"
    if size == 0 and path.is_file():
        return "empty"
    return "truncated" if "truncated" in reason.lower() else "undecodable"


def _of_unit(unit: EvalUnit, faults: Mapping[Path, _Faults]) -> dict[str, BrokenPicture]:
    return {
        id: BrokenPicture(id, ref.path, *faults[ref.path][ref.box])
        for id, ref in unit.images.items()
        if ref.box in faults[ref.path]
    }


def _affected(query: Query, broken: Mapping[str, BrokenPicture]) -> AffectedQuery | None:
    return next((AffectedQuery(query.id, role, id) for role, id in _roles(query) if id in broken), None)


def _roles(query: Query) -> Iterator[tuple[Role, str]]:
    """Every picture that a query names and as what, the gravest first."""
    yield "reference", query.reference
    for place, id in enumerate(query.targets):
        yield ("further target" if place else "target"), id
    for id in query.subset:
        yield "subset", id
    for id in query.candidates:
        yield "candidate", id


# ---------------------------------------------------------------------------------------------- going on without


def drop_broken(unit: EvalUnit, broken: Mapping[str, BrokenPicture]) -> tuple[EvalUnit, Dropped]:
    """The unit without its broken pictures, and what it lost.

    A query goes when its reference or its annotated target is broken; further targets, members of its subset and
    candidates that are broken only leave it. Raises `DataError` where no query is left.
    """
    gone = {"reference", "target"}
    affected = affected_queries(unit, broken)
    lost = {found.id for found in affected if found.role in gone}
    queries = tuple(_without(query, broken) for query in unit.queries if query.id not in lost)
    if not queries:
        raise DataError(
            f"{unit.name}: no query is left without {len(broken)} broken pictures", "complete the image folder"
        )
    gallery = tuple(id for id in unit.gallery if id not in broken)
    images = {id: ref for id, ref in unit.images.items() if id not in broken}
    kept = [query for query in unit.queries if query.id not in lost]
    dropped = Dropped(
        pictures=tuple(broken.values()),
        queries=tuple(found for found in affected if found.role in gone),
        targets=_losses({query.id: query.targets for query in kept}, broken),
        subsets=_losses({query.id: query.subset for query in kept}, broken),
        candidates=_losses({query.id: query.candidates for query in kept}, broken),
        counts={"queries": (len(unit.queries), len(queries)), "gallery": (len(unit.gallery), len(gallery))},
    )
    return replace(unit, queries=queries, gallery=gallery, images=images), dropped


def _without(query: Query, broken: Mapping[str, BrokenPicture]) -> Query:
    def whole(ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(id for id in ids if id not in broken)

    return replace(query, targets=whole(query.targets), subset=whole(query.subset), candidates=whole(query.candidates))


def _losses(named: Mapping[str, tuple[str, ...]], broken: Mapping[str, BrokenPicture]) -> dict[str, tuple[str, ...]]:
    lost = {query: tuple(id for id in ids if id in broken) for query, ids in named.items()}
    return {query: ids for query, ids in lost.items() if ids}
