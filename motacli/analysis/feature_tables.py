"""The analysis of features in tables and in words, for a terminal and for a page."""

from __future__ import annotations

from typing import Any

from motacli.analysis.estimates import Estimate
from motacli.analysis.feature_analysis import ChangeRow, FeatureAnalysis
from motacli.analysis.feature_sets import MODULATED
from motacli.report.scores import PLUS_MINUS

Rows = list[dict[str, Any]]
NAMES = {
    "gap": "modality gap",
    "centroid cosine": "cosine of centroids",
    "frechet": "Fréchet distance",
    "accuracy": "accuracy of a plane",
    "matched": "cosine, same row",
    "unmatched": "cosine, other rows",
    "margin": "margin of the two",
}
VERDICTS = {True: "nearer", False: "farther", None: "undecided"}


def feature_tables(found: FeatureAnalysis) -> list[tuple[str, Rows]]:
    """Titled tables, what changed first."""
    tables = [
        ("what changed", _changes(found)),
        ("sets against each other", _pairs(found)),
        ("row by row", _matches(found)),
        ("each set", _sets(found)),
    ]
    return [(title, rows) for title, rows in tables if rows]


def shown(estimate: Estimate, digits: int = 3) -> str:
    """A number and its standard error."""
    return f"{estimate.value:.{digits}f} {PLUS_MINUS} {estimate.error:.{digits}f}"


def verdicts(found: FeatureAnalysis) -> list[str]:
    """What the changes say, in a sentence for each pair of sets."""
    steps = dict.fromkeys((row.before, row.after, row.toward) for row in found.changes)
    return [_verdict([row for row in found.changes if (row.before, row.after, row.toward) == step]) for step in steps]


def warnings(found: FeatureAnalysis) -> list[str]:
    """What the numbers do not bear."""
    if found.pictures > found.dim:
        return []
    return [
        f"{found.pictures} pictures in {found.dim} dimensions: covariances have no full rank, so that Fréchet "
        "distances are too large and effective ranks too small; compare them with those of as many pictures only"
    ]


def _verdict(rows: list[ChangeRow]) -> str:
    """One sentence; what a number says is left to the reader where its interval includes zero."""
    first = rows[0]
    what = "MDM moves image features" if first.after == MODULATED else "The adapter moves queries"
    by = {row.number: row for row in rows}
    sides = {by[number].nearer for number in ("gap", "frechet")}
    if sides == {True}:
        said = f"nearer to the {first.toward}s"
    elif sides == {False}:
        said = f"farther from the {first.toward}s"
    elif sides == {None}:
        said = f"neither nearer to the {first.toward}s nor farther from them, as far as this sample can tell"
    else:
        said = f"in ways that modality gap and Fréchet distance to the {first.toward}s judge differently"
    numbers = "; ".join(
        f"{NAMES[number]} {by[number].was.value:.3f} to {by[number].became.value:.3f}, {_change(by[number])}"
        for number in ("gap", "frechet", "margin")
    )
    return f"{what} {said}: {numbers}."


def _change(row: ChangeRow) -> str:
    return f"{row.difference.value:+.3f} {PLUS_MINUS} {row.difference.error:.3f}"


def _changes(found: FeatureAnalysis) -> Rows:
    return [
        {
            "from": row.before,
            "to": row.after,
            "against": row.toward,
            "number": NAMES[row.number],
            "was": f"{row.was.value:.3f}",
            "is": f"{row.became.value:.3f}",
            "change": _change(row),
            "set is": VERDICTS[row.nearer],
        }
        for row in found.changes
    ]


def _pairs(found: FeatureAnalysis) -> Rows:
    return [
        {
            "set": row.a,
            "other set": row.b,
            "modality gap": shown(row.gap),
            "cosine of centroids": shown(row.centroid_cosine),
            "Fréchet distance": shown(row.frechet),
            "accuracy of a plane": shown(row.accuracy),
        }
        for row in found.pairs
    ]


def _matches(found: FeatureAnalysis) -> Rows:
    return [
        {
            "set": row.a,
            "other set": row.b,
            "cosine, same row": shown(row.matched),
            "cosine, other rows": shown(row.unmatched),
            "margin": shown(row.margin),
        }
        for row in found.matches
    ]


def _sets(found: FeatureAnalysis) -> Rows:
    return [
        {
            "set": row.name,
            "length": shown(row.norm),
            "cosine of two rows": shown(row.within),
            "effective rank": shown(row.effective_rank, 1),
            "participation ratio": shown(row.participation_ratio, 1),
        }
        for row in found.sets
    ]
