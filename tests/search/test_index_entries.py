"""The pictures of an index in their SQLite file."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motacli.errors import DataError
from motacli.search.entries import Entries, Entry, write_entries
from motacli.search.filters import parse

COLUMNS = {"price": "number", "colour": "text"}
MANY = 1203


def entry(row: int) -> Entry:
    id = f"{row % 7}/ü%20#{row:05d}?.jpg"
    metadata = {"price": row / 2 if row % 3 else None, "colour": "red" if row % 2 else None}
    return Entry(row, id, id, 10 + row, 2**62 + row, f"{row:064x}", 3, 4, metadata)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a folder, 100% #1?") / "entries.sqlite"
    write_entries(path, map(entry, range(MANY)), COLUMNS)
    return path


def test_what_was_written_is_read(written: Path) -> None:
    entries = Entries.open(written)
    assert len(entries) == MANY and entries.columns == COLUMNS
    assert list(entries) == [entry(row) for row in range(MANY)]
    assert entries.get([7, 1202, 7, 0]) == [entry(row) for row in (7, 1202, 7, 0)]
    assert entries.get(range(MANY)) == list(entries)
    assert entries.get([]) == []


def test_pictures_are_found_by_id(written: Path) -> None:
    entries = Entries.open(written)
    assert entries.find(entry(5).id) == entry(5)
    for other in ("", "nowhere", entry(5).id.upper(), entry(5).id + "\0", "\ud800", "5/%"):
        assert entries.find(other) is None


@pytest.mark.parametrize("row", [-1, MANY])
def test_a_row_that_is_not_there(written: Path, row: int) -> None:
    with pytest.raises(IndexError, match=str(row)):
        Entries.open(written).get([0, row])


def test_the_same_pictures_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_entries(tmp_path / "again.sqlite", map(entry, range(MANY)), COLUMNS)
    assert (tmp_path / "again.sqlite").read_bytes() == written.read_bytes()


def test_many_threads_may_ask(written: Path) -> None:
    entries = Entries.open(written)

    def ask(number: int) -> bool:
        rows = [(number * k) % MANY for k in range(9)]
        fits = entries.select([parse(f"price<{number}")])
        return entries.get(rows) == [entry(row) for row in rows] and fits.sum() == sum(
            1 for row in range(MANY) if row % 3 and row / 2 < number
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_a_reader_goes_on_when_the_file_is_removed(written: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(written, tmp_path / "copy.sqlite"))
    entries = Entries.open(copy)
    copy.unlink()
    assert list(entries) == [entry(row) for row in range(MANY)]


def test_nothing_can_be_written(written: Path) -> None:
    entries = Entries.open(written)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        entries._database.execute("DELETE FROM entries")


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "entries.sqlite"
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"entries.sqlite") as error:
        Entries.open(path)
    assert type(error.value).__module__ == "motacli.errors"


def test_a_cut_off_file_is_told(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "entries.sqlite"
    path.write_bytes(written.read_bytes()[:9000])
    with pytest.raises(DataError, match="damaged"):
        list(Entries.open(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no list of pictures"):
        Entries.open(tmp_path / "entries.sqlite")
