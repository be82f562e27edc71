"""All measurements that some stages need, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from motacli.console import NullProgress, Progress
from motacli.models import load_backbone
from motacli.planning.measuring.bench import Bench
from motacli.planning.measuring.options import MeasureOptions
from motacli.planning.measuring.pictures import measure_cache
from motacli.planning.measuring.searching import measure_eval, measure_index
from motacli.planning.measuring.starting import measure_model, measure_starts
from motacli.planning.measuring.texts import measure_llm, measure_rules
from motacli.planning.measuring.timing import seconds_of
from motacli.planning.measuring.training import measure_inversion, measure_training
from motacli.planning.rates import Rate, Rates
from motacli.planning.stages import chosen_stages
from motacli.plugins import PluginHost
from motacli.tiny.make import CAPTION_FILE, make_pairs


def measure_rates(host: PluginHost, options: MeasureOptions, progress: Progress | None = None) -> Rates:
    """The rates that `MeasureOptions.stages` need on this machine.

    Raises `DataError` where the source has too few rows, `UnknownNameError` for an unknown stage, and what the
    functions that are measured raise.
    """
    stages, progress = chosen_stages(options.stages, triplets=1), progress or NullProgress()
    with tempfile.TemporaryDirectory(prefix="mota-plan-") as folder:
        source, drawn = _source(Path(folder), options, progress)
        bench = Bench(host, options, Path(folder), source, load_backbone(host, options.choice), progress)
        if drawn is not None:
            bench.rates["draw.pictures_per_second"] = Rate(drawn, on=bench.condition("draw"))
        _measure(bench, stages)
        return Rates(bench.rates, bench.conditions)


def _source(folder: Path, options: MeasureOptions, progress: Progress) -> tuple[str, float | None]:
    """Where rows are, and how many pictures a second were drawn, if any."""
    if options.pictures is not None:
        return options.pictures, None
    count = options.rows + options.small
    progress.log(f"drawing {count} pictures")
    seconds = seconds_of(lambda: make_pairs(folder / "world", seed=0, count=count))
    return str(folder / "world" / CAPTION_FILE), count / seconds


def _measure(bench: Bench, stages: Sequence[str]) -> None:
    said = bench.progress.log
    said("mota cache: listing, decoding, encoding, captions, finishing")
    cache = measure_cache(bench)
    measure_model(bench)
    if {"triplets", "train"} & {*stages}:
        said("mota gen-triplets: rules")
        small, large = measure_rules(bench)
        if bench.options.llm_url is not None:
            said(f"mota gen-triplets: {bench.options.llm_url}")
            measure_llm(bench)
        if "train" in stages:
            said("mota train: what is frozen, steps")
            measure_training(bench, cache, small, large)
    if "inversion" in stages:
        said("mota train-inversion: rows, steps")
        measure_inversion(bench, cache)
    if "index" in stages:
        said("mota index: rows, graphs")
        measure_index(bench)
    if "eval" in stages:
        said("mota eval: queries, comparisons")
        measure_eval(bench)
    said("starting commands")
    measure_starts(bench, stages)
