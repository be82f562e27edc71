"""`mota bench`: how fast and how frugal mota's own work is."""

from __future__ import annotations

from typing import Annotated

import typer

from motacli.bench import BENCHES, find_cases
from motacli.commands import options
from motacli.commands.session import session

COLUMNS = (
    "name",
    "speedup",
    "seconds",
    "baseline_seconds",
    "memory_ratio",
    "peak_mb",
    "baseline_peak_mb",
    "total_peak_mb",
)

BenchName = Annotated[str, typer.Argument(metavar="NAME", help=f"What to measure: {', '.join(BENCHES)}.")]
Repeats = Annotated[int, typer.Option("--repeats", min=1, help="Timed runs of each side; medians are reported.")]
Cases = Annotated[list[str] | None, typer.Option("--case", help="Only this case; repeatable. Default: all.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    ctx: typer.Context, name: BenchName, repeats: Repeats = 3, case: Cases = None, seed: options.Seed = 0
) -> None:
    """Compare our time and memory with a straightforward implementation's, on made-up inputs of real sizes.

    speedup: the baseline's seconds by ours; more is better.
    memory_ratio: our peak memory by the baseline's; less is better.
    peak_mb: what the work adds to its inputs; total_peak_mb: the whole process.
    samples_per_second: of our training.
    latency_ratio: the time of a composed query with the adapter by that without; less is better.
    share_of_ceiling: our rate by what decoding and encoding, each measured alone, allow together.
    share_of_disk: the baseline's seconds, of a plain write with fsync, by ours.
    share_of_memory: the baseline's seconds, of a plain read of the same bytes, by ours.
    share_of_products: the baseline's seconds, of the bare products in float32, by ours.
    recall_at_10: how many of the exact best ten an approximate index finds.
    p50_ms, p95_ms: within how long half of the answers of a server came, and all but a twentieth.
    server_mb: the most memory that it and its decoders had.
    overhead: by which share workers of a cluster take longer than this process; start_seconds: until they are there.
    trainable_share: how much of both towers' parameters the adapter learns.

    The baseline of `adapter` is the same query without it. In all others, if the sides find different results, there is
    an error and no numbers.
    """
    current = session(ctx)
    cases = find_cases(name, case or ())

    from motacli.bench.harness import compare_all
    from motacli.bench.machine import this_machine

    found = compare_all(cases, repeats=repeats, seed=seed, progress=current.console)
    rows = [comparison.record() for comparison in found]
    machine = this_machine()
    if current.console.json:
        current.console.data({"cases": rows, "machine": machine})
        return
    own = dict.fromkeys(name for comparison in found for name in comparison.own)
    current.console.table(rows, (*COLUMNS, *own))
    current.console.log(str(machine))
