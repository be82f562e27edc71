"""The triplets files that variants learn from: the given ones, noisy copies of them, or domains of equal size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from motacli.ablation.variant import Domain, TripletChoice, digest_of
from motacli.adapters.domains import Mixture
from motacli.analysis.corruption import corrupt
from motacli.contracts import Triplet
from motacli.errors import DataError, did_you_mean
from motacli.locks import locked
from motacli.triplets.schema import meta_path, read_triplets, write_triplets

SEED = 0
"""Of what is corrupted and of which triplets of a domain are taken: the same for every variant and seed."""


@dataclass(frozen=True)
class TripletSet:
    """Files to learn from, one per domain, and each one's share of every batch; without shares they are one pool."""

    files: tuple[Path, ...]
    shares: tuple[float, ...] = ()

    def read(self) -> tuple[list[Triplet], Mixture]:
        """All triplets, file after file, and how they are mixed."""
        rows = [read_triplets(path) for path in self.files]
        mixture = Mixture(tuple(map(str, self.files)), tuple(map(len, rows)), self.shares)
        return [triplet for file in rows for triplet in file], mixture


@dataclass(frozen=True)
class TripletSets:
    """All sets made of the ``sources``, whose digests are known, below ``folder``."""

    sources: tuple[Path, ...]
    digests: tuple[str, ...]
    folder: Path

    def identity(self, choice: TripletChoice) -> dict[str, object]:
        """What decides about the contents of a set."""
        return {"sources": list(self.digests), "seed": SEED, **asdict(choice)}

    def of(self, choice: TripletChoice) -> TripletSet:
        """The files of a choice, be they written already or not."""
        if choice.domains:
            key = digest_of(self.identity(choice))[:8]
            files = tuple(self.folder / f"{_plain(domain.name)}-{key}.jsonl" for domain in choice.domains)
            return TripletSet(files, choice.shares if len(files) > 1 else ())
        return TripletSet(self._corrupted(choice))

    def write(self, choice: TripletChoice) -> TripletSet:
        """The set, with the files that are wanting written; what a kill left half done is written anew.

        Raises `DataError` where a domain has no triplets.
        """
        found = self.of(choice)
        noisy = self._corrupted(choice)
        if not all(path.exists() for path in (*found.files, *noisy)):
            with locked(self.folder):
                self._write(choice, noisy, found.files)
        return found

    def _write(self, choice: TripletChoice, noisy: Sequence[Path], files: Sequence[Path]) -> None:
        for source, path in zip(self.sources, noisy, strict=True):
            if not path.exists():
                meta_path(path).unlink(missing_ok=True)
                corrupt(source, path, choice.corrupt, seed=SEED)
        if choice.domains and not all(path.exists() for path in files):
            for path, rows in zip(files, _select(choice, self._named(noisy)), strict=True):
                if not path.exists():
                    write_triplets(path, rows)

    def _corrupted(self, choice: TripletChoice) -> tuple[Path, ...]:
        if not choice.corrupt:
            return self.sources
        keys = [digest_of([digest, choice.corrupt, SEED])[:8] for digest in self.digests]
        return tuple(
            self.folder / f"{source.stem}-corrupt-{choice.corrupt:g}-{key}.jsonl"
            for source, key in zip(self.sources, keys, strict=True)
        )

    def _named(self, files: Sequence[Path]) -> Mapping[Path, tuple[str, ...]]:
        """The files by what a domain may call them: the source's path, name or stem."""
        names = [(str(source), source.name, source.stem) for source in self.sources]
        return dict(zip(files, names, strict=True))


def _select(choice: TripletChoice, files: Mapping[Path, tuple[str, ...]]) -> list[list[Triplet]]:
    """The triplets of each domain; all together they are as many as the smallest domain of the grid has."""
    pairs = [(triplet, names) for path, names in files.items() for triplet in _with_own_ids(path, len(files))]
    rows = {domain: [t for t, names in pairs if domain.holds(t, names)] for domain in choice.among}
    for domain, found in rows.items():
        if not found:
            raise _nothing(domain, [triplet for triplet, _ in pairs], files)
    total = min(map(len, rows.values()))
    numbers = [round(share * total) for share in choice.shares]
    numbers[-1] += total - sum(numbers)
    return [_draw(rows[domain], number, domain) for domain, number in zip(choice.domains, numbers, strict=True)]


def _draw(rows: Sequence[Triplet], number: int, domain: Domain) -> list[Triplet]:
    """So many of a domain's triplets, in their own order; whoever asks for more gets these and others."""
    salt = int(digest_of(asdict(domain))[:8], 16)
    taken = np.random.default_rng([SEED, 13, salt]).permutation(len(rows))[:number]
    return [rows[row] for row in sorted(taken.tolist())]


def _with_own_ids(path: Path, files: int) -> list[Triplet]:
    rows = read_triplets(path)
    return rows if files == 1 else [replace(row, id=f"{path.stem}/{row.id}") for row in rows]


def _nothing(domain: Domain, rows: Sequence[Triplet], files: Mapping[Path, tuple[str, ...]]) -> DataError:
    names = {name for known in files.values() for name in known}
    if domain.file and domain.file not in names:
        hint = did_you_mean(domain.file, names)
        return DataError(f"domain {domain.name!r}: no triplets file goes by {domain.file!r}", hint)
    types = ", ".join(sorted({row.modification_type for row in rows}))
    return DataError(f"domain {domain.name!r} has no triplets: none is of its types", f"the triplets' types: {types}")


def _plain(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^\w-]+", "-", name)
