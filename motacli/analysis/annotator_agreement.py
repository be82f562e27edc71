"""Whether annotators agree beyond what chance would give: Cohen's kappa of each two, Krippendorff's alpha of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from motacli.analysis.annotation_labels import QUESTIONS
from motacli.analysis.filled_sheets import FilledSheet
from motacli.errors import DataError
from motacli.extras import needed

Labelled = Mapping[str, Mapping[str, str]]
"""Annotators to their labels by item, what is missing left out."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two annotators on the ``items`` that both labelled.

    ``observed`` is the share on which they agree; it and ``kappa`` are None where they are undefined.
    """

    one: str
    other: str
    items: int
    observed: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True)
class ColumnAgreement:
    """One column of the sheets.

    ``complete`` of the ``items`` have a label from every annotator, ``missing`` cells have none. ``labels`` counts the
    labels of all annotators together. ``alpha`` is None where it is undefined.
    """

    column: str
    items: int
    complete: int
    missing: int
    alpha: float | None
    pairs: tuple[PairAgreement, ...]
    labels: Mapping[str, int]


def agreement(sheets: Sequence[FilledSheet]) -> list[ColumnAgreement]:
    """The agreement in every column. Raises `UsageError` where nltk, which computes it, is not installed."""
    return [_column(column, sheets) for column in QUESTIONS]


def _column(column: str, sheets: Sequence[FilledSheet]) -> ColumnAgreement:
    labelled = {sheet.name: sheet.labels[column] for sheet in sheets}
    items = sheets[0].ids
    given = [sum(id in labels for labels in labelled.values()) for id in items]
    return ColumnAgreement(
        column=column,
        items=len(items),
        complete=sum(n == len(sheets) for n in given),
        missing=len(items) * len(sheets) - sum(given),
        alpha=krippendorff_alpha(labelled),
        pairs=tuple(pair_agreement(one, other, labelled) for one, other in combinations(labelled, 2)),
        labels=dict(Counter(text for labels in labelled.values() for text in labels.values()).most_common()),
    )


def pair_agreement(one: str, other: str, labelled: Labelled) -> PairAgreement:
    """Cohen's kappa, ``(observed - expected) / (1 - expected)``, on the items that both labelled.

    Undefined where both give one and the same label to everything. Cohen, A Coefficient of Agreement for Nominal
    Scales, Educational and Psychological Measurement 20(1), 1960.
    """
    shared = [id for id in labelled[one] if id in labelled[other]]
    if not shared:
        return PairAgreement(one, other, 0, None, None)
    triples = [(name, id, labelled[name][id]) for name in (one, other) for id in shared]
    task = _task(triples)
    several = len({text for _, _, text in triples}) > 1
    kappa = float(task.kappa_pairwise(one, other)) if several else None
    return PairAgreement(one, other, len(shared), float(task.Ao(one, other)), kappa)


def krippendorff_alpha(labelled: Labelled) -> float | None:
    """Krippendorff's alpha of nominal labels, one minus observed over expected disagreement; cells may be missing.

    Items that fewer than two annotators labelled say nothing and are left out. Undefined where all the rest have one
    and the same label. Krippendorff, Content Analysis, chapter on reliability; Computing Krippendorff's
    Alpha-Reliability, 2011.
    """
    counts = Counter(id for labels in labelled.values() for id in labels)
    triples = [(name, id, text) for name, labels in labelled.items() for id, text in labels.items() if counts[id] > 1]
    return float(_task(triples).alpha()) if len({text for _, _, text in triples}) > 1 else None


def _task(triples: Sequence[tuple[str, str, str]]) -> Any:
    library = needed("nltk.metrics.agreement", "analysis", "the agreement of annotators")
    try:
        return library.AnnotationTask(data=triples)
    except ValueError as error:  # more labels than it takes
        raise DataError(
            f"the sheets have too many different labels: {error}", "answer with one word per cell"
        ) from error
