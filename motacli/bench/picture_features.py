"""Made-up features that lie as those of pictures do, for benchmarks of search.

CLIP's image features share a direction (two unrelated pictures have a cosine of about a half), a few directions carry
most of what varies, and pictures come in subjects of very different sizes. So a feature is the sum of a common vector,
one of its subject, and one of its own. The last two are normal with a variance that falls as 1 / i over the directions
i, which are turned at random. Subject i is drawn as often as 1 / i says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

WIDTH = 768
SUBJECTS = 4000
BLOCK = 8192
COMMON, SUBJECT, OWN = 1.0, 0.75, 0.65
"""How long the three parts are."""
LENGTH = 10.0


def blocks(rows: int, seed: int) -> Iterator[np.ndarray]:
    """Features of ``rows`` pictures, ``(n, 768)`` float32 at a time; not normalised."""
    world = _World(seed)
    for number, start in enumerate(range(0, rows, BLOCK)):
        yield world.draw(min(BLOCK, rows - start), number + 1) * np.float32(LENGTH)


def queries(count: int, seed: int) -> np.ndarray:
    """Unit vectors ``(count, 768)`` of further pictures of the same subjects."""
    return _World(seed).draw(count, 0)


class _World:
    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self._seed = seed
        self._turn = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
        spread = 1 / np.sqrt(np.arange(1, WIDTH + 1))
        self._spread = (spread / np.linalg.norm(spread)).astype(np.float32)
        common = rng.normal(size=WIDTH)
        self._common = (COMMON * common / np.linalg.norm(common)).astype(np.float32)
        self._subjects = SUBJECT * self._varied(rng, SUBJECTS)
        odds = 1 / np.arange(1, SUBJECTS + 1)
        self._odds = odds / odds.sum()

    def draw(self, count: int, block: int) -> np.ndarray:
        """Unit vectors of one block, always the same."""
        rng = np.random.default_rng([self._seed, 2, block])
        subject = rng.choice(SUBJECTS, count, p=self._odds)
        features = self._common + self._subjects[subject] + OWN * self._varied(rng, count)
        unit: np.ndarray = features / np.linalg.norm(features, axis=1, keepdims=True)
        return unit

    def _varied(self, rng: np.random.Generator, count: int) -> np.ndarray:
        drawn: np.ndarray = (rng.standard_normal((count, WIDTH), dtype=np.float32) * self._spread) @ self._turn
        return drawn
