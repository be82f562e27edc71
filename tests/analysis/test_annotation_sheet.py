"""The sheet for annotators: stratified, safe to open, and blind to what the generator says."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from triplet_files import record, write

from motacli.analysis.annotation_labels import COLUMNS, QUESTIONS, SHOWN
from motacli.analysis.annotation_sheet import guarded, unguarded, write_sheet
from motacli.errors import MotaError, UsageError
from motacli.runs import file_digest

KINDS = ["colour"] * 70 + ["size"] * 20 + ["count"] * 10


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [record(n, modification_type=kind) for n, kind in enumerate(KINDS)]
    rows[0].update(target_caption="=HYPERLINK(1)", relative_caption='say "so", then\nmore', reference_caption="赤い猫")
    return write(tmp_path / "t.jsonl", rows)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_types_have_their_share(source: Path, tmp_path: Path) -> None:
    made = write_sheet(source, tmp_path / "s.csv", rows=20, seed=1)
    rows = rows_of(tmp_path / "s.csv")
    assert list(rows[0]) == list(COLUMNS) and len({row["id"] for row in rows}) == 20
    kinds = Counter(KINDS[int(row["id"].partition("#")[0])] for row in rows)
    assert kinds == made.drawn and made.types == {"colour": 70, "size": 20, "count": 10}
    assert 13 <= kinds["colour"] <= 14 and 4 <= kinds["size"] <= 5 and 2 <= kinds["count"] <= 3
    assert all(row[name] == "" for row in rows for name in (*QUESTIONS, "comment"))
    assert len({KINDS[int(row["id"].partition("#")[0])] for row in rows[:10]}) > 1, "types are not in blocks"


def test_the_seed_decides(source: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sheet(source, tmp_path / f"{name}.csv", rows=20, seed=seed)
    a, b, c = (file_digest(tmp_path / f"{name}.csv") for name in "abc")
    assert a == b != c


def test_the_sheet_opens_in_spreadsheets(source: Path, tmp_path: Path) -> None:
    write_sheet(source, tmp_path / "s.csv", rows=100)
    assert (tmp_path / "s.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    (row,) = (row for row in rows_of(tmp_path / "s.csv") if row["id"] == "0#0")
    assert row["target_caption"] == "'=HYPERLINK(1)" and row["reference_caption"] == "赤い猫"
    assert row["relative_caption"] == 'say "so", then\nmore'


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "＝1", "plain", "'quoted", "'", ""])  # noqa: RUF001
def test_guards_come_off_again(text: str) -> None:
    assert unguarded(guarded(text)) == text and not guarded(text).startswith(("=", "+", "-", "@", "\t"))


def test_what_lies_beside_it(source: Path, tmp_path: Path) -> None:
    write_sheet(source, tmp_path / "s.csv", rows=10, seed=4)
    guide = (tmp_path / "s.guide.md").read_text()
    assert all(f"`{name}`" in guide for name in QUESTIONS) and "`colour`, `count` or `size`" in guide
    assert "`yes`, `no` or `unsure`" in guide
    made = json.loads((tmp_path / "s.meta.json").read_text())
    assert (made["seed"], made["rows"], made["source_sha256"]) == (4, 10, file_digest(source))


def test_nothing_is_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "s.guide.md").write_text("mine")
    with pytest.raises(MotaError, match=r"s\.guide\.md exists"):
        write_sheet(source, tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()
    with pytest.raises(UsageError, match=r"\.csv"):
        write_sheet(source, tmp_path / "sheet.xlsx")


def test_the_type_is_not_given_away() -> None:
    assert "modification_type" not in SHOWN
