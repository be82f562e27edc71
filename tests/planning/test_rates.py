"""Files of rates, and numbers as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from motacli.errors import MotaError, UsageError
from motacli.planning.quantities import count_text, read_count, size_text, time_text
from motacli.planning.rate_keys import KEYS
from motacli.planning.rates import Rate, Rates
from motacli.planning.rates_file import read_rates, write_rates


def test_round_trip(tmp_path: Path) -> None:
    values = {key: Rate(1.5 + n, 1.25, 2.5 + n, "here") for n, key in enumerate(KEYS)}
    values["listing.rows_per_second"] = Rate(12_345_678.0, on='said "so"')
    conditions = {"here": {"model": "tiny", "threads": 2, "versions": {"torch": "2.9"}, "batch size": 64, "on": True}}
    path = tmp_path / "rates.toml"
    write_rates(path, Rates(values, conditions))
    found = read_rates(path)
    assert (found.values, found.conditions, found.where) == (values, conditions, str(path))
    with pytest.raises(MotaError, match="exists already"):
        write_rates(path, found)


def test_plain_numbers_are_given(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text("[decode]\npictures_per_second_per_core = 120\n[start]\nmodel_seconds = 0\n")
    found = read_rates(path)
    assert found.values["decode.pictures_per_second_per_core"] == Rate(120, on="given")
    assert found.need("start.model_seconds", "cache") == 0
    with pytest.raises(UsageError, match=r"has no listing\.rows_per_second, which the stage 'cache' needs: rows of"):
        found.need("listing.rows_per_second", "cache")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[decod]\nx = 1", r"unknown table \[decod\] \(did you mean 'decode'\?\)"),
        ("[listing]\nrow_per_second = 1", "unknown rate listing.row_per_second .did you mean 'rows_per_second'"),
        ("[listing]\nrows_per_second = 0", "must be a number above zero, not 0"),
        ("[listing]\nrows_per_second = -1", "must be a number above zero"),
        ("[listing]\nrows_per_second = nan", "must be a number, not nan"),
        ("[listing]\nrows_per_second = true", "must be a number"),
        ("[start]\nmodel_seconds = -1", "not negative"),
        ("[listing]\nrows_per_second = 'fast'", "must be a number"),
        ("[listing]\nrows_per_second = { valu = 1 }", "unknown 'valu' .did you mean 'value'"),
        ("[listing]\nrows_per_second = { low = 1 }", "has no value"),
        ("[listing]\nrows_per_second = { value = 1, on = 3 }", "on must be a text"),
        ("listing = 3", "must be a table of rates"),
        ("[listing\n", "not valid TOML"),
        ("format = 9", "format 9"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rates.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_rates(path)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text("[decod]\nx = 1\n[listing]\nrows_per_second = 0\n")
    with pytest.raises(UsageError, match="2 mistakes"):
        read_rates(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_rates(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12000", 12_000),
        ("3e6", 3_000_000),
        ("400M", 400_000_000),
        ("5B", 5 * 10**9),
        ("1.5k", 1500),
        ("12,000", 12000),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert read_count(text) == count
    assert read_count(count_text(count)) == count


@pytest.mark.parametrize("text", ["", "many", "-3", "1.5", "3e", "1e999", "5 X", "0.0001k"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(UsageError, match="--pictures"):
        read_count(text, "--pictures")


def test_units() -> None:
    assert [time_text(s) for s in (0, 0.25, 59, 90, 7200, 86400 * 3)] == [
        "0",
        "250 ms",
        "59.0 s",
        "1.50 min",
        "2.00 h",
        "3.00 d",
    ]
    assert [size_text(b) for b in (0, 999, 2e9, 1.5e13)] == ["0", "999 B", "2.00 GB", "15.0 TB"]
