"""Sample queries: the reference, what is asked of it, and the two rankings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from motacli.report.content import SHOWN, Hit, Report, SampleQuery, first_target
from motacli.report.pictures import picture
from motacli.report.rankings import ARROW, Place, rank_badge, ranking_row


def sample_section(report: Report) -> str:
    """All sample queries, in their order."""
    if not report.samples:
        return ""
    cards = "".join(_card(number, sample, report) for number, sample in enumerate(report.samples, start=1))
    return (
        '<section aria-labelledby="queries"><h2 id="queries">What it finds</h2>'
        f'<p class="lead">A picture, a sentence about what should change, and the best {SHOWN} of the gallery: '
        f"by {escape(report.inversion)} alone, then with {escape(report.adapter)}. "
        '<span class="key"><span class="key-mark" aria-hidden="true">✓</span> marks a target,</span> '
        f"a picture that was asked for; the rank is that of the first.</p>{cards}</section>"
    )


def hero_equation(report: Report) -> str:
    """Picture, sentence, picture: the task in one line, told by the sample that improved most."""
    told = [sample for sample in report.samples if sample.rank_after() == 1]
    if not told:
        return ""
    best = max(told, key=lambda sample: sample.rank_before() or len(sample.before) + 1)
    return (
        '<figure class="equation">'
        f"<div>{picture(best.reference, f'Reference picture {best.reference.id}')}<span>reference</span></div>"
        '<b aria-hidden="true">+</b>'
        f"<blockquote>{escape(best.caption)}</blockquote>"
        f'<b aria-hidden="true">=</b><b class="arrow" aria-hidden="true">{ARROW}</b>'
        f'<div class="found">{picture(best.after[0].image, f"Retrieved target picture {best.after[0].image.id}")}'
        f"<span>ranked first</span></div><figcaption>{_history(best, report)}</figcaption></figure>"
    )


def _history(sample: SampleQuery, report: Report) -> str:
    """Where the target stood before it came first."""
    if sample.rank_before() == 1 or not sample.before:
        return f"A query of {escape(sample.benchmark)}, from those below."
    before = _place(sample.before).words
    return f"Target {before} with {escape(report.inversion)} alone, first with {escape(report.adapter)}."


def _card(number: int, sample: SampleQuery, report: Report) -> str:
    return (
        f'<article class="card" aria-labelledby="query-{number}">'
        f'<figure class="reference">{picture(sample.reference, f"Reference picture {sample.reference.id}")}'
        "<figcaption>reference</figcaption></figure>"
        f'<div class="asked"><p class="labels"><span>{escape(sample.benchmark)}</span> '
        f"<span>{escape(sample.kind)}</span></p>"
        f'<h3 id="query-{number}"><q>{escape(sample.caption)}</q></h3>{_badge(sample)}</div>'
        f'<div class="rankings">{_row(report.inversion + " alone", sample.before, "before")}'
        f"{_row('+ ' + report.adapter, sample.after, 'after')}</div></article>"
    )


def _badge(sample: SampleQuery) -> str:
    """The target's rank, before and after."""
    if not sample.before or not sample.after:
        return ""
    return rank_badge(_place(sample.before), _place(sample.after), "the adapter")


def _place(hits: Sequence[Hit]) -> Place:
    return Place(first_target(hits) or math.inf, len(hits))


def _row(title: str, hits: Sequence[Hit], look: str) -> str:
    return ranking_row(title, look, hits, _place(hits), SHOWN, picture)
