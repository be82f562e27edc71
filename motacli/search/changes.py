"""What happened to the pictures of a folder since it was indexed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from motacli.search.entries import Entry
from motacli.search.scanning import Problem, Seen

RACY_NS = 2_000_000_000
"""As coarse as file systems count time: what was changed that shortly before it was read may have changed again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an index knows of a folder: its pictures and what was wrong with others, by id, as of ``scanned_ns``."""

    entries: Mapping[str, Entry]
    problems: Mapping[str, Problem]
    scanned_ns: int = 0

    def unsure(self, pictures: Iterable[Seen], rehash: bool) -> list[Seen]:
        """The pictures whose contents may be others than those known."""
        return [seen for seen in pictures if rehash or not self._is_same(seen)]

    def digest(self, id: str) -> str:
        """The digest of a picture as it was; empty for one that is not known."""
        known = self.entries.get(id) or self.problems.get(id)
        return known.digest if known is not None else ""

    def _is_same(self, seen: Seen) -> bool:
        known = self.entries.get(seen.id) or self.problems.get(seen.id)
        if known is None or not known.digest or seen.mtime_ns > self.scanned_ns - RACY_NS:
            return False
        return (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns)


@dataclass(frozen=True, slots=True)
class Changes:
    """How many pictures of the index are as they were (``kept``), have another time and the same contents
    (``touched``), other contents (``changed``), came from another place (``moved``) or are new (``added``), and how
    many are gone (``deleted``)."""

    kept: int
    touched: int
    changed: int
    moved: int
    added: int
    deleted: int


def changes(known: Known, present: Mapping[str, Seen], digests: Mapping[str, str], indexed: Iterable[str]) -> Changes:
    """What happened; ``digests`` are those of the pictures that are ``present``, ``indexed`` are to be in the index."""
    gone = Counter(entry.digest for id, entry in known.entries.items() if id not in present)
    vanished, count = gone.total(), Counter[str]()
    for id in indexed:
        count[_what(known, present[id], digests[id], gone)] += 1
    return Changes(
        kept=count["kept"],
        touched=count["touched"],
        changed=count["changed"],
        moved=count["moved"],
        added=count["added"],
        deleted=vanished - count["moved"],
    )


def _what(known: Known, seen: Seen, digest: str, gone: Counter[str]) -> str:
    entry = known.entries.get(seen.id)
    if entry is None:
        moved = gone[digest] > 0
        gone[digest] -= moved
        return "moved" if moved else "added"
    if entry.digest != digest:
        return "changed"
    return "kept" if (entry.size, entry.mtime_ns) == (seen.size, seen.mtime_ns) else "touched"
