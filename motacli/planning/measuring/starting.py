"""What commands take however small their work is, by starting each of them on as little as it takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from motacli.errors import MotaError
from motacli.models import load_backbone
from motacli.planning.measuring.bench import Bench, copied
from motacli.planning.measuring.searching import SETS
from motacli.planning.measuring.timing import seconds_of, size_of
from motacli.planning.plan import make_plan
from motacli.planning.rates import Rate, Rates
from motacli.planning.workload import Machines, Workload

FEW = 64
"""Rows of the smallest runs: enough for a few triplets."""
STEPS, BATCH = 2, 8
SUFFIXES = {"cache": ".h5", "ray": ".h5", "triplets": ".jsonl"}


def measure_model(bench: Bench) -> None:
    """Put the time that loading the backbone takes on the bench."""
    on = bench.condition("start")
    loads = [seconds_of(lambda: load_backbone(bench.host, bench.options.choice).fingerprint()) for _ in range(2)]
    bench.rates["start.model_seconds"] = size_of(loads, on)


def measure_starts(bench: Bench, stages: Sequence[str]) -> None:
    """Put the starts of the stages' commands on the bench: their time, without what the plan says of so few rows."""
    on = bench.condition("start", rows=FEW)
    folder = copied(bench.items[:FEW], bench.path("few"))
    commands = _commands(bench, folder)
    needed = _needed(stages)
    for name in bench.progress.track([name for name in commands if name in needed], "starting commands"):
        runs = _times(bench, name, commands[name], bench.options.runs if name in stages else 1)
        if name in stages:
            rest = _told(bench, name)
            bench.rates[f"start.{name}_seconds"] = size_of([max(seconds - rest, 0.0) for seconds in runs], on)
    if bench.options.engine == "ray" and "cache" in stages:
        rest = _told(bench, "cache") + bench.rates["start.cache_seconds"].value
        runs = _times(bench, "ray", [*commands["cache"][:-1], "--engine", "ray", "-o"], bench.options.runs)
        bench.rates["start.ray_seconds"] = size_of([max(seconds - rest, 0.0) for seconds in runs], on)


def _times(bench: Bench, name: str, command: Sequence[str], runs: int) -> list[float]:
    """Seconds of some runs, each of which writes elsewhere."""
    lines = [[*command, str(bench.path(f"few-{name}", SUFFIXES.get(name, "")))] for _ in range(runs)]
    return [seconds_of(lambda line=line: _run(line)) for line in lines]  # type: ignore[misc]


def _told(bench: Bench, stage: str) -> float:
    """What the plan says of the smallest run, its start being none."""
    rates = {**bench.rates, f"start.{stage}_seconds": Rate(0.0)}
    triplets = round(FEW * rates["rules.triplets_per_row"].value) if "rules.triplets_per_row" in rates else 0
    work = Workload(
        FEW,
        triplets,
        train_steps=STEPS,
        train_batch=BATCH,
        inversion_steps=STEPS,
        inversion_batch=BATCH,
        index_encodes=True,
        queries=3 * SETS,
        gallery=12 * SETS,
    )
    machines = Machines(gpus=0 if bench.is_cpu else 1, cores=max(bench.threads, bench.options.workers))
    return make_plan(work, machines, Rates(rates), stages=[stage]).seconds


def _commands(bench: Bench, folder: Path) -> dict[str, list[str]]:
    """Command lines without the place of what they write, which comes last, in the order that they need one another."""
    choice, data = bench.options.choice, str(folder)
    model = ["--model", choice.model, "--device", choice.device, "--precision", choice.precision]
    model += ["--preprocess", choice.preprocess, *(["--pretrained", choice.pretrained] if choice.pretrained else [])]
    workers = ["--workers", str(bench.options.workers)]
    features, triplets = str(bench.folder / "few-cache-000.h5"), str(bench.folder / "few-triplets-000.jsonl")
    return {
        "cache": ["cache", "--data", data, *model, *workers, "-o"],
        "triplets": ["gen-triplets", data, "-o"],
        "inversion": [
            *("train-inversion", bench.options.train_inversion, "--features", features, *model),
            *("--steps", str(STEPS), "--batch-size", str(BATCH), "--out"),
        ],
        "train": [
            *("train", "--inversion", bench.options.inversion, "--triplets", triplets, "--features", features, *model),
            *("--steps", str(STEPS), "--batch-size", str(BATCH), "--held-out", "0", "--out"),
        ],
        "index": ["index", str(folder / "images"), *model, *workers, "-o"],
        "eval": [
            *("eval", "cirr", "--data-root", str(bench.folder / "cirr-000"), "--split", "val", *model),
            *("--inversion", bench.options.inversion, "--out"),
        ],
    }


def _needed(stages: Sequence[str]) -> set[str]:
    """The stages, and those whose files they read."""
    more = {"inversion": ("cache",), "train": ("cache", "triplets")}
    return {*stages, *(name for stage in stages for name in more.get(stage, ()))}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "motacli", *command],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise MotaError(f"`mota {command[0]}` failed when it was measured: {said[0].removeprefix('error: ')}")
