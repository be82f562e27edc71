"""Conditions on the pictures of an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from motacli.errors import UsageError
from motacli.search.entries import Entries, Entry, write_entries
from motacli.search.filters import MOST, Condition, parse

COLUMNS = {"price": "number", "colour": "text", 'a "quoted" name': "text", "select": "text"}
ROWS = [
    {"price": 3.0, "colour": "red", 'a "quoted" name': "x", "select": "1"},
    {"price": 20.0, "colour": "Red", 'a "quoted" name': "y", "select": None},
    {"price": -1.5, "colour": "blue 'n' grey", 'a "quoted" name': None, "select": "1); DROP TABLE entries; --"},
    {"price": None, "colour": None, 'a "quoted" name': None, "select": ""},
]
IDS = ["a/1.jpg", "a/b/2.jpg", "c=3.jpg", "c[4].jpg"]


@pytest.fixture
def entries(tmp_path: Path) -> Entries:
    rows = [Entry(n, id, id, 1, 1, str(n), 1, 1, dict(ROWS[n])) for n, id in enumerate(IDS)]
    write_entries(tmp_path / "e.sqlite", rows, COLUMNS)
    return Entries.open(tmp_path / "e.sqlite")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("price<20", [0, 2]),
        ("price <= 20", [0, 1, 2]),
        ("price>3", [1]),
        ("price>=3", [0, 1]),
        ("price=3.00", [0]),
        ("price==3", [0]),
        ("price!=3", [1, 2, 3]),
        ("price<inf", [0, 1, 2]),
        ("colour=red", [0]),
        ("colour!=red", [1, 2, 3]),
        ("colour~[rR]ed", [0, 1]),
        ("colour~*'n'*", [2]),
        ("colour<c", [1, 2]),
        ("path~a/*", [0, 1]),
        ("path~?/?.jpg", [0]),
        ("id=c=3.jpg", [2]),
        ("path~c[[]4].jpg", [3]),
        ('a "quoted" name=y', [1]),
        ("select=1); DROP TABLE entries; --", [2]),
        ("select=1' OR '1'='1", []),
        ("select=", [3]),
    ],
)
def test_what_a_condition_selects(entries: Entries, text: str, rows: list[int]) -> None:
    chosen = entries.select([parse(text)])
    assert chosen.dtype == bool and chosen.shape == (4,)
    assert chosen.nonzero()[0].tolist() == rows


def test_several_conditions_all_have_to_be_met(entries: Entries) -> None:
    assert entries.select([parse("price<10"), parse("path~a/*")]).nonzero()[0].tolist() == [0]
    assert entries.select([]).all()


def test_a_condition_is_read_and_written() -> None:
    assert parse("  price  <=  2 0 ") == Condition("price", "<=", "2 0")
    assert str(parse("path~a b/*")) == "path~a b/*"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colr=red", "did you mean 'colour'?"),
        ("row=1", "unknown column 'row'"),
        ("m0=1", "unknown column 'm0'"),
        ("price<cheap", "'cheap' is none"),
        ("price<nan", "'nan' is none"),
        ("price~2*", "~ is for texts"),
        ("price", "is no condition"),
        ("", "is no condition"),
        ("<3", "is no condition"),
        ("path~" + "*a" * 7, "more than 6 stars"),
        ("path=" + "x" * 1000, "too long"),
        ("path=\0", "NUL"),
        ("path=\ud800", "not valid text"),
    ],
)
def test_what_is_refused(entries: Entries, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        entries.select([parse(text)])
    assert said in str(error.value)


def test_too_many_conditions_are_refused(entries: Entries) -> None:
    with pytest.raises(UsageError, match="more than 64"):
        entries.select([parse("price<1")] * (MOST + 1))
