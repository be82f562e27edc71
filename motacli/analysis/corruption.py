"""A noisy copy of a triplets file, for asking how much noise a training bears.

Two passes: one finds where the triplets are and what they say, as eight-byte hashes; one writes the copy, reading what
a corrupted triplet gets from another one's place in the file. Texts are never held.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from motacli.analysis.words import normalised
from motacli.errors import DataError, UsageError
from motacli.runs import explained, file_digest, new_file, refuse_existing, write_json
from motacli.triplets.schema import iter_triplets, meta_path

KEY = "corruption"
"""The key that a corrupted triplet carries: what was replaced, and whose text it has now."""
_TRIES = 32


class Corruption(StrEnum):
    """What is wrong with a corrupted triplet: its target, its relative caption, or either, half and half."""

    targets = "targets"
    captions = "captions"
    mixed = "mixed"


FIELDS = {Corruption.targets: "target_caption", Corruption.captions: "relative_caption"}


@dataclass(frozen=True, slots=True)
class CorruptionRecord:
    """``<name>.meta.json`` beside a noisy copy; ``corrupted`` counts the triplets by the field that was replaced."""

    source: str
    source_sha256: str
    corruption: str
    share: float
    seed: int
    triplets: int
    corrupted: dict[str, int]
    sha256: str


@dataclass(frozen=True)
class _Index:
    """Where each triplet's line begins ``(N,)``, and per field the hash of its text ``(N,)``."""

    starts: np.ndarray
    hashes: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class _Change:
    field: str
    donor: int


def corrupt(
    source: Path, out: Path, share: float, *, kind: Corruption = Corruption.mixed, seed: int = 0
) -> CorruptionRecord:
    """Write a copy of ``source`` in which ``round(share * N)`` of the N triplets are wrong, and a record beside it.

    A corrupted triplet has the target caption or relative caption of another triplet, one that says something else (but
    for case and punctuation), and the key `KEY`; everything else, other people's keys and the modification type
    included, stays as it was. Donors are drawn with replacement, so that texts stay about as common as they were.
    ``mixed`` replaces targets in one half, rounded up. Raises `UsageError` for a share outside of 0..1 and `DataError`
    where all triplets say the same.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"a share of {share:g} is not between 0 and 1", "corrupt one fifth with --corrupt 0.2")
    for path in (out, meta_path(out)):
        refuse_existing(path)
    index = _index(source)
    changes = _choose(index, share, kind, np.random.default_rng([seed, 11]), source)
    with new_file(out) as work:
        _write(source, work, index, changes)
        digest = file_digest(work)
    counts = {field: sum(change.field == field for change in changes.values()) for field in FIELDS.values()}
    record = CorruptionRecord(
        source=str(source),
        source_sha256=file_digest(source),
        corruption=kind.value,
        share=share,
        seed=seed,
        triplets=len(index),
        corrupted={field: n for field, n in counts.items() if n},
        sha256=digest,
    )
    write_json(meta_path(out), record)
    return record


def _index(source: Path) -> _Index:
    hashes = {field: array("q") for field in FIELDS.values()}
    for triplet in iter_triplets(source):
        for field, found in hashes.items():
            found.append(hash(normalised(getattr(triplet, field))))
    with explained(source), source.open("rb") as file:
        starts = np.fromiter((start for start, _ in _lines(file)), np.int64)
    return _Index(starts, {field: np.frombuffer(found, np.int64) for field, found in hashes.items()})


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that hold a triplet, and where they begin."""
    start = 0
    for line in file:
        if line.strip():
            yield start, line
        start += len(line)


def _choose(
    index: _Index, share: float, kind: Corruption, rng: np.random.Generator, source: Path
) -> dict[int, _Change]:
    """Which triplets are corrupted, and how."""
    rows = rng.permutation(len(index))[: round(share * len(index))].tolist()
    half = {Corruption.targets: len(rows), Corruption.captions: 0, Corruption.mixed: (len(rows) + 1) // 2}[kind]
    changes: dict[int, _Change] = {}
    for place, row in enumerate(rows):
        field = FIELDS[Corruption.targets if place < half else Corruption.captions]
        changes[row] = _Change(field, _donor(index.hashes[field], row, rng, f"{source}: {field!r}"))
    return changes


def _donor(hashes: np.ndarray, row: int, rng: np.random.Generator, where: str) -> int:
    """Another triplet whose text is a different one, each with the same chance."""
    for _ in range(_TRIES):
        other = int(rng.integers(len(hashes)))
        if hashes[other] != hashes[row]:
            return other
    others = np.flatnonzero(hashes != hashes[row])
    if not len(others):
        raise DataError(f"{where} says the same in all triplets", "there is no other text to put in its place")
    return int(rng.choice(others))


def _write(source: Path, out: Path, index: _Index, changes: dict[int, _Change]) -> None:
    with source.open("rb") as donors, source.open("rb") as file, out.open("wb") as written:
        for row, (_, line) in enumerate(_lines(file)):
            change = changes.get(row)
            if change is None:
                written.write(line if line.endswith(b"\n") else line + b"\n")
                continue
            donors.seek(int(index.starts[change.donor]))
            record, donor = _record(line), _record(donors.readline())
            note = {"field": change.field, "from": donor["id"]}
            record = {**record, change.field: donor[change.field], KEY: note}
            written.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


def _record(line: bytes) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(line.decode("utf-8-sig"))
    return record
