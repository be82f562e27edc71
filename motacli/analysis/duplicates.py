"""Texts that occur more than once, to the word or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motacli.extras import needed
from motacli.triplets.keys import KeySet, digest64

SHINGLE = 5
"""Characters of the pieces that two texts are compared by."""
SIMILAR = 0.8
"""Texts that share so much of their pieces (Jaccard) are near-duplicates."""
PERMUTATIONS = 128


@dataclass(frozen=True, slots=True)
class Repeats:
    """Of ``n`` texts, ``repeats`` say what an earlier one says already; ``share`` is that part of them."""

    n: int
    repeats: int
    share: float


class Repeating:
    """Counts repeats in a stream; a text costs some twenty bytes of memory, however long it is."""

    def __init__(self) -> None:
        self._n = 0
        self._seen = KeySet()

    def add(self, *texts: str) -> None:
        """Count the next text, or texts that belong together."""
        self._n += 1
        self._seen.add(digest64(*texts))

    def result(self) -> Repeats:
        """What was counted."""
        repeats = self._n - len(self._seen)
        return Repeats(self._n, repeats, repeats / max(self._n, 1))


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Of ``n`` texts, all different, ``near`` have a near-duplicate among the others; ``share`` is that part of them.

    It grows with ``n``: compare sets of the same size.
    """

    n: int
    near: int
    share: float
    similarity: float = SIMILAR


def near_duplicates(texts: Sequence[str]) -> NearDuplicates:
    """How many of the distinct texts have another that shares `SIMILAR` of its character 5-grams (Jaccard).

    Candidates come from MinHash and locality-sensitive hashing (Broder 1997; `datasketch`) and each is checked exactly:
    none is counted wrongly, though one close to the threshold may be overlooked. Raises `UsageError` where datasketch
    is not installed.
    """
    datasketch = needed("datasketch", "analysis", "finding near-duplicates")
    distinct = list(dict.fromkeys(texts))
    pieces = [_shingles(text) for text in distinct]
    index = datasketch.MinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS)
    encoded = ([piece.encode() for piece in sorted(found)] for found in pieces)
    hashes = list(datasketch.MinHash.generator(encoded, num_perm=PERMUTATIONS, seed=1))
    for row, hashed in enumerate(hashes):
        index.insert(row, hashed, check_duplication=False)
    twins = sum(
        any(_jaccard(pieces[row], pieces[other]) >= SIMILAR for other in index.query(hashed) if other != row)
        for row, hashed in enumerate(hashes)
    )
    return NearDuplicates(len(distinct), twins, twins / max(len(distinct), 1))


def _shingles(text: str) -> frozenset[str]:
    return frozenset(text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
