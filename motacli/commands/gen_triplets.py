"""`mota gen-triplets`: training triplets from an image-text data set."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from motacli.assignments import read_assignments
from motacli.commands import cluster_options as cluster
from motacli.commands import options
from motacli.commands.session import Session, session
from motacli.errors import UsageError
from motacli.remote.redaction import without_secrets

EXAMPLES = 3

Source = Annotated[str, typer.Argument(help="Image-text data: a folder, a table, shards, ...; see the README.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The triplets, JSONL; nothing is ever overwritten.")]
Generator = Annotated[str, typer.Option("--generator", help="Triplet generator, see `mota ls generators`.")]
PerImage = Annotated[int | None, typer.Option("--per-image", min=1, help="Triplets per row.")]
Context = Annotated[str | None, typer.Option("--context", help="Target's context: mixed, change, keep or omit.")]
GeneratorSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Read only so many rows.")]
Option = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Option of the generator; repeatable.")
]
Filters = Annotated[
    list[str] | None, typer.Option("--filter", metavar="KEY=VALUE", help="A filter, as max-tokens=77; repeatable.")
]
ImageColumn = Annotated[str | None, typer.Option("--image-column", help="Column of the image paths.")]
CaptionColumn = Annotated[str | None, typer.Option("--caption-column", help="Column of the captions.")]
IdColumn = Annotated[str | None, typer.Option("--id-column", help="Column of the rows' own ids.")]
GateModel = Annotated[str | None, typer.Option("--model", help="Backbone of filters that look through one.")]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Go on with an unfinished run.")]

_PANEL = "Language model"
Prompt = Annotated[
    Path | None, typer.Option("--prompt", help="Prompt file instead of the built-in one.", rich_help_panel=_PANEL)
]
Recaption = Annotated[
    bool, typer.Option("--recaption", help="The model captions the picture first.", rich_help_panel=_PANEL)
]
Price = Annotated[
    str | None,
    typer.Option("--price", metavar="IN,OUT", help="Price of a million tokens in and out.", rich_help_panel=_PANEL),
]
Export = Annotated[
    Path | None,
    typer.Option("--export-requests", help="Write requests for a batch service and stop.", rich_help_panel=_PANEL),
]
Import = Annotated[
    list[Path] | None,
    typer.Option("--import-answers", help="Answers of a batch service; repeatable.", rich_help_panel=_PANEL),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gen-triplets")(gen_triplets)


def gen_triplets(
    ctx: typer.Context,
    source: Source,
    out: Out = None,
    generator: Generator = "rules",
    per_image: PerImage = None,
    context: Context = None,
    seed: GeneratorSeed = None,
    limit: Limit = None,
    option: Option = None,
    filters: Filters = None,
    model: GateModel = None,
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    id_column: IdColumn = None,
    llm_url: options.LLMUrl = None,
    llm_model: options.LLMModel = None,
    llm: options.LLMName = None,
    llm_option: options.LLMOption = None,
    prompt: Prompt = None,
    recaption: Recaption = False,
    concurrency: options.Concurrency = None,
    attempts: options.Attempts = None,
    price: Price = None,
    export_requests: Export = None,
    import_answers: Import = None,
    resume: Resume = True,
    engine: cluster.EngineOption = cluster.Engine.local,
    ray_address: cluster.RayAddress = None,
    ray_workers: cluster.RayWorkers = None,
    gpus_per_worker: cluster.GpusPerWorker = None,
) -> None:
    """Write triplets (reference image, relative caption, target caption) as JSONL, with a record beside it.

    The key of a language model's server comes from MOTA_LLM_API_KEY, else OPENAI_API_KEY. What is refused goes to
    OUT.rejects.jsonl. The same command goes on where an interrupted one stopped, with any engine.

    With --engine ray, workers that ask a server share --concurrency, at least one request each; where they run the
    model (hf, vllm), each has it whole. The key reaches the workers, but no file and no log.
    """
    from motacli.datasets import open_source
    from motacli.triplets.pipeline import generate, load_generator

    current = session(ctx)
    asking = {"concurrency": concurrency, "attempts": attempts}
    client = {"url": llm_url, "model": llm_model, **read_assignments(llm_option or ())}
    values = read_assignments(option or ())
    _lay_over(values, {"per_image": per_image, "context": context, "seed": seed, "client": llm})
    _lay_over(values, {"prompt": None if prompt is None else str(prompt), "recaption": recaption or None})
    _lay_over(values, {"llm": client, "asking": asking, **_prices(price)})
    _lay_over(values, {"answers": [str(path) for path in import_answers] if import_answers else None})
    asked = cluster.cluster_options(engine, ray_address, ray_workers, gpus_per_worker)
    chosen = load_generator(current.host, generator, values)
    rows = open_source(source, image_column, caption_column, id_column)
    if export_requests is not None:
        if asked is not None:
            raise UsageError("--export-requests asks nobody", "leave --engine ray out")
        _export(current, rows, chosen, limit, export_requests)
        return
    if out is None:
        raise UsageError("where do the triplets go?", "give --out")
    if asked is not None:
        from motacli.cluster.generating import RayGenerator

        chosen = RayGenerator(chosen, generator, values, current.host, asked, current.console.warn)
    report = generate(
        rows,
        chosen,
        out,
        source_name=without_secrets(source),
        limit=limit,
        filters=_filters(current, filters or (), model, pretrained, device),
        resume=resume,
        progress=current.console,
    )
    if current.console.json:
        current.console.data(report)
        return
    shares = report.modification_types.items()
    current.console.table(
        [{"modification_type": name, "triplets": n, "percent": 100 * n / report.triplets} for name, n in shares]
    )
    if not current.console.quiet:
        _show_examples(current, out)
    refused = ", ".join(f"{reason} {n}" for reason, n in report.rejected.items())
    current.console.log(f"{report.triplets} triplets of {report.rows} rows: {out}")
    current.console.log(f"{report.empty_rows} rows gave none{f'; refused: {refused}' if refused else ''}")


def _lay_over(values: dict[str, Any], flags: dict[str, Any]) -> None:
    """Put what flags say over ``--option`` values; a flag that is not given says nothing."""
    for name, value in flags.items():
        if isinstance(value, dict):
            given = {key: item for key, item in value.items() if item is not None}
            value = {**values.get(name, {}), **given} if given else None
        if value is not None:
            values[name] = value


def _prices(text: str | None) -> dict[str, float | None]:
    if text is None:
        return {}
    try:
        prompt, completion = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"--price {text!r} is not two numbers", "such as 0.15,0.60") from None
    return {"prompt_price": prompt, "completion_price": completion}


def _filters(current: Session, texts: Any, model: str | None, pretrained: str | None, device: str) -> Any:
    from motacli.config import parse_options
    from motacli.triplets.filters import FilterOptions, make_filters

    chosen = parse_options(FilterOptions, read_assignments(texts), "filters")
    backbone = None
    if chosen.need_backbone and model is not None:
        from motacli.models import BackboneChoice, load_backbone

        backbone = load_backbone(current.host, BackboneChoice(model, pretrained, device))
    return make_filters(chosen, backbone)


def _export(current: Session, rows: Any, generator: Any, limit: int | None, out: Path) -> None:
    from motacli.triplets.batch import export_requests
    from motacli.triplets.llm import LLMGenerator

    if not isinstance(generator, LLMGenerator):
        raise UsageError(f"generator {generator.name!r} makes no requests", "use --generator batch")
    tracked = current.console.track(islice(rows, limit), "writing requests", limit)
    done = export_requests(tracked, generator, out)
    current.console.table([done])


def _show_examples(current: Session, out: Path) -> None:
    from motacli.triplets.schema import iter_triplets

    for triplet in islice(iter_triplets(out), EXAMPLES):
        lines = (triplet.reference_caption, f"  + {triplet.relative_caption}", f"  = {triplet.target_caption}")
        current.console.data("\n".join(("", *lines)))
