"""What becomes of every picture of a folder: a row of the index, or a problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from motacli.encoding import ahead
from motacli.search.changes import Known
from motacli.search.contents import Contents
from motacli.search.entries import Entry
from motacli.search.metadata import Metadata
from motacli.search.scanning import Problem, Scan, Seen


@dataclass(frozen=True)
class Pictures:
    """What is there (``scanned``) and what an index knows of it; ``digests`` are those of all that could be read.

    What was found to be unreadable is not tried again unless ``again``.
    """

    scanned: Scan
    known: Known
    digests: Mapping[str, str]
    again: bool = False

    def sources(self) -> dict[str, Seen]:
        """The contents that nothing is known of, by digest, each with the first picture that has it."""
        have = {entry.digest for entry in self.known.entries.values()}
        found: dict[str, Seen] = {}
        for id, digest in self.digests.items():
            if digest not in have and digest not in self._unreadable:
                found.setdefault(digest, self.scanned.pictures[id])
        return found

    def entries(self, contents: Contents, sizes: Mapping[str, tuple[int, int]], metadata: Metadata) -> list[Entry]:
        """The rows of the index, in the order of their ids."""
        old = {entry.digest: (entry.width, entry.height) for entry in self.known.entries.values()}
        entries: list[Entry] = []
        for id, digest in self.digests.items():
            if digest in old or digest in contents.caches:
                seen, size = self.scanned.pictures[id], old.get(digest) or sizes[digest]
                entries.append(Entry(len(entries), id, id, seen.size, seen.mtime_ns, digest, *size, metadata.of(id)))
        return entries

    def problems(self, contents: Contents) -> Iterator[Problem]:
        """Why the others are not in it, and what the scan could not read."""
        yield from self.scanned.problems
        broken = {**self._unreadable, **contents.broken}
        for id, digest in self.digests.items():
            seen = self.scanned.pictures[id]
            if digest in contents.changed:
                yield Problem(id, "it changed while it was encoded", seen.size, seen.mtime_ns)
            elif digest in broken:
                yield Problem(id, broken[digest], seen.size, seen.mtime_ns, digest)

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        problems = () if self.again else self.known.problems.values()
        return {problem.digest: problem.reason for problem in problems if problem.digest}


def picture_sizes(folder: Path, contents: Mapping[str, Seen], workers: int) -> dict[str, tuple[int, int]]:
    """Width and height of contents by digest, as their files say; zeros where a file says nothing any more."""

    def size(seen: Seen) -> tuple[int, int]:
        try:
            with Image.open(folder / seen.id) as picture:
                return picture.size
        except (OSError, ValueError, Image.DecompressionBombError):
            return 0, 0

    with closing(ahead(size, contents.values(), workers, 64)) as sizes:
        return dict(zip(contents, sizes, strict=True))
