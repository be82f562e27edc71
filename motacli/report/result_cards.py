"""The queries of a comparison as HTML: what was asked, what was wanted, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from motacli.contracts import ImageRef
from motacli.report.examples import SHOWN, Answer, Example, Examples
from motacli.report.pictures import picture_or_gap
from motacli.report.rankings import Place, rank_badge, ranking_row

TARGETS = 4
"""Targets shown beside the reference."""
KEY = (
    '<span class="key"><span class="key-mark" aria-hidden="true">✓</span> marks a target;</span> '
    "the rank is that of the first."
)


def sampled_section(title: str, examples: Examples, id: str) -> str:
    """Queries drawn at random."""
    heading = f"{title}: before and after" if examples.before else f"{title}: what it finds"
    return _section(heading, f"{_drawn(examples)} {KEY}", examples.sampled, examples, id)


def hardest_section(title: str, examples: Examples, id: str) -> str:
    """The hardest failures."""
    lead = f"Where {escape(examples.best.name)}, the best run, ranks the first target lowest. {KEY}"
    return _section(f"{title}: hardest failures", lead, examples.hardest, examples, id)


def _drawn(examples: Examples) -> str:
    if examples.before is None:
        return f"Queries drawn at random, with the best {SHOWN} of {escape(examples.after.name)}."
    return (
        f"From {escape(examples.before.name)} to {escape(examples.after.name)} the first target moved up in "
        f"{examples.up} queries, down in {examples.down} and stayed where it was in {examples.same}. "
        f"Shown are the best {SHOWN} for queries drawn at random from each of these kinds in turn."
    )


def _section(heading: str, lead: str, shown: Sequence[Example], examples: Examples, id: str) -> str:
    if not shown:
        return ""
    cards = "".join(_card(f"{id}-{number}", example, examples) for number, example in enumerate(shown, start=1))
    head = f'<h2 id="{id}">{escape(heading)}</h2><p class="lead">{lead}</p>'
    return f'<section aria-labelledby="{id}">{head}{cards}</section>'


def _card(id: str, example: Example, examples: Examples) -> str:
    query = example.query
    labels = "".join(f"<span>{escape(label)}</span> " for label in (example.part, *query.tags) if label)
    rows = _row(examples.before.name, "before", example.before) if examples.before and example.before else ""
    rows += _row(examples.after.name, "after" if rows else "before", example.after)
    return (
        f'<article class="card" aria-labelledby="{id}"><div class="side">'
        f'<figure class="reference">{picture_or_gap(example.reference, f"Reference picture {example.reference.id}")}'
        f"<figcaption>reference</figcaption></figure>{_targets(example.targets)}</div>"
        f'<div class="asked"><p class="labels">{labels}</p>'
        f'<h3 id="{id}"><q>{escape(" and ".join(query.captions))}</q></h3>{_badge(example, examples)}</div>'
        f'<div class="rankings">{rows}</div></article>'
    )


def _targets(targets: Sequence[ImageRef]) -> str:
    if not targets:
        return ""
    pictures = "".join(picture_or_gap(target, f"Target picture {target.id}") for target in targets[:TARGETS])
    said = "target" if len(targets) == 1 else f"{len(targets)} targets"
    look = "one" if len(targets) == 1 else "several"
    more = f", {TARGETS} shown" if len(targets) > TARGETS else ""
    return (
        f'<figure class="reference wanted {look}"><div>{pictures}</div><figcaption>{said}{more}</figcaption></figure>'
    )


def _badge(example: Example, examples: Examples) -> str:
    after = _place(example.after)
    if example.before is None:
        return f'<p class="badge flat">target {after.words}</p>'
    return rank_badge(_place(example.before), after, examples.after.name)


def _row(title: str, look: str, answer: Answer) -> str:
    return ranking_row(title, look, answer.hits, _place(answer), SHOWN, picture_or_gap)


def _place(answer: Answer) -> Place:
    return Place(answer.rank, answer.depth)
