"""Charts that are also tables or have their numbers in words: bars, and histograms as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motacli.analysis.distributions import Histogram

HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a chart: what it is, how long its bar is, and what is written over it."""

    label: str
    value: float
    text: str


def bar(value: float, best: float) -> str:
    """A bar that fills its cell at ``best``."""
    width = max(0.0, 100 * value / best) if best else 0.0
    return (
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="track" width="100" height="6"/><rect class="value" width="{width:.1f}" height="6"/></svg>'
    )


def bar_table(head: str, caption: str, rows: Sequence[Bar]) -> str:
    """A table with a bar in each row; the longest fills its cell."""
    longest = max((row.value for row in rows), default=0.0)
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th>'
        f'<td><span class="number">{escape(row.text)}</span>{bar(row.value, longest)}</td></tr>'
        for row in rows
    )
    return (
        f'<div class="chart"><table class="bars base"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">{escape(head)}</th><th scope="col"><span class="hidden">Value</span></th></tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def histogram_figure(title: str, found: Histogram, *, last_is_open: bool = False) -> str:
    """A histogram whose bins say their counts on hover; ``last_is_open``: the last one holds all that is larger."""
    tallest = max(found.counts, default=0) or 1
    bins = "".join(_bin(place, count, tallest, found) for place, count in enumerate(found.counts))
    first, last = found.start, found.start + found.width * (len(found.counts) - last_is_open)
    middle = found.start + found.width * (len(found.counts) - last_is_open) / 2
    ends = (f"{first:g}", f"{middle:g}", f"{last:g}{' and more' if last_is_open else ''}")
    total = sum(found.counts)
    said = f"{title}: {total} in {len(found.counts)} bins from {ends[0]} to {ends[2]}, {tallest} in the fullest"
    return (
        f'<figure class="chart histogram"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {len(found.counts)} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}">{bins}</svg>'
        f'<p class="axis" aria-hidden="true">{"".join(f"<span>{end}</span>" for end in ends)}</p></figure>'
    )


def _bin(place: int, count: int, tallest: int, found: Histogram) -> str:
    height = HEIGHT * count / tallest
    low = found.start + found.width * place
    return (
        f'<rect x="{place + 0.05:.2f}" y="{HEIGHT - height:.1f}" width="0.9" height="{height:.1f}">'
        f"<title>{low:g}: {count}</title></rect>"
    )
