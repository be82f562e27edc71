"""`mota plan`: from rates to time, storage, network traffic and cost. Rates are measured by `mota plan measure`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import plan_measure
from motacli.commands.cache import Layout, Stored
from motacli.commands.cluster_options import Engine
from motacli.commands.session import session
from motacli.commands.subcommands import CommandWithCommands
from motacli.errors import UsageError


class PlanCommand(CommandWithCommands):
    """``mota plan``, with ``mota plan measure``."""

    below = plan_measure.app


class GeneratorKind(StrEnum):
    """Who writes triplets: rules on cores, a language model at an endpoint, or one on the GPUs of the plan."""

    rules = "rules"
    llm = "llm"
    vllm = "vllm"


class StoreKind(StrEnum):
    """What looks pictures up."""

    exact = "exact"
    hnsw = "hnsw"
    ivfpq = "ivfpq"


class Remote(StrEnum):
    """Shards that pictures are read from over the network."""

    no = "no"
    parquet = "parquet"
    tar = "tar"


_MACHINES, _PRICES, _WORK = "Machines", "Prices", "Work"
RatesFile = Annotated[Path, typer.Option("--rates", metavar="FILE", help="Rates, as `mota plan measure` writes them.")]
Pictures = Annotated[str, typer.Option("--pictures", metavar="N", help="How many: 12000, 3e6, 400M, 5B.")]
Triplets = Annotated[
    str | None, typer.Option("--triplets", metavar="N", help="How many are written and trained on. Default: none.")
]
Stages = Annotated[
    str | None, typer.Option("--stages", help="Only these, as cache,triplets; also draw. Default: all usual ones.")
]
Captions = Annotated[
    bool, typer.Option("--captions/--no-captions", help="Whether pictures have them.", rich_help_panel=_WORK)
]
StoredOption = Annotated[Stored, typer.Option("--dtype", help="Number type of the cache.", rich_help_panel=_WORK)]
LayoutOption = Annotated[
    Layout, typer.Option("--layout", help="One file, or one over its parts.", rich_help_panel=_WORK)
]
Merge = Annotated[bool, typer.Option("--merge", help="Merge the caches of several builds.", rich_help_panel=_WORK)]
GeneratorOption = Annotated[
    GeneratorKind, typer.Option("--generator", help="vllm: on these GPUs; llm: elsewhere.", rich_help_panel=_WORK)
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, help="Requests in flight, of each build.", rich_help_panel=_WORK)
]
Steps = Annotated[int, typer.Option("--train-steps", min=1, help="Steps of the adapter.", rich_help_panel=_WORK)]
Batch = Annotated[int, typer.Option("--train-batch", min=2, help="Triplets of a step.", rich_help_panel=_WORK)]
InversionSteps = Annotated[
    int, typer.Option("--inversion-steps", min=1, help="Steps of the inversion network.", rich_help_panel=_WORK)
]
InversionBatch = Annotated[int, typer.Option("--inversion-batch", min=2, help="Rows of a step.", rich_help_panel=_WORK)]
Store = Annotated[StoreKind, typer.Option("--store", help="What looks pictures up.", rich_help_panel=_WORK)]
IndexEncodes = Annotated[
    bool, typer.Option("--index-encodes", help="`mota index` has no --features to take.", rich_help_panel=_WORK)
]
Queries = Annotated[str, typer.Option("--queries", help="Queries of the benchmark.", rich_help_panel=_WORK)]
Gallery = Annotated[str, typer.Option("--gallery", help="Pictures of its gallery.", rich_help_panel=_WORK)]
RemoteOption = Annotated[
    Remote, typer.Option("--remote", help="Shards that pictures come from over the network.", rich_help_panel=_MACHINES)
]
Gpus = Annotated[
    int, typer.Option("--gpus", min=0, help="GPUs of all machines; 0: cores encode.", rich_help_panel=_MACHINES)
]
Cores = Annotated[
    int | None,
    typer.Option("--cores", min=1, help="Cores of all machines. Default: this one's.", rich_help_panel=_MACHINES),
]
MachineCount = Annotated[int, typer.Option("--machines", min=1, help="Machines.", rich_help_panel=_MACHINES)]
Builds = Annotated[
    int, typer.Option("--builds", min=1, help="Parts of the source that are built at once.", rich_help_panel=_MACHINES)
]
EngineOption = Annotated[Engine, typer.Option("--engine", help="As of `mota cache`.", rich_help_panel=_MACHINES)]
GpuHour = Annotated[
    float,
    typer.Option("--price-per-gpu-hour", min=0.0, help="Of a GPU, while a command uses any.", rich_help_panel=_PRICES),
]
CoreHour = Annotated[float, typer.Option("--price-per-core-hour", min=0.0, help="Of a core.", rich_help_panel=_PRICES)]
GbMonth = Annotated[
    float, typer.Option("--price-per-gb-month", min=0.0, help="Of a GB that is kept.", rich_help_panel=_PRICES)
]
Months = Annotated[float, typer.Option("--months", min=0.0, help="How long results are kept.", rich_help_panel=_PRICES)]
GbNetwork = Annotated[
    float, typer.Option("--price-per-gb-network", min=0.0, help="Of a GB of traffic.", rich_help_panel=_PRICES)
]
TokenPrice = Annotated[
    str | None,
    typer.Option("--price", metavar="IN,OUT", help="Price of a million tokens in and out.", rich_help_panel=_PRICES),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan", cls=PlanCommand)(plan)


def plan(
    ctx: typer.Context,
    rates: RatesFile,
    pictures: Pictures,
    triplets: Triplets = None,
    stages: Stages = None,
    captions: Captions = True,
    dtype: StoredOption = Stored.fp32,
    layout: LayoutOption = Layout.single,
    merge: Merge = False,
    generator: GeneratorOption = GeneratorKind.rules,
    concurrency: Concurrency = 32,
    train_steps: Steps = 200,
    train_batch: Batch = 128,
    inversion_steps: InversionSteps = 20_000,
    inversion_batch: InversionBatch = 512,
    store: Store = StoreKind.exact,
    index_encodes: IndexEncodes = False,
    queries: Queries = "4181",
    gallery: Gallery = "2315",
    remote: RemoteOption = Remote.no,
    gpus: Gpus = 0,
    cores: Cores = None,
    machines: MachineCount = 1,
    builds: Builds = 1,
    engine: EngineOption = Engine.local,
    price_per_gpu_hour: GpuHour = 0.0,
    price_per_core_hour: CoreHour = 0.0,
    price_per_gb_month: GbMonth = 0.0,
    months: Months = 1.0,
    price_per_gb_network: GbNetwork = 0.0,
    price: TokenPrice = None,
) -> None:
    """Tell how long everything takes, what it needs and costs, and which step is the bottleneck.

    Stages run one after the other. Within a step several things go on at once, and it takes as long as the busiest.
    """
    from motacli.coworkers import available_cores
    from motacli.planning.plan import make_plan
    from motacli.planning.quantities import read_count
    from motacli.planning.rates_file import read_rates
    from motacli.planning.showing import record, sentences, table_rows
    from motacli.planning.workload import Machines, Prices, Workload

    current = session(ctx)
    work = Workload(
        pictures=read_count(pictures, "--pictures"),
        triplets=0 if triplets is None else read_count(triplets, "--triplets"),
        captions=captions,
        dtype="float16" if dtype is Stored.fp16 else "float32",
        layout=layout.value,
        merge=merge,
        generator=generator.value,
        concurrency=concurrency,
        train_steps=train_steps,
        train_batch=train_batch,
        inversion_steps=inversion_steps,
        inversion_batch=inversion_batch,
        store=store.value,
        index_encodes=index_encodes,
        queries=read_count(queries, "--queries"),
        gallery=read_count(gallery, "--gallery"),
        remote=remote.value,
    )
    where = Machines(gpus, cores or available_cores() * machines, machines, builds, engine.value)
    prompt, completion = _token_prices(price)
    prices = Prices(
        price_per_gpu_hour, price_per_core_hour, price_per_gb_month, months, price_per_gb_network, prompt, completion
    )
    found = make_plan(work, where, read_rates(rates), prices, [name for name in (stages or "").split(",") if name])
    if current.console.json:
        current.console.data(record(found))
        return
    current.console.table(table_rows(found))
    for sentence in sentences(found):
        current.console.data(sentence)


def _token_prices(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    try:
        prompt, completion = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"--price {text!r} is not two numbers", "such as 0.15,0.60") from None
    return prompt, completion
