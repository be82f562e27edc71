"""A contact sheet of results: one HTML file that holds its pictures and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from PIL import Image

from motacli import __version__
from motacli.report.page import write_page
from motacli.report.pictures import embedded
from motacli.search.index import Index
from motacli.search.results import Asked, Hit, SearchResults
from motacli.search.small_pictures import small_file, small_picture

SIZE = 320
"""The longer side of a picture at most."""


def write_sheet(path: Path, index: Index, found: SearchResults) -> Path:
    """Write the page to ``path``, which must not exist yet."""
    return write_page(path, render_sheet(index, found))


def render_sheet(index: Index, found: SearchResults) -> str:
    """The page as HTML; a picture that cannot be read is a box with its id."""
    asked = found.query
    return Template(_asset("sheet.html")).substitute(
        style=_asset("sheet.css"),
        title=escape(asked.text or "More like this"),
        question=_question(index, asked),
        facts=escape(_facts(index, found)),
        hits="\n".join(_item(index, rank, hit) for rank, hit in enumerate(found.results, 1)) or _nothing(asked),
        version=escape(__version__),
    )


def _question(index: Index, asked: Asked) -> str:
    """The references, and what the text says about them."""
    pictures = [_picture(small_file(Path(name), SIZE), name) for name in asked.images]
    pictures += [_picture(small_picture(index, id, SIZE), id) for id in asked.references]
    without = f'<p class="without">not <q>{escape(asked.negative)}</q></p>' if asked.negative else ""
    return "".join(f"<figure>{picture}</figure>" for picture in pictures) + without


def _facts(index: Index, found: SearchResults) -> str:
    asked, name = found.query, index.path.name
    said = [f"{len(found.results)} of {found.total} pictures in {name}"]
    said += [" + ".join(filter(None, [asked.inversion, asked.adapter])) or f"by {found.kind}"]
    said += [f"alpha {asked.alpha:g}"] if asked.alpha else []
    said += [f"score at least {asked.min_score:g}"] if asked.min_score is not None else []
    said += [f"where {condition}" for condition in asked.where]
    if not found.background.calibrated:
        said.append(f"scores are rough: only {found.background.rows} pictures to compare with")
    return " · ".join(said)


def _item(index: Index, rank: int, hit: Hit) -> str:
    picture = _picture(small_picture(index, hit.id, SIZE), hit.id)
    numbers = f'<span class="rank">{rank}</span><span class="score" title="cosine {hit.similarity:.4f}">'
    return (
        f"<li><figure>{picture}<figcaption>{numbers}{hit.score:.1f}</span>"
        f'<span class="name">{escape(hit.id)}</span>{_metadata(hit.metadata)}</figcaption></figure></li>'
    )


def _metadata(metadata: Mapping[str, str | float | None]) -> str:
    rows = [
        f"<dt>{escape(name)}</dt><dd>{escape(f'{value:g}' if isinstance(value, float) else str(value))}</dd>"
        for name, value in metadata.items()
        if value is not None
    ]
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def _nothing(asked: Asked) -> str:
    hint = "Lower the score asked for, or drop a condition." if asked.where or asked.min_score is not None else ""
    return f'<li class="nothing">No picture fits. {hint}</li>'


def _picture(picture: Image.Image | None, name: str) -> str:
    """An ``<img>`` with the picture inside it."""
    if picture is None:
        label = escape(name)
        return f'<span class="gap" role="img" aria-label="{label}, cannot be shown">{label}</span>'
    return embedded(picture, name, quality=80)


def _asset(name: str) -> str:
    return files("motacli.search").joinpath(name).read_text(encoding="utf-8")
