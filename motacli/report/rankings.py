"""A ranking as a row of pictures, and the badge that tells where its first target stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from motacli.contracts import ImageRef
from motacli.report.content import Hit

ARROW = "\N{RIGHTWARDS ARROW}"
Show = Callable[[ImageRef, str], str]
"""A picture and its alternative text to HTML."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the first target stands: its rank, infinite where it is not among the ``depth`` entries known."""

    rank: float
    depth: int

    @property
    def text(self) -> str:
        """``3`` or ``>50``, as HTML."""
        return f"{self.rank:.0f}" if self._known else f"&gt;{self.depth}"

    @property
    def words(self) -> str:
        """``at rank 3`` or ``beyond rank 50``."""
        return f"at rank {self.rank:.0f}" if self._known else f"beyond rank {self.depth}"

    @property
    def _known(self) -> bool:
        return math.isfinite(self.rank)


def rank_badge(old: Place, new: Place, by: str) -> str:
    """The first target's rank, before and after; ``by`` names the cause, for those who hear it."""
    look = "up" if new.rank < old.rank else "down" if new.rank > old.rank else "flat"
    return (
        f'<p class="badge {look}"><span class="hidden">Target {old.words}, with {escape(by)} {new.words}.</span>'
        f'<span aria-hidden="true">target rank {old.text} {ARROW} <b>{new.text}</b></span></p>'
    )


def ranking_row(title: str, look: str, hits: Sequence[Hit], place: Place, shown: int, show: Show) -> str:
    """The best ``shown`` of a ranking; where no target is among them, the title says where the first is."""
    if not hits:
        return ""
    items = "".join(_hit(rank, hit, show) for rank, hit in enumerate(hits[:shown], start=1))
    seen = any(hit.is_target for hit in hits[:shown])
    elsewhere = "" if seen else f' <span class="absent">target {place.words}</span>'
    return f'<h4 class="{look}">{escape(title)}{elsewhere}</h4><ol class="hits of-{shown}">{items}</ol>'


def _hit(rank: int, hit: Hit, show: Show) -> str:
    score = f'<span class="score" aria-hidden="true"><i>{rank}</i>{hit.score:.2f}</span>'
    if hit.is_target:
        shown = show(hit.image, f"Rank {rank}: target picture {hit.image.id}")
        return f'<li class="target">{shown}<span class="mark" aria-hidden="true">✓</span>{score}</li>'
    return f"<li>{show(hit.image, f'Rank {rank}: picture {hit.image.id}')}{score}</li>"
