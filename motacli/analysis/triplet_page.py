"""The page about a triplets file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from motacli.analysis.report_parts import command_of, section, write_analysis
from motacli.analysis.triplet_samples import Sampled, sample_section
from motacli.analysis.triplet_statistics import Count, TripletStatistics
from motacli.analysis.triplet_tables import numbers
from motacli.report.charts import Bar, bar_table, histogram_figure
from motacli.report.page import making_section, render_page
from motacli.report.scores import signed
from motacli.runs import provenance


def write_triplet_report(
    out: Path, found: TripletStatistics, samples: Sequence[Sampled], plugins: Mapping[str, str] | None = None
) -> None:
    """Write the page to ``out`` where that ends in ``.html``; otherwise a folder with page, numbers and provenance."""
    record = provenance(plugins=plugins, seed=found.seed, digests={"triplets": found.sha256})
    page = render_triplet_page(found, samples, record)
    write_analysis(out, page, "statistics", found, record)


def render_triplet_page(found: TripletStatistics, samples: Sequence[Sampled], made: Mapping[str, object]) -> str:
    """The page as HTML. A picture that cannot be read is replaced by a box with its id."""
    name = Path(found.path).name
    return render_page(
        f"Triplets of {name}",
        f"{found.triplets:,} triplets about {found.images:,} pictures, of {len(found.types)} modification types.",
        opening=[],
        sections=[
            _types(found),
            _bias(found),
            _numbers(found),
            _histograms(found),
            _words(found),
            sample_section(samples),
            making_section(command_of(made), {name: _facts(found, made)}),
        ],
    )


def _types(found: TripletStatistics) -> str:
    tables = (
        ("Modification type", "Triplets of each modification type.", found.types),
        ("Context", "What became of what the relative caption leaves open.", found.contexts),
        ("Generator", "What wrote them: generator, model, prompt.", found.generators),
    )
    shown = "".join(
        bar_table(
            head, caption, [Bar(row.value, row.share, f"{row.triplets:,} ({_percent(row.share)})") for row in rows]
        )
        for head, caption, rows in tables
    )
    return section("types", "What they ask for", "", f'<div class="charts">{shown}</div>')


def _counted(row: Count) -> Bar:
    return Bar(row.value, row.share, f"{row.triplets:,} ({_percent(row.share)})")


def _bias(found: TripletStatistics) -> str:
    if found.bias is None:
        return ""
    rows = [
        Bar(
            row.type,
            abs(row.difference),
            f"{signed(100 * row.difference)} ({_percent(row.share)}, reference {_percent(row.reference)})",
        )
        for row in found.bias.types
    ]
    lead = (
        f"{_percent(found.bias.total_variation)} of the triplets would have to be of another type (total variation); "
        f"the Jensen-Shannon divergence is {found.bias.jensen_shannon:.3f} bits."
    )
    table = bar_table("Modification type", "Difference to the reference, in percentage points.", rows)
    return section("bias", "Against the reference", lead, table)


def _numbers(found: TripletStatistics) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(row["number"])}</th><td>{_number(row["value"])}</td>'
        f"<td>{escape(row['of'])}</td></tr>"
        for row in numbers(found)
    )
    table = (
        '<div class="scroll" role="region" aria-label="Numbers" tabindex="0"><table class="numbers">'
        "<caption>Each number with what it is of: compare those of samples only where samples are as large.</caption>"
        '<thead><tr><th scope="col">Number</th><th scope="col">Value</th><th scope="col">Of</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return section("numbers", "The numbers", "", table)


def _number(value: object) -> str:
    if value is None:
        return '<span class="none">too few words</span>'
    return escape(f"{value:.1f}" if isinstance(value, float) else str(value))


def _histograms(found: TripletStatistics) -> str:
    figures = [
        histogram_figure("Words of relative captions", found.length_histogram, last_is_open=True),
        histogram_figure("Jaccard index of reference and target words", found.overlap.histogram),
    ]
    if found.similarity:
        title = f"CLIP cosine of reference and target captions ({found.similarity.backbone})"
        figures.append(histogram_figure(title, found.similarity.histogram))
    return section("spread", "How they spread", "", f'<div class="charts">{"".join(figures)}</div>')


def _words(found: TripletStatistics) -> str:
    tables = []
    for name, words in found.vocabulary.items():
        caption = f"{words.size:,} different words of {words.words:,}, {_percent(words.hapax)} of them used once."
        rows = [Bar(word, n, f"{n:,}") for word, n in words.top]
        tables.append(bar_table(f"{name.capitalize()} captions", caption, rows))
    return section("words", "The words", "", f'<div class="charts">{"".join(tables)}</div>')


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _facts(found: TripletStatistics, made: Mapping[str, object]) -> dict[str, str]:
    facts = {"created": made.get("created"), "commit": made.get("commit")}
    known = {name: str(value) for name, value in facts.items() if value}
    return {"file": found.path, "sha256": found.sha256[:16], "seed": str(found.seed), **known}
