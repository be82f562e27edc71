"""Noisy copies: exactly as many, never the same text, and everything else as it was."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from triplet_files import read, record, write

from motacli.analysis.corruption import FIELDS, KEY, Corruption, corrupt
from motacli.analysis.words import normalised
from motacli.errors import DataError, MotaError, UsageError
from motacli.runs import file_digest
from motacli.triplets.schema import read_triplets


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        record(
            n, target_caption=f"A target {n % 3}", relative_caption="Make it blue!" if n % 10 else f"be {n}", own=[n]
        )
        for n in range(50)
    ]
    path = write(tmp_path / "t.jsonl", rows)
    path.write_text("\ufeff" + path.read_text() + "\n  \n", "utf-8")
    return path


@pytest.mark.parametrize("kind", list(Corruption))
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_exactly_the_share_is_wrong(kind: Corruption, share: float, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "noisy.jsonl"
    made = corrupt(source, out, share, kind=kind, seed=3)
    before = [json.loads(line) for line in source.read_text("utf-8-sig").splitlines() if line.strip()]
    after = [json.loads(line) for line in out.read_text("utf-8-sig").splitlines() if line.strip()]
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(changed) == round(share * 50) == sum(made.corrupted.values()) and made.triplets == 50
    by_id = {row["id"]: row for row in before}
    for one, other in changed:
        field = other[KEY]["field"]
        assert normalised(one[field]) != normalised(other[field]) == normalised(by_id[other[KEY]["from"]][field])
        assert {**one, field: other[field], KEY: other[KEY]} == other
    fields = Counter(other[KEY]["field"] for _, other in changed)
    assert dict(fields) == made.corrupted
    if kind is Corruption.mixed:
        assert 0 <= fields[FIELDS[Corruption.targets]] - fields[FIELDS[Corruption.captions]] <= 1
    assert len(read_triplets(out)) == 50


def test_the_record_says_where_it_came_from(source: Path, tmp_path: Path) -> None:
    corrupt(source, tmp_path / "noisy.jsonl", 0.2, seed=5)
    made = json.loads((tmp_path / "noisy.meta.json").read_text())
    assert (made["source_sha256"], made["sha256"]) == (file_digest(source), file_digest(tmp_path / "noisy.jsonl"))
    assert (made["share"], made["seed"], made["triplets"], made["corruption"]) == (0.2, 5, 50, "mixed")
    assert made["corrupted"] == {"target_caption": 5, "relative_caption": 5}


def test_the_seed_decides(source: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        corrupt(source, tmp_path / f"{name}.jsonl", 0.4, seed=seed)
    a, b, c = (file_digest(tmp_path / f"{name}.jsonl") for name in "abc")
    assert a == b != c


def test_a_file_that_says_one_thing_cannot_be_corrupted(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", [record(n, target_caption="Same") for n in range(4)])
    with pytest.raises(DataError, match="'target_caption' says the same in all"):
        corrupt(source, tmp_path / "out.jsonl", 0.5, kind=Corruption.targets)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.jsonl"]


def test_a_rare_other_text_is_found(tmp_path: Path) -> None:
    rows = [record(n, target_caption="Same" if n else "Other") for n in range(400)]
    corrupt(write(tmp_path / "t.jsonl", rows), tmp_path / "out.jsonl", 0.1, kind=Corruption.targets)
    changed = [row for row in read(tmp_path / "out.jsonl") if KEY in row]
    assert len(changed) == 40 and {row["target_caption"] for row in changed if row["id"] != "0#0"} == {"Other"}


def test_mistakes(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"share of 1\.5"):
        corrupt(source, tmp_path / "out.jsonl", 1.5)
    (tmp_path / "out.meta.json").write_text("{}")
    with pytest.raises(MotaError, match=r"out\.meta\.json exists"):
        corrupt(source, tmp_path / "out.jsonl", 0.5)
