"""The analysis of routing in tables and in words, for a terminal and for a page."""

from __future__ import annotations

from typing import Any

from motacli.analysis.estimates import T
from motacli.analysis.feature_tables import shown
from motacli.analysis.gate_consistency import ANY, PARAPHRASES, SAME_CAPTION, SAME_PICTURE
from motacli.analysis.mutual_information import Association
from motacli.analysis.routing_analysis import RoutingAnalysis

Rows = list[dict[str, Any]]
ALPHA = 0.05


def routing_tables(found: RoutingAnalysis) -> list[tuple[str, Rows]]:
    """Titled tables, the shortest answer first."""
    tables = [
        ("numbers", numbers(found)),
        ("experts", experts(found)),
        ("mean gate by type, %", by_type(found)),
        ("steadiness", steadiness(found)),
    ]
    return [(title, rows) for title, rows in tables if rows]


def numbers(found: RoutingAnalysis) -> Rows:
    """Single numbers."""
    rows: Rows = [
        {
            "number": "entropy of a query's gates",
            "value": shown(found.entropy),
            "meaning": "0 one expert, 1 an even mix",
        },
        {"number": "entropy of the load", "value": f"{found.load_entropy:.3f}", "meaning": "0 one expert, 1 even use"},
    ]
    for what, each in (
        (f"{found.typed_by} and strongest expert", found.leading),
        (f"{found.typed_by} and gates", found.mixing),
    ):
        if each is not None:
            meaning = f"{each.by_chance:.3f} by chance, p = {each.p:.2g} ({each.permutations} permutations)"
            rows.append({"number": f"mutual information of {what}", "value": f"{each.nmi:.3f}", "meaning": meaning})
    return rows


def experts(found: RoutingAnalysis) -> Rows:
    """Load and lead of each expert."""
    return [{"expert": row.expert, "mean gate": shown(row.load), "leads": shown(row.leads)} for row in found.load]


def by_type(found: RoutingAnalysis) -> Rows:
    """Mean gates of each type, in percent."""
    return [
        {
            found.typed_by: row.name,
            "queries": row.queries,
            **{f"expert {k}": f"{100 * gate.value:.1f}" for k, gate in enumerate(row.gates, 1)},
        }
        for row in found.types
    ]


def steadiness(found: RoutingAnalysis) -> Rows:
    """Distances of gates within queries and between them."""
    return [
        {
            "against": row.between,
            "queries": row.queries,
            "distance of gates": shown(row.distance),
            "same strongest expert": shown(row.same_expert),
        }
        for row in found.consistency
    ]


def verdicts(found: RoutingAnalysis) -> list[str]:
    """What the numbers say, in sentences."""
    said = [_by_type(found), _steady(found), _read(found)]
    return [text for text in said if text]


def _by_type(found: RoutingAnalysis) -> str:
    each = found.leading
    if each is None:
        return f"All queries are of one {found.typed_by}, so that routing by it cannot be looked at."
    verb = "depends" if each.p <= ALPHA else "does not visibly depend"
    return f"The strongest expert {verb} on the {found.typed_by}: {_told(each)}."


def _told(each: Association) -> str:
    return f"normalised mutual information {each.nmi:.3f} of 1, {each.by_chance:.3f} by chance, p = {each.p:.2g}"


def _steady(found: RoutingAnalysis) -> str:
    distance = {row.between: row.distance for row in found.consistency}
    one, other = distance[PARAPHRASES], distance[ANY]
    source = " (made by templates, which change little)" if found.paraphrased_by == "templates" else ""
    return (
        f"Gates of paraphrases{source} are {one.value:.3f} apart, those of different queries {other.value:.3f} "
        "(Jensen-Shannon distance, 0 to 1)."
    )


def _read(found: RoutingAnalysis) -> str:
    """Which half of a query moves the gates more."""
    distance = {row.between: row.distance for row in found.consistency}
    caption, picture = distance[SAME_PICTURE], distance[SAME_CAPTION]
    gap, error = caption.value - picture.value, (caption.error**2 + picture.error**2) ** 0.5
    if not abs(gap) > T * error:
        return "Another caption and another picture move the gates alike, as far as this sample can tell."
    more, less = ("caption", "picture") if gap > 0 else ("picture", "caption")
    far, near = sorted((caption.value, picture.value), reverse=True)
    return (
        f"The router goes by the {more} more than by the {less}: another {more} moves the gates by {far:.3f}, "
        f"another {less} by {near:.3f}."
    )
