"""Sample queries: the reference, what is asked of it, and the two rankings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from motacli.report.content import SHOWN, Hit, Report, SampleQuery, first_target
from motacli.report.pictures import picture

ARROW = "\N{RIGHTWARDS ARROW}"


def sample_section(report: Report) -> str:
    """All sample queries, in their order."""
    if not report.samples:
        return ""
    cards = "".join(_card(number, sample, report) for number, sample in enumerate(report.samples, start=1))
    return (
        '<section aria-labelledby="queries"><h2 id="queries">What it finds</h2>'
        f'<p class="lead">A picture, a sentence about what should change, and the best {SHOWN} of the gallery: '
        f"by {escape(report.inversion)} alone, then with {escape(report.adapter)}. "
        '<span class="key"><span class="key-mark" aria-hidden="true">✓</span> marks a picture that was asked for.</span></p>'
        f"{cards}</section>"
    )


def hero_equation(samples: Sequence[SampleQuery]) -> str:
    """Picture, sentence, picture: the task in one line, told by the sample that improved most."""
    told = [sample for sample in samples if sample.rank_after() == 1]
    if not told:
        return ""
    best = max(told, key=lambda sample: sample.rank_before() or len(sample.before) + 1)
    target = best.target()
    if target is None:
        return ""
    return (
        '<figure class="equation">'
        f"<div>{picture(best.reference, f'Reference picture {best.reference.id}')}<span>reference</span></div>"
        '<b aria-hidden="true">+</b>'
        f"<blockquote>{escape(best.caption)}</blockquote>"
        '<b aria-hidden="true">=</b>'
        f'<div class="found">{picture(target, f"Retrieved target picture {target.id}")}<span>ranked first</span></div>'
        "<figcaption>Of the queries below, the one that improved most.</figcaption></figure>"
    )


def _card(number: int, sample: SampleQuery, report: Report) -> str:
    before, after = sample.rank_before(), sample.rank_after()
    return (
        f'<article class="card" aria-labelledby="query-{number}">'
        f'<figure class="reference">{picture(sample.reference, f"Reference picture {sample.reference.id}")}'
        "<figcaption>reference</figcaption></figure>"
        f'<div class="asked"><p class="labels"><span>{escape(sample.benchmark)}</span><span>{escape(sample.kind)}</span></p>'
        f'<h3 id="query-{number}"><q>{escape(sample.caption)}</q></h3>'
        f"{_badge(before, after, len(sample.before), len(sample.after))}</div>"
        f'<div class="rankings">{_row(report.inversion + " alone", sample.before, "before")}'
        f"{_row('+ ' + report.adapter, sample.after, 'after')}</div></article>"
    )


def _badge(before: int | None, after: int | None, seen_before: int, seen_after: int) -> str:
    """The target's rank, before and after."""
    old, new = before or seen_before + 1, after or seen_after + 1
    look = "up" if new < old else "down" if new > old else "flat"
    first, second = _rank(before, seen_before), _rank(after, seen_after)
    return (
        f'<p class="badge {look}"><span class="hidden">The target moves from rank {first} to rank {second}.</span>'
        f'<span aria-hidden="true">target rank <s>{first}</s> {ARROW} <b>{second}</b></span></p>'
    )


def _rank(rank: int | None, seen: int) -> str:
    return f"&gt;{seen}" if rank is None else str(rank)


def _row(title: str, hits: Sequence[Hit], look: str) -> str:
    items = "".join(_hit(rank, hit) for rank, hit in enumerate(hits[:SHOWN], start=1))
    rank = first_target(hits)
    found = "" if rank is not None and rank <= SHOWN else f' <span class="absent">not in the best {SHOWN}</span>'
    return f'<h4 class="{look}">{escape(title)}{found}</h4><ol class="hits">{items}</ol>'


def _hit(rank: int, hit: Hit) -> str:
    role = "the target, picture" if hit.is_target else "picture"
    mark = '<span class="mark" aria-hidden="true">✓</span>' if hit.is_target else ""
    return (
        f'<li{" class=target" if hit.is_target else ""}>{picture(hit.image, f"Rank {rank}: {role} {hit.image.id}")}{mark}'
        f'<span class="score" aria-hidden="true"><i>{rank}</i>{hit.score:.2f}</span></li>'
    )
