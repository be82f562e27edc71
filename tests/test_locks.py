"""Locks between processes: threads stand for those, since a lock belongs to an open file."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motacli.errors import MotaError
from motacli.locks import locked


def test_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with locked(tmp_path / "new" / "x"):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert max(most) == 1 and len(most) == 160
    assert not list((tmp_path / "new").iterdir())


def test_others_are_not_waited_for(tmp_path: Path) -> None:
    waited: list[str] = []
    with locked(tmp_path / "a", lambda: waited.append("a")), locked(tmp_path / "b", lambda: waited.append("b")):
        assert {path.name for path in tmp_path.iterdir()} == {"a.lock", "b.lock"}
    assert not waited


def test_who_waits_is_told_and_an_error_lets_go(tmp_path: Path) -> None:
    waited: list[float] = []

    def second() -> None:
        with locked(tmp_path / "a", lambda: waited.append(time.monotonic())):
            pass

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyError), locked(tmp_path / "a"):
            other = pool.submit(second)
            while not waited:
                time.sleep(0.001)
            assert not other.done()
            raise KeyError
        other.result(10)
    assert len(waited) == 1


def test_without_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MotaError, match="file"), locked(tmp_path / "file" / "a"):
        pass
