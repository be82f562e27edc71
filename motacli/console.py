"""What people and programs see: data on stdout, everything else on stderr.

Library code takes a `Progress` and defaults to `NullProgress()`; the `Console` of the command line is one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

from motacli.runs import jsonable

if TYPE_CHECKING:
    import rich.progress

T = TypeVar("T")
Description = str | Callable[[], str]


class Progress(Protocol):
    """What long-running library code reports to."""

    def track(self, items: Iterable[T], description: Description = "", total: int | None = None) -> Iterator[T]:
        """Pass ``items`` on while showing how far we are; ``total`` defaults to their length, if they have one.

        A ``description`` that is a function is asked again with every item.
        """

    def log(self, message: str) -> None:
        """Something worth knowing, left out under ``--quiet``."""

    def warn(self, message: str) -> None:
        """Something that may be wrong, always shown."""


class NullProgress:
    """A `Progress` that says nothing."""

    def track(self, items: Iterable[T], description: Description = "", total: int | None = None) -> Iterator[T]:
        yield from items

    def log(self, message: str) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Console:
    """The command line's two streams. ``json``, ``quiet`` and ``debug`` are the options of the same names.

    One that is ``muted`` says nothing on stderr: of several processes the first speaks for all.
    """

    json: bool = False
    quiet: bool = False
    debug: bool = False
    muted: bool = False
    out: TextIO | None = None
    err: TextIO | None = None
    _bars: rich.progress.Progress | None = field(default=None, init=False, repr=False)
    _open: int = field(default=0, init=False, repr=False)

    # -------------------------------------------------------------------------------------------- stdout

    def table(self, rows: Sequence[Any], columns: Sequence[str] = (), title: str = "") -> None:
        """Print rows (dataclasses or mappings): JSON with ``--json``, a table on a terminal, else aligned text."""
        records = [jsonable(row) for row in rows]
        if self.json:
            self.data(records)
            return
        names = list(columns) or list(dict.fromkeys(name for record in records for name in record))
        cells = [[_cell(record.get(name)) for name in names] for record in records]
        if self._out.isatty():
            self._rich_table(names, cells, title)
        else:
            self._plain_table(names, cells)

    def data(self, value: Any) -> None:
        """Print one value: JSON with ``--json`` or where there is structure, plain text otherwise."""
        if isinstance(value, str) and not self.json:
            text = value
        else:
            text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)
        print(text, file=self._out)

    def _rich_table(self, names: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(*names, title=title or None)
        for row in cells:
            table.add_row(*map(Text, row))  # Text, so that brackets in the data stay brackets
        RichConsole(file=self._out).print(table)

    def _plain_table(self, names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        lines = [list(names), *map(list, cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            print("  ".join(padded).rstrip(), file=self._out)

    # -------------------------------------------------------------------------------------------- stderr

    def log(self, message: str) -> None:
        """A line on stderr, left out under ``--quiet``."""
        if not self.quiet:
            self._say(message)

    def warn(self, message: str) -> None:
        """A warning on stderr, shown even under ``--quiet``."""
        self._say(f"warning: {message}")

    def error(self, message: str, hint: str = "") -> None:
        """An error on stderr, in one line with its hint."""
        self._say(f"error: {message}" + (f" ({hint})" if hint else ""))

    def track(self, items: Iterable[T], description: Description = "", total: int | None = None) -> Iterator[T]:
        """Pass ``items`` on under a bar with rate and time left: on a terminal, and unless ``--quiet``."""
        if self.quiet or self.muted or not self._err.isatty():
            yield from items
            return
        if total is None and isinstance(items, Sized):
            total = len(items)
        bars = self._start()
        say = description if callable(description) else lambda: description
        task = bars.add_task(say(), total=total)
        try:
            for item in items:
                yield item
                bars.update(task, advance=1, description=say())
        finally:
            self._stop()

    def _start(self) -> rich.progress.Progress:
        """The one live display that nested bars share."""
        if self._bars is None:
            self._bars = _bars(self._err)
            self._bars.start()
        self._open += 1
        return self._bars

    def _stop(self) -> None:
        self._open -= 1
        if self._open == 0 and self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _say(self, line: str) -> None:
        if self.muted:
            return
        if self._bars is not None:  # above the live bars rather than through them
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._err, flush=True)

    # Looked up late: sys.stdout and sys.stderr may have been replaced since this object was made.
    @property
    def _out(self) -> TextIO:
        return self.out or sys.stdout

    @property
    def _err(self) -> TextIO:
        return self.err or sys.stderr


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 else f"{value:.2f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(item)}" for key, item in value.items())
    return str(value)


def _bars(stream: TextIO) -> rich.progress.Progress:
    from rich import progress
    from rich.console import Console as RichConsole
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s")

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
        console=RichConsole(file=stream),
    )
