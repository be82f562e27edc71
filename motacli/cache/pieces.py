"""Encoded rows on their way to the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motacli.cache.columns import Columns, joined
from motacli.cache.parts import Broken, Kind, Part, captions_digest


@dataclass(frozen=True)
class Piece:
    """Rows that were encoded: of the source where ``kind`` is ``images``, of the cache where it is ``texts``.

    ``columns`` hold the rows that could be read, and are empty where there are none; ``broken`` are the others.
    ``captions`` are what text features belong to.
    """

    kind: Kind
    start: int
    stop: int
    columns: Columns
    broken: Sequence[Broken] = ()
    captions: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """How many could be read."""
        return next((len(values) for values in self.columns.values()), 0)

    @property
    def part(self) -> Part:
        """The record of it, before its file is written."""
        captions = captions_digest(self.captions) if self.kind == "texts" else ""
        return Part(self.kind, self.start, self.stop, self.rows, captions=captions, broken=tuple(self.broken))


def one_piece(pieces: Sequence[Piece]) -> Piece:
    """Neighbouring pieces of a kind, in their order, as one."""
    if len(pieces) == 1:
        return pieces[0]
    full = [piece.columns for piece in pieces if piece.rows]
    return Piece(
        pieces[0].kind,
        pieces[0].start,
        pieces[-1].stop,
        {name: joined([columns[name] for columns in full]) for name in (full[0] if full else ())},
        [one for piece in pieces for one in piece.broken],
        [caption for piece in pieces for caption in piece.captions],
    )
