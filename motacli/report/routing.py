"""The expert routing as a heat map that is also a table."""

from __future__ import annotations

from html import escape

from motacli.report.content import Routing

STRONG_FROM = 0.71
"""Tint from which the other text colour has the better contrast, in the light and in the dark scheme."""


def routing_section(routing: Routing | None) -> str:
    """A row per type of modification, a column per expert."""
    if routing is None or not routing.types:
        return ""
    heads = "".join(f'<th scope="col"><span class="wide">Expert </span>{k + 1}</th>' for k in range(routing.experts))
    largest = max(share for row in routing.shares for share in row) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{escape(kind)}</th>{"".join(_cell(share, largest) for share in row)}</tr>'
        for kind, row in zip(routing.types, routing.shares, strict=True)
    )
    return (
        '<section aria-labelledby="routing"><h2 id="routing">Which expert answers what</h2>'
        '<p class="lead">The router mixes the prompts of its experts for every query. '
        f"If it told nothing apart, every cell would read {100 / routing.experts:.0f}.</p>"
        '<div class="scroll" role="region" aria-label="Expert routing" tabindex="0"><table class="heat">'
        "<caption>Mean share of each expert by type of modification, in percent.</caption>"
        f'<thead><tr><th scope="col">Modification</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _cell(share: float, largest: float) -> str:
    tint = share / largest
    look = ' class="strong"' if tint >= STRONG_FROM else ""
    return f'<td{look} style="--tint:{100 * tint:.0f}%">{100 * share:.0f}</td>'
