"""Several lines in one figure, as inline SVG: no script, no library, and the colours of the reader's scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 600, 220
LOOKS = 6
"""How many lines look different, in colour and in dashes."""

Points = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Lines ``series`` by name, each of places and values. ``name`` is good for a file.

    ``log``: values are drawn by their logarithm, and those that are not positive are left out.
    """

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Points]
    log: bool = False

    def drawn(self) -> dict[str, Points]:
        """The series as they are drawn."""
        if not self.log:
            return dict(self.series)
        kept = {name: [(x, y) for x, y in zip(*points, strict=True) if y > 0] for name, points in self.series.items()}
        return {name: ([x for x, _ in points], [y for _, y in points]) for name, points in kept.items()}


def line_figure(plot: LinePlot) -> str:
    """The figure with its legend; the numbers behind it belong into a table nearby."""
    drawn = plot.drawn()
    places = [x for xs, _ in drawn.values() for x in xs] or [0.0]
    values = [_height(y, plot.log) for _, ys in drawn.values() for y in ys] or [0.0]
    left, right, low, high = min(places), max(places), min(values), max(values)
    low = low if plot.log else min(low, 0.0)

    def line(points: Points) -> str:
        pairs = zip(*points, strict=True)
        return " ".join(
            f"{WIDTH * _share(x, left, right):.1f},{HEIGHT * (1 - _share(_height(y, plot.log), low, high)):.1f}"
            for x, y in pairs
        )

    lines = "".join(
        f'<polyline class="line-{number % LOOKS + 1}" points="{line(points)}"></polyline>'
        for number, points in enumerate(drawn.values())
    )
    said = f"{plot.title}: {plot.y} by {plot.x}, for {', '.join(drawn)}"
    return (
        f'<figure class="chart lines"><figcaption>{escape(plot.title)}</figcaption>{_legend(list(drawn))}'
        f'<p class="axis-y">{escape(plot.y)}, {_end(low, plot.log)} to {_end(high, plot.log)}'
        f"{' (logarithmic)' if plot.log else ''}</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(said)}">'
        f"{lines}</svg>"
        f'<p class="axis" aria-hidden="true"><span>{left:g}</span><span>{escape(plot.x)}</span>'
        f"<span>{right:g}</span></p></figure>"
    )


def _legend(names: Sequence[str]) -> str:
    rows = "".join(
        f'<li><svg viewBox="0 0 28 6" aria-hidden="true" focusable="false">'
        f'<polyline class="line-{number % LOOKS + 1}" points="0,3 28,3"></polyline></svg>{escape(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{rows}</ul>'


def _height(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _end(value: float, log: bool) -> str:
    return f"{10**value:.2g}" if log else f"{value:.3g}"


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
