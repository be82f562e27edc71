"""Agreement against published worked examples, and sheets that are not what they should be."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from triplet_files import record, write

from motacli import extras
from motacli.analysis.annotation_sheet import write_sheet
from motacli.analysis.annotator_agreement import agreement, krippendorff_alpha, pair_agreement
from motacli.analysis.filled_sheets import read_sheets
from motacli.errors import DataError, UsageError

Change = Callable[[list[dict[str, str]]], object]


def labelled(**annotators: str) -> dict[str, dict[str, str]]:
    """One letter per item; ``*`` is missing."""
    return {name: {str(i): letter for i, letter in enumerate(row) if letter != "*"} for name, row in annotators.items()}


def test_kappa_of_a_textbook_table() -> None:
    """Two readers and 50 grant proposals: yes-yes 20, yes-no 5, no-yes 10, no-no 15; kappa 0.4 (Wikipedia)."""
    found = pair_agreement("a", "b", labelled(a="y" * 25 + "n" * 25, b="y" * 20 + "n" * 5 + "y" * 10 + "n" * 15))
    assert (found.items, found.observed) == (50, 0.7) and found.kappa == pytest.approx(0.4)


def test_kappa_is_of_the_items_that_both_labelled() -> None:
    whole, holes = labelled(a="yynnyn", b="ynnnyy"), labelled(a="yynnyn*y", b="ynnnyyy*")
    assert pair_agreement("a", "b", holes) == pair_agreement("a", "b", whole)
    assert pair_agreement("a", "b", labelled(a="y*", b="*n")).kappa is None


def test_what_is_always_the_same_has_no_kappa_nor_alpha() -> None:
    same = labelled(a="yyy", b="yyy")
    found = pair_agreement("a", "b", same)
    assert (found.observed, found.kappa, krippendorff_alpha(same)) == (1.0, None, None)
    assert krippendorff_alpha(labelled(a="y*", b="*n")) is None


def test_alpha_of_krippendorffs_own_examples() -> None:
    """Computing Krippendorff's Alpha-Reliability (2011), examples A (binary), B (nominal) and C (missing data)."""
    binary = labelled(meg="0100000010", owen="1110010000")
    assert krippendorff_alpha(binary) == pytest.approx(1 - 19 * 4 / (14 * 6)) == pytest.approx(0.095, abs=5e-4)
    nominal = labelled(ben="aabbdcccedda", gerry="babbbccceddd")
    assert krippendorff_alpha(nominal) == pytest.approx(310 / 448) == pytest.approx(0.692, abs=5e-4)
    missing = labelled(a="123321412***", b="1233224125*3", c="*3332342251*", d="12332441251*")
    assert krippendorff_alpha(missing) == pytest.approx(0.743, abs=5e-4)


# ---------------------------------------------------------------------------------------------- sheets


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    rows = [record(n, modification_type="Colour" if n % 2 else "size") for n in range(8)]
    rows[1]["id"] = "=1+1"
    write_sheet(write(tmp_path / "t.jsonl", rows), tmp_path / "sheet.csv", rows=8)
    return tmp_path / "sheet.csv"


def fill(sheet: Path, name: str, change: Change = lambda rows: None, delimiter: str = ",") -> Path:
    """A copy with ``yes`` everywhere but where ``change`` says otherwise; rows are in order of their ids."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["id"])
    for row in rows:
        row.update(relative_ok="yes", target_ok="Yes ", grammatical="TRUE", modification_type="colour")
    change(rows)
    path = sheet.with_name(f"{name}.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_sheets_are_compared_column_by_column(sheet: Path) -> None:
    def change(rows: list[dict[str, str]]) -> None:
        rows.reverse()
        rows[0]["relative_ok"], rows[1]["relative_ok"] = "no", ""

    one = fill(sheet, "one", lambda rows: rows[7].update(relative_ok="no"))
    two = fill(sheet, "two", change, delimiter=";")
    found = {row.column: row for row in agreement(read_sheets([one, two]))}
    relative = found["relative_ok"]
    assert (relative.items, relative.complete, relative.missing) == (8, 7, 1)
    assert relative.labels == {"yes": 13, "no": 2} and relative.alpha == pytest.approx(1.0)
    (pair,) = relative.pairs
    assert (pair.one, pair.other, pair.items, pair.observed, pair.kappa) == ("one", "two", 7, 1.0, 1.0)
    assert found["grammatical"].labels == {"yes": 16} and found["grammatical"].alpha is None


def test_three_annotators_make_three_pairs(sheet: Path) -> None:
    paths = [fill(sheet, name, lambda rows: rows[0].update(target_ok="no")) for name in "abc"]
    found = agreement(read_sheets(paths))
    assert [(p.one, p.other) for p in found[1].pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(), "lacks '7#0'"),
        (lambda rows: rows[0].update(id="new"), "lacks .* and has 'new' besides"),
        (lambda rows: rows[1].update(id=rows[2]["id"]), r"two\.csv:4: the id .* occurs twice"),
        (
            lambda rows: rows[3].update(target_ok="maybe"),
            r"csv:5: 'maybe' is no label of 'target_ok' \(known: yes",
        ),
        (lambda rows: rows[3].update(modification_type="color"), r"'color' is no label .* \(did you mean 'colour'"),
        (lambda rows: [row.pop("grammatical") for row in rows], "no column 'grammatical'"),
        (lambda rows: [row.pop("id") for row in rows], "no column 'id'"),
        (lambda rows: [row.update(dict.fromkeys(row, "")) for row in rows], "no rows"),
    ],
)
def test_sheets_that_do_not_fit(change: Change, said: str, sheet: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_sheets([fill(sheet, "one"), fill(sheet, "two", change)])


def test_other_mistakes(sheet: Path, tmp_path: Path) -> None:
    one = fill(sheet, "one")
    with pytest.raises(UsageError, match="at least two"):
        read_sheets([one])
    with pytest.raises(UsageError, match="given twice"):
        read_sheets([one, tmp_path / "." / "one.csv"])
    with pytest.raises(DataError, match="no such sheet"):
        read_sheets([one, tmp_path / "nowhere.csv"])
    (tmp_path / "latin.csv").write_bytes("id,caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_sheets([one, tmp_path / "latin.csv"])


def test_without_the_record_any_type_goes(sheet: Path) -> None:
    (sheet.parent / "sheet.meta.json").write_text("[]")
    paths = [fill(sheet, name, lambda rows: rows[0].update(modification_type="Other  Thing")) for name in "ab"]
    assert agreement(read_sheets(paths))[3].labels == {"colour": 14, "other thing": 2}


def test_without_nltk_the_extra_is_named(sheet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(UsageError, match=r"needs nltk .*mota\[analysis\]"):
        agreement(read_sheets([fill(sheet, "one"), fill(sheet, "two")]))
