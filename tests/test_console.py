"""Data on stdout, everything else on stderr, and quiet when asked to be."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
import pytest

from motacli.console import Console, NullProgress, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Row:
    name: str
    score: float
    tags: tuple[str, ...] = ()


ROWS = [Row("a[b]", np.float32(12.345), ("x", "y")), Row("long name", float("nan"))]  # type: ignore[arg-type]


def console(kind: type[io.StringIO] = io.StringIO, **flags: bool) -> tuple[Console, io.StringIO, io.StringIO]:
    out, err = kind(), kind()
    return Console(out=out, err=err, **flags), out, err  # type: ignore[arg-type]


def test_json() -> None:
    made, out, err = console(json=True)
    made.table(ROWS)
    assert json.loads(out.getvalue())[1] == {"name": "long name", "score": None, "tags": []}
    assert err.getvalue() == ""


def test_aligned_text_where_stdout_is_no_terminal() -> None:
    made, out, _ = console()
    made.table(ROWS, columns=["name", "score"])
    assert out.getvalue() == "name       score\na[b]       12.35\nlong name\n"


def test_table_on_a_terminal_keeps_brackets() -> None:
    made, out, _ = console(Terminal)
    made.table(ROWS, title="Scores")
    assert "Scores" in out.getvalue() and "a[b]" in out.getvalue() and "x, y" in out.getvalue()


def test_no_rows() -> None:
    made, out, _ = console()
    made.table([], columns=["name"])
    made.table([])
    assert out.getvalue().split() == ["name"]


@pytest.mark.parametrize(("as_json", "wanted"), [(False, "plain\n"), (True, '"plain"\n')])
def test_text_as_data(as_json: bool, wanted: str) -> None:
    made, out, _ = console(json=as_json)
    made.data("plain")
    assert out.getvalue() == wanted


def test_quiet_silences_logs_but_not_warnings_and_errors() -> None:
    made, out, err = console(quiet=True)
    made.log("note")
    made.warn("careful")
    made.error("broken", "mend it")
    assert err.getvalue() == "warning: careful\nerror: broken (mend it)\n" and out.getvalue() == ""


def test_bars_on_a_terminal() -> None:
    made, out, err = console(Terminal)
    seen = []
    for i in made.track(range(3), "outer"):
        for j in made.track(iter("ab"), "inner", total=2):
            seen.append((i, j))
        made.log("between [brackets]")
    assert len(seen) == 6 and out.getvalue() == ""
    assert all(word in err.getvalue() for word in ("outer", "inner", "3/3", "2/2", "/s", "between [brackets]"))


@pytest.mark.parametrize(("kind", "flags"), [(io.StringIO, {}), (Terminal, {"quiet": True})])
def test_no_bars_otherwise(kind: type[io.StringIO], flags: dict[str, bool]) -> None:
    made, _, err = console(kind, **flags)
    assert list(made.track([1, 2], "work")) == [1, 2]
    assert err.getvalue() == ""


def test_a_bar_left_early_is_closed() -> None:
    made, _, _ = console(Terminal)
    for _ in made.track(range(3)):
        break
    with pytest.raises(RuntimeError):
        for _ in made.track(range(3)):
            raise RuntimeError
    assert list(made.track(range(2))) == [0, 1] and made._bars is None


def test_console_and_null_are_progress(capsys: pytest.CaptureFixture[str]) -> None:
    def work(progress: Progress) -> list[int]:
        progress.log("x")
        return list(progress.track([1, 2], "work"))

    assert work(NullProgress()) == work(Console(quiet=True)) == [1, 2]
    assert capsys.readouterr() == ("", "")
