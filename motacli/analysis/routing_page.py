"""The page about expert routing, next to plain examples."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from motacli.analysis.report_parts import command_of, data_table, section, sentences
from motacli.analysis.routing_analysis import ExpertRow, RoutingAnalysis, TopQuery
from motacli.analysis.routing_tables import numbers, steadiness, verdicts
from motacli.contracts import ImageRef
from motacli.report.charts import Bar, bar_table
from motacli.report.content import Routing
from motacli.report.page import making_section, render_page
from motacli.report.pictures import picture_or_gap
from motacli.report.routing import routing_section


def render_routing_page(
    found: RoutingAnalysis, pictures: Mapping[str, ImageRef], about: Mapping[str, str], made: Mapping[str, object]
) -> str:
    """The page as HTML; a picture that is not there is a box with its id, and none is shown where none are known."""
    return render_page(
        "Which expert answers what",
        f"{found.queries:,} queries of {len(found.types)} kinds ({found.typed_by}), mixed by {found.experts} experts.",
        opening=[],
        sections=[
            section("findings", "In short", "", _short(found, about)),
            routing_section(routing_of(found)),
            section("load", "How much each expert does", "", _load(found)),
            section("steadiness", "Does it treat like queries alike", _STEADY, _steady(found)),
            section("examples", "What each expert is strongest for", _EXAMPLES, _examples(found, pictures)),
            making_section(command_of(made), {"What was analysed": _facts(found, about, made)}),
        ],
    )


_STEADY = (
    "Jensen-Shannon distances of gates, 0 for equal ones and 1 for different experts. Paraphrases of a query share its "
    "picture, so two controls show what picture and caption do alone."
)
_EXAMPLES = "The queries with an expert's largest gates, whichever expert leads there: extremes, not typical queries."


def routing_of(found: RoutingAnalysis) -> Routing:
    """The heat map's numbers."""
    return Routing(
        [f"{row.name} ({row.queries})" for row in found.types],
        found.experts,
        [[gate.value for gate in row.gates] for row in found.types],
    )


def _short(found: RoutingAnalysis, about: Mapping[str, str]) -> str:
    said = [*verdicts(found), *filter(None, [about.get("triplets seen")])]
    caption = "Entropies over that of an even mix; normalised mutual information with a permutation test."
    return sentences(said) + data_table(caption, numbers(found))


def _load(found: RoutingAnalysis) -> str:
    load = [Bar(f"Expert {row.expert}", row.load.value, f"{100 * row.load.value:.1f} %") for row in found.load]
    leads = [Bar(f"Expert {row.expert}", row.leads.value, f"{100 * row.leads.value:.1f} %") for row in found.load]
    tables = bar_table("Mean gate", "Its share in the mixture, over all queries.", load)
    tables += bar_table("Leads", "Queries where its gate is the largest.", leads)
    return f'<div class="charts">{tables}</div>'


def _steady(found: RoutingAnalysis) -> str:
    caption = f"A query's gates against others; paraphrases are made by {found.paraphrased_by}."
    if found.paraphrased_by != "templates":
        caption = "A query's gates against others; paraphrases come from a file."
    return data_table(caption, steadiness(found))


def _examples(found: RoutingAnalysis, pictures: Mapping[str, ImageRef]) -> str:
    return "".join(_expert(row, pictures) for row in found.load)


def _expert(row: ExpertRow, pictures: Mapping[str, ImageRef]) -> str:
    cards = "".join(_card(f"expert-{row.expert}-{place}", query, pictures) for place, query in enumerate(row.top, 1))
    said = f"mean gate {100 * row.load.value:.0f} %, leads {100 * row.leads.value:.0f} % of the queries"
    return f'<h3 class="expert">Expert {row.expert} <small>{said}</small></h3>{cards}'


def _card(id: str, query: TopQuery, pictures: Mapping[str, ImageRef]) -> str:
    labels = (f"gate {100 * query.gate:.0f} %", *query.types, query.id)
    shown = " ".join(f"<span>{escape(text)}</span>" for text in labels)
    figure = ""
    if query.picture in pictures:
        image = picture_or_gap(pictures[query.picture], f"Reference picture {query.picture}")
        figure = f'<figure class="reference">{image}<figcaption>reference</figcaption></figure>'
    return (
        f'<article class="card{"" if figure else " textual"}" aria-labelledby="{id}">{figure}'
        f'<div class="asked"><p class="labels">{shown}</p><h4 id="{id}"><q>{escape(query.caption)}</q></h4></div>'
        "</article>"
    )


def _facts(found: RoutingAnalysis, about: Mapping[str, str], made: Mapping[str, object]) -> dict[str, str]:
    known = {name: str(made[name]) for name in ("created", "commit") if made.get(name)}
    kept = {name: text for name, text in about.items() if name != "triplets seen"}
    return {**kept, "queries": str(found.queries), "seed": str(found.seed), **known}
