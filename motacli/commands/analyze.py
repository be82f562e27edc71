"""`mota analyze`: what data looks like in numbers, and what annotators say about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.commands import options
from motacli.commands.analyze_features import features
from motacli.commands.analyze_routing import routing
from motacli.commands.session import Session, session
from motacli.errors import UnknownNameError, UsageError, listed
from motacli.remote import urls
from motacli.runs import refuse_existing

if TYPE_CHECKING:
    from motacli.analysis.triplet_samples import Shown
    from motacli.analysis.triplet_statistics import TripletStatistics

ALSO = {
    "for_annotation": ("sample", "out"),
    "agreement": (),
    "corrupt": ("corruption", "out"),
    "statistics": ("sample", "reference", "images", "model", "pretrained", "out"),
}
"""What one asks of a triplets file, and the options that go with it."""

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="Triplets file; with --agreement, filled sheets.")]
Sheets = Annotated[list[Path], typer.Argument(metavar="SHEET", help="Sheets that annotators filled, two or more.")]
AnyOut = Annotated[
    Path | None, typer.Option("--out", help="A page (.html) or a folder for page and numbers; a sheet; a noisy copy.")
]
Sample = Annotated[
    int | None, typer.Option("--sample", min=1, help="Triplets drawn: 10000 for numbers, 200 for a sheet.")
]
Reference = Annotated[
    Path | None, typer.Option("--reference", help="Compare types: {type: share} in JSON or TOML, or a triplets file.")
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images", metavar="PATH", parser=urls.path_of, help="The pictures' folder or data set, for the page."
    ),
]
OptionalModel = Annotated[str | None, typer.Option("--model", help="Backbone that compares the captions.")]
ForAnnotation = Annotated[bool, typer.Option("--for-annotation", help="Write a sheet for annotators to --out.")]
Agreement = Annotated[bool, typer.Option("--agreement", help="The files are filled sheets: do annotators agree?")]
Corrupt = Annotated[
    float | None, typer.Option("--corrupt", min=0, max=1, help="Write a copy to --out, this share of it wrong.")
]
CorruptionKind = Annotated[
    str | None, typer.Option("--corruption", help="What is wrong: targets, captions or mixed. Default: mixed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    analyze = typer.Typer(help="Look at what training data says, and at what an adapter does.", no_args_is_help=True)
    analyze.command("triplets")(triplets)
    analyze.command("agreement")(agreement)
    analyze.command("features")(features)
    analyze.command("routing")(routing)
    app.add_typer(analyze, name="analyze")


def triplets(
    ctx: typer.Context,
    files: Files,
    sample: Sample = None,
    seed: options.Seed = 0,
    reference: Reference = None,
    images: Images = None,
    model: OptionalModel = None,
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    batch_size: options.BatchSize = 256,
    for_annotation: ForAnnotation = False,
    agreement: Agreement = False,
    corrupt: Corrupt = None,
    corruption: CorruptionKind = None,
    out: AnyOut = None,
) -> None:
    """Types, diversity, duplicates and bias of a triplets file; or a sheet for annotators, or a noisy copy of it."""
    current = session(ctx)
    asked = _asked(ctx)
    if asked == "agreement":
        _agreement(current, files)
        return
    if len(files) != 1:
        raise UsageError(f"one triplets file at a time, not {len(files)}", "several filled sheets go with --agreement")
    if asked == "statistics":
        _statistics(ctx, files[0], reference)
    elif out is None:
        raise UsageError(f"--{asked.replace('_', '-')} writes a file", "say where with --out")
    elif asked == "corrupt":
        _corrupt(current, files[0], out, corrupt or 0.0, corruption, seed)
    else:
        _sheet(current, files[0], out, sample, seed)


def agreement(ctx: typer.Context, sheets: Sheets) -> None:
    """Cohen's kappa and Krippendorff's alpha of the sheets that annotators filled."""
    _agreement(session(ctx), sheets)


def _asked(ctx: typer.Context) -> str:
    """What the command line asks for; `UsageError` for what does not go together."""
    chosen = [name for name in ALSO if ctx.params.get(name) not in (None, False)]
    wanted = [name for name in chosen if name != "statistics"]
    if len(wanted) > 1:
        raise UsageError(" and ".join(map(_flag, wanted)) + " do not go together", "ask for one at a time")
    asked = wanted[0] if wanted else "statistics"
    extra = {name for names in ALSO.values() for name in names} - set(ALSO[asked])
    given = sorted(name for name in extra if ctx.params[name] is not None)
    if given:
        goes = [_flag(name) for name, also in ALSO.items() if given[0] in also and name != "statistics"]
        hint = f"it goes with {' or '.join(goes)}" if asked == "statistics" else "leave it out"
        raise UsageError(f"{_flag(given[0])} says nothing about {_about(asked)}", hint)
    return asked


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _about(asked: str) -> str:
    return "the statistics of a file" if asked == "statistics" else _flag(asked)


# ---------------------------------------------------------------------------------------------- statistics


def _statistics(ctx: typer.Context, file: Path, reference: Path | None) -> None:
    from motacli.analysis.triplet_samples import Shown
    from motacli.analysis.triplet_statistics import SAMPLE, triplet_statistics
    from motacli.analysis.type_bias import read_reference

    current, out, seed = session(ctx), ctx.params["out"], ctx.params["seed"]
    if out is not None:
        refuse_existing(out)
    shares = None if reference is None else read_reference(reference)
    describe = _describe(ctx)
    shown = Shown(seed)
    found = triplet_statistics(
        file,
        sample=ctx.params["sample"] or SAMPLE,
        seed=seed,
        reference=shares,
        near=_near(current),
        describe=describe,
        watch=lambda rows: shown.watch(current.console.track(rows, "reading triplets")),
    )
    if out is not None:
        _write(current, out, found, shown, ctx.params["images"])
    if current.console.json:
        current.console.data(found)
    else:
        _print(current, found)


def _describe(ctx: typer.Context) -> Any:
    """What counts tokens and, where a backbone is named, compares captions; the backbone is loaded here."""
    from motacli.analysis.clip_texts import count_tokens, text_similarity

    current, model = session(ctx), ctx.params["model"]
    if model is None:
        if ctx.params["pretrained"] is not None:
            raise UsageError("--pretrained names weights of a model", "name it with --model")
        return lambda drawn: (count_tokens(drawn), None)
    from motacli.models import BackboneChoice, load_backbone

    given = ctx.params
    choice = BackboneChoice(model, given["pretrained"], given["device"], options.Precision(given["precision"]).value)
    backbone = load_backbone(current.host, choice)
    size = given["batch_size"]
    return lambda drawn: (count_tokens(drawn, backbone), text_similarity(backbone, drawn, size, current.console))


def _near(current: Session) -> Any:
    """What counts near-duplicates, where the library for it is there: everything else needs nothing more."""
    from motacli.analysis.duplicates import near_duplicates
    from motacli.extras import needed

    try:
        needed("datasketch", "analysis", "counting near-duplicates")
    except UsageError as error:
        current.console.warn(f"no near-duplicates: {error}")
        return None
    return near_duplicates


def _write(current: Session, out: Path, found: TripletStatistics, shown: Shown, images: Path | None) -> None:
    from motacli.analysis.triplet_page import write_triplet_report
    from motacli.analysis.triplet_samples import missing, with_pictures

    samples = with_pictures(shown.chosen(), images)
    if gone := missing(samples):
        current.console.warn(
            f"{len(gone)} of {len(samples)} pictures are not in {urls.shown(images or '')}: {listed(gone)}"
        )
    write_triplet_report(out, found, samples, current.versions())
    current.console.log(f"wrote {out}")


def _print(current: Session, found: TripletStatistics) -> None:
    from motacli.analysis.triplet_tables import triplet_tables

    for number, (title, rows) in enumerate(triplet_tables(found)):
        if number:
            current.console.data("")
        current.console.table(rows, title=title)


# ---------------------------------------------------------------------------------------------- sheets and copies


def _sheet(current: Session, file: Path, out: Path, sample: int | None, seed: int) -> None:
    from motacli.analysis.annotation_sheet import SAMPLE, guide_path, write_sheet

    record = write_sheet(file, out, rows=sample or SAMPLE, seed=seed)
    if current.console.json:
        current.console.data({"out": out, "guide": guide_path(out), **_fields(record)})
        return
    rows = [{"type": kind, "triplets": record.types[kind], "drawn": n} for kind, n in record.drawn.items()]
    current.console.table(rows)
    current.console.log(f"wrote {out}: a copy for each annotator, with {guide_path(out).name}")


def _corrupt(current: Session, file: Path, out: Path, share: float, kind: str | None, seed: int) -> None:
    from motacli.analysis.corruption import Corruption, corrupt

    if kind is not None and kind not in Corruption.__members__:
        raise UnknownNameError("corruption", kind, Corruption.__members__)
    record = corrupt(file, out, share, kind=Corruption(kind or Corruption.mixed), seed=seed)
    if current.console.json:
        current.console.data({"out": out, **_fields(record)})
        return
    current.console.table([{"corrupted": field, "triplets": n} for field, n in record.corrupted.items()])
    current.console.log(f"wrote {out}: {sum(record.corrupted.values())} of {record.triplets} triplets are wrong")


def _agreement(current: Session, sheets: list[Path]) -> None:
    from motacli.analysis.annotator_agreement import agreement
    from motacli.analysis.filled_sheets import read_sheets

    found = agreement(read_sheets(sheets))
    if current.console.json:
        current.console.data(found)
        return
    names = ("column", "items", "complete", "missing", "alpha", "labels")
    current.console.table([{name: _rounded(getattr(row, name)) for name in names} for row in found])
    current.console.data("")
    pairs = [{"column": row.column, **_fields(pair)} for row in found for pair in row.pairs]
    current.console.table([{name: _rounded(value) for name, value in pair.items()} for pair in pairs])


def _fields(record: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(record)


def _rounded(value: Any) -> Any:
    return f"{value:.3f}" if isinstance(value, float) else value
