"""`mota plan measure`: the rates of this machine, by short runs of what the commands run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.cluster_options import Engine
from motacli.commands.session import session

app = typer.Typer(add_completion=False, no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="The file of rates, TOML; nothing is ever overwritten.")]
Pictures = Annotated[
    str | None,
    typer.Option("--pictures", help="Pictures with captions, as of `mota cache --data`. Default: drawn ones."),
]
Inversion = Annotated[str, typer.Option("--inversion", help="Inversion that adapters are trained with.")]
Trained = Annotated[str, typer.Option("--train-inversion", help="Inversion whose training is measured.")]
Rows = Annotated[int, typer.Option("--rows", min=64, help="Rows of the larger of the two runs.")]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Runs of each; medians are kept.")]
Stages = Annotated[str | None, typer.Option("--stages", help="Only what these need, as cache,triplets.")]
EngineOption = Annotated[Engine, typer.Option("--engine", help="ray: how long a cluster takes to start, too.")]
LLMRows = Annotated[
    int, typer.Option("--llm-rows", min=8, help="Rows of the larger run of a language model, which costs its tokens.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Threads that decode ahead of the encoder.")]


@app.command("measure")
def measure(
    ctx: typer.Context,
    out: Out,
    pictures: Pictures = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    inversion: Inversion = "lincir",
    train_inversion: Trained = "lincir",
    batch_size: options.BatchSize = 64,
    workers: Workers = 0,
    rows: Rows = 1500,
    runs: Runs = 3,
    stages: Stages = None,
    llm_rows: LLMRows = 256,
    llm_url: options.LLMUrl = None,
    llm_model: options.LLMModel = None,
    concurrency: options.Concurrency = None,
    engine: EngineOption = Engine.local,
) -> None:
    """Measure the rates of this machine and write them to a file.

    Every rate is the slope between a smaller and a larger run of what the command itself calls; start-up is measured by
    starting the command. Leave the machine alone meanwhile: the spread of the runs is in the file.
    """
    from motacli.models import BackboneChoice
    from motacli.planning.measuring import MeasureOptions, measure_rates
    from motacli.planning.rates_file import write_rates
    from motacli.runs import refuse_existing

    current = session(ctx)
    refuse_existing(out)
    asked = MeasureOptions(
        choice=BackboneChoice(model, pretrained, device, precision.value, preprocess.value),
        pictures=pictures,
        inversion=inversion,
        train_inversion=train_inversion,
        batch_size=batch_size,
        workers=workers,
        rows=rows,
        runs=runs,
        stages=tuple(name for name in (stages or "").split(",") if name),
        llm_rows=llm_rows,
        llm_url=llm_url,
        llm_model=llm_model,
        concurrency=concurrency or 32,
        engine=engine.value,
    )
    rates = measure_rates(current.host, asked, current.console)
    write_rates(out, rates)
    current.console.table(
        [
            {"rate": key, "value": round(rate.value, 6), "spread": _percent(rate.spread), "on": rate.on}
            for key, rate in rates.values.items()
        ]
    )


def _percent(spread: float | None) -> str:
    return "" if spread is None else f"{100 * spread:.0f} %"
