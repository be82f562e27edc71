"""Samples that do not depend on order, and hold one triplet of a picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from triplet_files import record, write

from motacli.analysis.picture_sampling import lowest, one_per_picture
from motacli.triplets.schema import read_triplets


def test_one_triplet_of_each_picture_whatever_the_order(tmp_path: Path) -> None:
    rows = [record(n, id=f"{n}#{k}") for n in range(50) for k in range(4)]
    triplets = read_triplets(write(tmp_path / "t.jsonl", rows))
    drawn = one_per_picture(triplets, 20, 0)
    assert len({t.image for t in drawn}) == 20 == len(drawn)
    assert drawn == one_per_picture(triplets[::-1], 20, 0)
    assert drawn == one_per_picture(triplets, 50, 0)[:20]  # a smaller sample is a part of a larger one
    assert [t.image for t in drawn] == lowest([t.image for t in triplets[::4]], 20, 0)
    assert drawn != one_per_picture(triplets, 20, 1)
    assert len(one_per_picture(triplets, 1000, 0)) == 50


def test_every_picture_and_every_triplet_has_its_chance(tmp_path: Path) -> None:
    rows = [record(n, id=f"{n}#{k}") for n in range(10) for k in range(3)]
    triplets = read_triplets(write(tmp_path / "t.jsonl", rows))
    seen = Counter(t.id for seed in range(900) for t in one_per_picture(triplets, 3, seed))
    assert len(seen) == 30 and all(55 < n < 130 for n in seen.values())
