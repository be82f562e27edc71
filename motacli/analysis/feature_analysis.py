"""How features are distributed: across modalities, before and after MDM, with the adapter and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from motacli.analysis.cosine_histograms import cosines_of, cosines_within, shared_histograms
from motacli.analysis.distributions import Histogram
from motacli.analysis.estimates import FOLDS, Estimate, assign_folds
from motacli.analysis.feature_numbers import Asked, Key, feature_numbers
from motacli.analysis.feature_sets import ADAPTED, BASE, CAPTION, IMAGE, MODULATED, TARGET, FeatureSets
from motacli.analysis.gaussians import Gaussian, frechet
from motacli.analysis.separability import accuracy, fold_accuracies
from motacli.console import NullProgress, Progress

SAMPLE = 2000
COMPARED = ("gap", "centroid cosine", "frechet", "accuracy", "matched", "unmatched", "margin")
"""What a change is told by; the first four say how far a set is from another as a whole, the others row by row."""
DISTANCES = ("gap", "frechet", "accuracy")
"""Of those, what is smaller where sets are nearer."""


@dataclass(frozen=True, slots=True)
class SetRow:
    """A set: mean length of its vectors; of them as unit vectors the mean cosine of two, and covariance spectrum.

    ``spectrum`` are the covariance's eigenvalues, largest first.
    """

    name: str
    norm: Estimate
    within: Estimate
    effective_rank: Estimate
    participation_ratio: Estimate
    spectrum: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two sets as wholes; ``accuracy`` is that of a plane between them, 0.5 by chance."""

    a: str
    b: str
    gap: Estimate
    centroid_cosine: Estimate
    frechet: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class MatchRow:
    """Two sets row by row: mean cosines of what belongs together and of what does not; the margin between."""

    a: str
    b: str
    matched: Estimate
    unmatched: Estimate
    margin: Estimate


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A number about ``before`` and ``after``, both against the set ``toward``; the difference is paired by pictures.

    ``nearer``: whether after is nearer to that set; None where the 95 % interval of the difference includes zero.
    """

    before: str
    after: str
    toward: str
    number: str
    was: Estimate
    became: Estimate
    difference: Estimate
    nearer: bool | None


@dataclass(frozen=True)
class FeatureAnalysis:
    """All about the sets. Errors are standard errors over pictures, by leaving out each of ``folds`` folds.

    ``frechet_floor`` is the Fréchet distance between two halves of the captions: what chance alone makes of half as
    many rows. ``within`` and ``matching`` are histograms of cosines, those in one mapping with the same bins.
    """

    pictures: int
    dim: int
    seed: int
    folds: int
    sets: tuple[SetRow, ...]
    pairs: tuple[PairRow, ...]
    matches: tuple[MatchRow, ...]
    changes: tuple[ChangeRow, ...]
    frechet_floor: float
    within: Mapping[str, Histogram]
    matching: Mapping[str, Histogram]


def analyse_features(sets: FeatureSets, seed: int = 0, progress: Progress | None = None) -> FeatureAnalysis:
    """All numbers about the sets; `DataError` where there are too few rows."""
    folds = assign_folds(len(sets.pictures), seed)
    units = sets.units()
    norms = {name: np.linalg.norm(rows, axis=1) for name, rows in sets.features.items()}
    changes = _changes(units)
    pairs, matches = _pairs(units), _matches(units)
    wanted = Asked(pairs, matches, _differences(changes))
    progress = progress or NullProgress()
    found = feature_numbers(units, norms, wanted, folds, progress)
    found |= _accuracies(units, pairs, changes, folds, progress)
    return FeatureAnalysis(
        pictures=len(sets.pictures),
        dim=units[IMAGE].shape[1],
        seed=seed,
        folds=FOLDS,
        sets=tuple(_set_row(name, rows, found) for name, rows in units.items()),
        pairs=tuple(
            PairRow(*p, *(found[n, *p] for n in ("gap", "centroid cosine", "frechet", "accuracy"))) for p in pairs
        ),
        matches=tuple(MatchRow(*p, *(found[n, *p] for n in ("matched", "unmatched", "margin"))) for p in matches),
        changes=tuple(_change_row(change, number, found) for change in changes for number in COMPARED),
        frechet_floor=_floor(units[CAPTION], folds),
        within=shared_histograms(cosines_within(units, seed)),
        matching=shared_histograms(cosines_of(units, [p for p in matches if p != (IMAGE, MODULATED)])),
    )


def _changes(units: Mapping[str, np.ndarray]) -> list[tuple[str, str, str]]:
    """What became of what, and the set that it should be near."""
    wanted = ((IMAGE, MODULATED, CAPTION), (BASE, ADAPTED, TARGET))
    return [change for change in wanted if all(name in units for name in change)]


def _pairs(units: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    wanted = (
        *((IMAGE, CAPTION), (MODULATED, CAPTION), (IMAGE, MODULATED)),
        *((BASE, TARGET), (ADAPTED, TARGET), (BASE, ADAPTED)),
    )
    return [pair for pair in wanted if all(name in units for name in pair)]


def _matches(units: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    wanted = ((IMAGE, CAPTION), (MODULATED, CAPTION), (IMAGE, MODULATED), (BASE, TARGET), (ADAPTED, TARGET))
    return [pair for pair in wanted if all(name in units for name in pair)]


def _differences(changes: list[tuple[str, str, str]]) -> dict[Key, tuple[Key, Key]]:
    return {
        ("change", number, before, after): ((number, before, toward), (number, after, toward))
        for before, after, toward in changes
        for number in COMPARED
        if number != "accuracy"
    }


def _accuracies(
    units: Mapping[str, np.ndarray],
    pairs: list[tuple[str, str]],
    changes: list[tuple[str, str, str]],
    folds: np.ndarray,
    progress: Progress,
) -> dict[Key, Estimate]:
    """Accuracies of planes, and fold by fold their differences."""
    tracked = progress.track(pairs, "drawing planes between sets")
    each = {(a, b): fold_accuracies(units[a], units[b], folds) for a, b in tracked}
    found: dict[Key, Estimate] = {("accuracy", *pair): accuracy(values) for pair, values in each.items()}
    for before, after, toward in changes:
        found["change", "accuracy", before, after] = accuracy(each[after, toward] - each[before, toward])
    return found


def _set_row(name: str, rows: np.ndarray, found: Mapping[Key, Estimate]) -> SetRow:
    return SetRow(
        name,
        norm=found["norm", name],
        within=found["within", name],
        effective_rank=found["effective rank", name],
        participation_ratio=found["participation ratio", name],
        spectrum=tuple(Gaussian.of(rows).eigenvalues.tolist()),
    )


def _change_row(change: tuple[str, str, str], number: str, found: Mapping[Key, Estimate]) -> ChangeRow:
    before, after, toward = change
    difference = found["change", number, before, after]
    nearer = (difference.value < 0) == (number in DISTANCES) if difference.clear else None
    return ChangeRow(*change, number, found[number, before, toward], found[number, after, toward], difference, nearer)


def _floor(rows: np.ndarray, folds: np.ndarray) -> float:
    half = folds % 2 == 0
    return frechet(Gaussian.of(rows[half]), Gaussian.of(rows[~half]))
