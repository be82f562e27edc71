"""Triplets that say nearly the same as an earlier one, found by MinHash (Broder, 1997) and banded buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from motacli.contracts import Triplet
from motacli.extras import needed
from motacli.triplets.filters import Candidate, plain

PERMUTATIONS = 64
SHINGLE = 3
_INDEXED = 0.9
"""The highest similarity that the index looks for: it would need more permutations for more."""
_WEIGHTS = (0.1, 0.9)
"""What its false finds and its misses count: what it finds is compared anyway."""


class NearDuplicates:
    """Refuses a triplet of which an earlier one's shingles have a Jaccard similarity of at least ``threshold``.

    The similarity is estimated from 64 permutations, with a standard error of about 0.06 at 0.5. Of pairs right at the
    threshold one in five may be missed, of those 0.05 above it one in twenty. Which of two is the earlier depends on
    the order in which they come, which with many requests under way is not that of the rows. Memory grows by about 2 kB
    a triplet.
    """

    reason = "near-duplicate"

    def __init__(self, threshold: float) -> None:
        datasketch = needed("datasketch", "filters", "the near-duplicate filter")
        self._threshold = threshold
        self._empty: Any = datasketch.MinHash(num_perm=PERMUTATIONS)
        self._index: Any = datasketch.MinHashLSH(
            threshold=min(threshold, _INDEXED), num_perm=PERMUTATIONS, weights=_WEIGHTS
        )
        self._kept: list[tuple[str, Any]] = []

    def __str__(self) -> str:
        return f"near-duplicates at {self._threshold}"

    def check(self, candidates: Sequence[Candidate]) -> list[str]:
        """See `motacli.triplets.filters.Filter`; what passes is remembered at once."""
        return [self._judge(candidate.triplet) for candidate in candidates]

    def remember(self, triplet: Triplet) -> None:
        """Know a triplet that an earlier attempt wrote."""
        self._judge(triplet)

    def _judge(self, triplet: Triplet) -> str:
        found = self._empty.copy()
        found.update_batch(shingles(triplet))
        for place in self._index.query(found):
            name, other = self._kept[place]
            similarity = float(found.jaccard(other))
            if similarity >= self._threshold:
                return f"much like {name} ({similarity:.2f})"
        self._index.insert(len(self._kept), found)  # an id may not be unique, or not yet found out to be
        self._kept.append((triplet.id, found))
        return ""


def shingles(triplet: Triplet) -> list[bytes]:
    """The 3-word shingles of a triplet's texts, each text padded so that short ones have some."""
    found: set[bytes] = set()
    for number, text in enumerate((triplet.reference_caption, triplet.relative_caption, triplet.target_caption)):
        words = (str(number), *plain(text), str(number))
        found.update(" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1)))
    return sorted(found)
