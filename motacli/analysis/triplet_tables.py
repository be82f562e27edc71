"""The statistics of triplets as tables for a terminal."""

from __future__ import annotations

from typing import Any

from motacli.analysis.triplet_statistics import Count, TripletStatistics

Rows = list[dict[str, Any]]
SHOWN = 10


def triplet_tables(found: TripletStatistics) -> list[tuple[str, Rows]]:
    """Titled tables, the most important first. Shares are in percent."""
    tables = [
        ("numbers", numbers(found)),
        ("modification types", _types(found)),
        ("contexts", _counted("context", found.contexts)),
        ("generators", _counted("generator", found.generators)),
        ("words per caption", _lengths(found)),
        ("vocabulary", _vocabulary(found)),
        ("tokens per caption", _tokens(found)),
        ("bias of modification types", _bias(found)),
    ]
    return [(title, rows) for title, rows in tables if rows]


def numbers(found: TripletStatistics) -> Rows:
    """Every single number with what it is of."""
    whole, sample = f"{found.triplets} triplets", f"{found.sample} triplets drawn"
    diverse = f"{found.diversity.captions} relative captions drawn"
    rows: list[tuple[str, Any, str]] = [
        ("images", found.images, whole),
        ("target equals reference, %", 100 * found.target_is_reference, whole),
        ("relative caption repeats target, %", 100 * found.relative_repeats_target, whole),
        ("Jaccard of reference and target words", found.overlap.jaccard, whole),
        ("overlap coefficient of the same", found.overlap.overlap_coefficient, whole),
        *((f"repeated {name}, %", 100 * seen.share, whole) for name, seen in found.repeated.items()),
        *(
            (f"near-duplicate {name}, %", 100 * near.share, f"{near.n} different ones drawn")
            for name, near in (found.near_duplicates or {}).items()
        ),
        ("segmental type-token ratio", found.diversity.ttr, diverse),
        *((f"distinct-{n}", getattr(found.diversity, f"distinct_{n}"), diverse) for n in (1, 2, 3)),
        ("MTLD", found.diversity.mtld, diverse),
    ]
    if found.similarity and found.similarity.cosine:
        about = f"{sample}, {found.similarity.backbone}"
        rows.append(("CLIP cosine of reference and target", found.similarity.cosine.mean, about))
    if found.bias:
        rows.append(("total variation from the reference", found.bias.total_variation, whole))
        rows.append(("Jensen-Shannon divergence from it, bits", found.bias.jensen_shannon, whole))
    return [{"number": name, "value": _value(value), "of": of} for name, value, of in rows]


def _value(value: Any) -> Any:
    """Three digits behind the point where a number is small, as most of these are."""
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else value


def _types(found: TripletStatistics) -> Rows:
    similar = found.similarity.by_type if found.similarity else {}
    return [
        {
            "type": row.value,
            "triplets": row.triplets,
            "percent": 100 * row.share,
            "relative words": row.relative_words,
            "jaccard": f"{row.jaccard:.3f}",
            **({"cosine": _value(similar.get(row.value))} if similar else {}),
        }
        for row in found.types
    ]


def _counted(name: str, counts: tuple[Count, ...]) -> Rows:
    return [{name: row.value, "triplets": row.triplets, "percent": 100 * row.share} for row in counts]


def _lengths(found: TripletStatistics) -> Rows:
    rows = ((name, lengths) for name, lengths in found.lengths.items() if lengths)
    return [
        {"caption": name, "mean": s.mean, "std": s.std, "min": s.min, "median": s.median, "95%": s.p95, "max": s.max}
        for name, s in rows
    ]


def _vocabulary(found: TripletStatistics) -> Rows:
    return [
        {
            "caption": name,
            "words": v.words,
            "different": v.size,
            "once, %": 100 * v.hapax,
            "commonest": [word for word, _ in v.top[:SHOWN]],
        }
        for name, v in found.vocabulary.items()
    ]


def _tokens(found: TripletStatistics) -> Rows:
    if found.tokens is None:
        return []
    return [
        {
            "caption": name.removesuffix("_caption"),
            "tokenizer": found.tokens.tokenizer,
            "mean": lengths.mean,
            "95%": lengths.p95,
            "max": lengths.max,
            f"over {found.tokens.context}, %": 100 * found.tokens.too_long[name],
        }
        for name, lengths in found.tokens.lengths.items()
        if lengths
    ]


def _bias(found: TripletStatistics) -> Rows:
    return [
        {
            "type": row.type,
            "percent": 100 * row.share,
            "reference": 100 * row.reference,
            "difference": 100 * row.difference,
        }
        for row in (found.bias.types if found.bias else ())
    ]
