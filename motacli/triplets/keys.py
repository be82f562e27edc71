"""Sets of 8-byte digests: to know millions of rows again in a few bytes each."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

_RECENT = 50_000
"""How many of the newest digests are in a Python set, before they are merged into the array."""


def digest64(*parts: str) -> int:
    """A digest of texts in 64 bits; where one text ends and the next begins counts."""
    digest = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return int.from_bytes(digest.digest(), "little")


class KeySet:
    """A set of `digest64` values, 8 bytes each. Among a million texts, some two collide with a probability of 3e-8."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, key: int) -> bool:
        if key in self._recent:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(key)))
        return place < len(self._sorted) and int(self._sorted[place]) == key

    def add(self, key: int) -> bool:
        """Add a digest; whether it is new."""
        if key in self:
            return False
        self._recent.add(key)
        if len(self._recent) > _RECENT:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.union1d(self._sorted, recent)
            self._recent.clear()
        return True
