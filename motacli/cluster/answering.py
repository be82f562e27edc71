"""Rows that come in pieces, answered by one generator that does not stop between them.

A generator that asks a model keeps many rows under way. If each piece were a call of its own, the model would idle
while the slowest row of the piece is waited for; here the rows of the next piece follow at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from motacli.contracts import ImageText, Outcome, TripletGenerator
from motacli.triplets.pipeline import unasked


@dataclass(eq=False)
class _Piece:
    """Rows that came together: how many of them are not answered, what came of the others."""

    open: int
    outcomes: list[Outcome] = field(default_factory=list)
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Answering:
    """A thread in which a generator answers what any thread hands to `answer`."""

    def __init__(self, generator: TripletGenerator) -> None:
        self._generator = generator
        self._rows: SimpleQueue[tuple[ImageText, _Piece]] = SimpleQueue()
        self._pieces: list[_Piece] = []
        self._under_way: dict[str, list[_Piece]] = {}
        self._lock = threading.RLock()
        self._stopped = False
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, rows: Sequence[ImageText]) -> tuple[list[Outcome], BaseException | None]:
        """The outcomes of some rows once all are there: fewer after `stop`, or with the error that ended them."""
        piece = _Piece(len(rows))
        with self._lock:
            if self._stopped or not rows:
                return [], None
            self._pieces.append(piece)
            for row in rows:
                self._rows.put((row, piece))
        piece.done.wait()
        return list(piece.outcomes), piece.error

    def stop(self, grace: float) -> None:
        """Begin no further row; after ``grace`` seconds, do not wait for those under way either."""
        with self._lock:
            self._stopped = True
        ending = threading.Timer(grace, self._end_all)
        ending.daemon = True
        ending.start()

    def _work(self) -> None:
        while True:
            first = self._rows.get()
            try:
                for outcome in self._generator.generate(self._handed_out(first)):
                    self._take(outcome)
            except BaseException as error:  # raised where the answers were asked for
                self._end_all(error)
            self._let_go()

    def _handed_out(self, first: tuple[ImageText, _Piece]) -> Iterator[ImageText]:
        """Rows as long as there are any: a generator that waited for one here could not see to the others."""
        item: tuple[ImageText, _Piece] | None = first
        while item is not None:
            row, piece = item
            with self._lock:
                self._under_way.setdefault(row.id, []).append(piece)
            yield row
            item = None if self._stopped else self._next()

    def _next(self) -> tuple[ImageText, _Piece] | None:
        with self._lock:  # rows of a piece are put in together: none of them is to go alone
            try:
                return self._rows.get_nowait()
            except Empty:
                return None

    def _take(self, outcome: Outcome) -> None:
        with self._lock:
            owners = self._under_way.get(outcome.row.id)
            if owners is None:
                raise unasked(self._generator, outcome)
            piece = owners.pop(0)
            if not owners:
                del self._under_way[outcome.row.id]
            piece.outcomes.append(outcome)
            self._close(piece)

    def _let_go(self) -> None:
        """Wait no longer for rows of which the generator said nothing, nor for those it will not get any more."""
        with self._lock:
            left = [piece for owners in self._under_way.values() for piece in owners]
            self._under_way.clear()
            while self._stopped and (item := self._next()) is not None:
                left.append(item[1])
            for piece in left:
                self._close(piece)

    def _close(self, piece: _Piece) -> None:
        """Count one row of a piece as done with."""
        piece.open -= 1
        if not piece.open and piece in self._pieces:
            self._pieces.remove(piece)
            piece.done.set()

    def _end_all(self, error: BaseException | None = None) -> None:
        with self._lock:
            while self._next() is not None:
                pass
            for piece in self._pieces:
                piece.error = error
                piece.done.set()
            self._pieces.clear()
