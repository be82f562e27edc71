"""The page about distributions of features."""

from __future__ import annotations

from collections.abc import Mapping

from motacli.analysis.distributions import Histogram
from motacli.analysis.estimates import T
from motacli.analysis.feature_analysis import FeatureAnalysis
from motacli.analysis.feature_tables import feature_tables, verdicts, warnings
from motacli.analysis.report_parts import command_of, data_table, section, sentences
from motacli.report.lines import LinePlot, Points, line_figure
from motacli.report.page import making_section, render_page

CAPTIONS = {
    "what changed": "How far a set is from another before and after; the change with its standard error.",
    "sets against each other": "As wholes: distances of centroids and Gaussians, and how well a plane parts them.",
    "row by row": "Mean cosines of what belongs together and of what does not.",
    "each set": "Mean length; of unit vectors the mean cosine of two, and how many directions vary.",
}


def render_feature_page(found: FeatureAnalysis, about: Mapping[str, str], made: Mapping[str, object]) -> str:
    """The page as HTML. ``about`` names what was analysed, ``made`` is a record of provenance."""
    tables = dict(feature_tables(found))
    changed = tables.pop("what changed", [])
    lead = (
        f"Standard errors are over pictures, by leaving out each of {found.folds} folds; the change is paired. A set "
        f"is called nearer or farther where {T:g} standard errors do not reach zero (95 %)."
    )
    body = sentences([*verdicts(found), *warnings(found), *_notes(found, about)])
    return render_page(
        "Where features lie",
        f"{found.pictures:,} pictures in {found.dim} dimensions: {', '.join(row.name for row in found.sets)}.",
        opening=[],
        sections=[
            section("changes", "What changed", lead, body + data_table(CAPTIONS["what changed"], changed, 4)),
            section("shapes", "How they spread", "", _charts(found)),
            section(
                "numbers",
                "The numbers",
                _floor(found),
                "".join(
                    data_table(CAPTIONS[title], rows, 1 + ("other set" in rows[0])) for title, rows in tables.items()
                ),
            ),
            making_section(command_of(made), {"What was analysed": _facts(found, about, made)}),
        ],
    )


def feature_plots(found: FeatureAnalysis) -> list[LinePlot]:
    """The figures, for the page and for files."""
    spectra = {row.name: (range(1, len(row.spectrum) + 1), _shares(row.spectrum)) for row in found.sets}
    return [
        LinePlot(
            "cosines-matching", "Cosines of rows that belong together", "cosine", "density", _densities(found.matching)
        ),
        LinePlot("cosines-within", "Cosines of two rows of a set", "cosine", "density", _densities(found.within)),
        LinePlot(
            "spectra", "Spectra of covariances", "eigenvalue, largest first", "share of the variance", spectra, True
        ),
    ]


def _charts(found: FeatureAnalysis) -> str:
    return f'<div class="charts">{"".join(map(line_figure, feature_plots(found)))}</div>'


def _densities(histograms: Mapping[str, Histogram]) -> dict[str, Points]:
    """Histograms of equal bins as outlines whose area is one."""
    found: dict[str, Points] = {}
    for name, each in histograms.items():
        total = sum(each.counts) * each.width
        places = [each.start + each.width * k for k in range(len(each.counts) + 1) for _ in (0, 1)]
        found[name] = places, [0.0, *(count / total for count in each.counts for _ in (0, 1)), 0.0]
    return found


def _shares(spectrum: tuple[float, ...]) -> list[float]:
    """Shares of the variance; those that are rounding alone (below 1e-9 of it) are zero."""
    total = sum(spectrum) or 1.0
    return [value / total if value > 1e-9 * total else 0.0 for value in spectrum]


def _notes(found: FeatureAnalysis, about: Mapping[str, str]) -> list[str]:
    notes = [
        "The captions stand for what a language-only inversion network such as LinCIR was trained on; Pic2Word and "
        "SEARLE were trained on image features."
    ]
    if about.get("triplets seen"):
        notes.append(about["triplets seen"])
    return notes


def _floor(found: FeatureAnalysis) -> str:
    return (
        "All but the lengths are of unit vectors, as CLIP compares them. Fréchet distances are squared, as in FID; "
        f"two halves of the captions have one of {found.frechet_floor:.3f} by chance. A plane is judged on rows that "
        "it was not fitted to; 0.5 is chance."
    )


def _facts(found: FeatureAnalysis, about: Mapping[str, str], made: Mapping[str, object]) -> dict[str, str]:
    known = {name: str(made[name]) for name in ("created", "commit") if made.get(name)}
    kept = {name: text for name, text in about.items() if name != "triplets seen"}
    return {**kept, "pictures": str(found.pictures), "seed": str(found.seed), **known}
