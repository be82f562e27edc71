"""`mota search`: the pictures of an index that fit a picture, a text, or a picture with what should change."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.console import Console
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.search.results import SearchResults
    from motacli.search.searcher import Searcher


class Pictures(StrEnum):
    """How pictures are drawn in the terminal."""

    auto = "auto"
    kitty = "kitty"
    iterm = "iterm"
    sixel = "sixel"
    none = "none"


IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Index that `mota index` wrote.")]
Images = Annotated[
    list[Path] | None, typer.Option("--image", metavar="FILE", help="Picture; repeatable, several are one reference.")
]
References = Annotated[
    list[str] | None, typer.Option("--reference", metavar="ID", help="The same, a picture of the index by its id.")
]
Text = Annotated[str, typer.Option("--text", help="What should change; without a picture, what to look for.")]
Negative = Annotated[str, typer.Option("--not", help="What results should not look like.")]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many results.")]
Alpha = Annotated[
    float, typer.Option("--alpha", min=0.0, max=1.0, help="From the composition (0) towards the picture alone (1).")
]
MinScore = Annotated[
    float | None, typer.Option("--min-score", help="Leave out what stands out less; 2 to 4 are of use.")
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COND", help="As 'price<20', 'colour=red', 'path~summer/*'; repeatable."),
]
Plain = Annotated[bool, typer.Option("--plain", help="Leave the adapter out.")]
ExcludeReference = Annotated[
    bool, typer.Option("--exclude-reference/--keep-reference", help="Leave the references out of the results.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the pictures to FILE.")]
ShowPictures = Annotated[Pictures, typer.Option("--pictures", help="Show pictures in a terminal that can.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    ctx: typer.Context,
    index: IndexPath,
    image: Images = None,
    reference: References = None,
    text: Text = "",
    negative: Negative = "",
    top_k: TopK = 20,
    alpha: Alpha = 0.0,
    min_score: MinScore = None,
    where: Where = None,
    plain: Plain = False,
    exclude_reference: ExcludeReference = False,
    html: Html = None,
    pictures: ShowPictures = Pictures.auto,
    device: options.Device = "auto",
) -> None:
    """Search an index: by a picture, by a text, or by a picture and what should change about it.

    The score says how far a picture stands out from those that were not asked for, in standard deviations; it means the
    same for every kind of query.
    """
    from motacli.runs import refuse_existing
    from motacli.search.searcher import Searcher

    current = session(ctx)
    images, references = image or [], reference or []
    if alpha and not (text.strip() and (images or references)):
        raise UsageError("--alpha goes between a picture and a text", "give both, or leave it out")
    if html is not None:
        refuse_existing(html)
    with Searcher.open(index, host=current.host, device=device, plain=plain) as searcher:
        found = searcher.search(
            images,
            text,
            negative=negative,
            k=top_k,
            alpha=alpha,
            min_score=min_score,
            where=where or (),
            exclude=_in_index(searcher, images, references) if exclude_reference else (),
            references=references,
        )
        if html is not None:
            from motacli.search.sheet import write_sheet

            current.console.log(f"wrote {write_sheet(html, searcher.index, found)}")
        _show(current.console, searcher, found, pictures)


def _in_index(searcher: Searcher, images: list[Path], references: list[str]) -> list[str]:
    """Ids of the references, and of the pictures that lie in the index's folder."""
    folder = Path(searcher.index.config.folder).resolve()
    inside = [path.resolve() for path in images if path.resolve().is_relative_to(folder)]
    return [*references, *(path.relative_to(folder).as_posix() for path in inside)]


def _show(console: Console, searcher: Searcher, found: SearchResults, pictures: Pictures) -> None:
    if console.json:
        console.data(found.record())
        return
    from motacli.search.terminal_pictures import choose_protocol, picture_rows

    rows = [
        {"rank": rank, "score": hit.score, "similarity": hit.similarity, "path": _printable(hit.path)}
        for rank, hit in enumerate(found.results, 1)
    ]
    protocol = choose_protocol(pictures.value, sys.stdout)
    if protocol is not None:
        sys.stdout.write(picture_rows(searcher.index, found.results, protocol))
    console.table(rows, columns=["rank", "score", "similarity", "path"])
    console.log(_summary(found))


def _summary(found: SearchResults) -> str:
    asked = found.query
    how = {"image": "picture alone", "text": "text alone", "sum": "picture + text"}.get(found.kind)
    how = how or " + ".join(filter(None, [asked.inversion, asked.adapter]))
    line = f"{len(found.results)} of {found.total} pictures, {how}, {found.ms:.0f} ms"
    if not found.background.calibrated:
        line += f"; scores are rough: they compare with {found.background.rows} pictures only"
    return line


def _printable(path: str) -> str:
    """A path that cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in path)
