"""Does `mota plan` tell the truth? It measures rates on few rows, predicts larger runs, runs them, and compares.

    python examples/check_plan.py --work plan-check            # a quarter of an hour on two idle cores
    python examples/check_plan.py --work plan-check --rows 320 --pictures 800 --rows-by-rule 2000 --rows-by-llm 600 \
        --train-triplets 600 --train-steps 20 --runs 1         # a quick look, on too few rows to be exact

It prints a table and writes `check.json` to its folder; the exit code is 1 where a prediction is off by more than 20 %.
Everything runs in one thread, and predictions are for `--cores 1`; with `--ray`, on as many workers as there are cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np

from motacli.coworkers import available_cores
from motacli.tiny import grammar
from motacli.tiny.make import CAPTION_FILE, make_pairs
from motacli.tiny.world import sample_scenes

REPOSITORY = Path(__file__).resolve().parents[1]
ALLOWED = 0.2
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Case:
    """One run: what was foretold, and what it took."""

    name: str
    command: str
    predicted_seconds: float
    measured_seconds: float

    @property
    def ratio(self) -> float:
        """Predicted by measured."""
        return self.predicted_seconds / self.measured_seconds

    @property
    def holds(self) -> bool:
        """Whether the prediction is within `ALLOWED` of the measured time."""
        return abs(self.ratio - 1) <= ALLOWED


def mota(*words: object) -> str:
    """What a command prints; its own messages go to stderr."""
    command = [sys.executable, "-m", "motacli", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ONE_THREAD).stdout


def timed(*words: object) -> float:
    """How long a command takes, its start included."""
    begun = time.perf_counter()
    mota(*words)
    return time.perf_counter() - begun


def predicted(rates: Path, stage: str, *words: object, cores: int = 1) -> float:
    """How long `mota plan` says that a stage takes."""
    told = mota("plan", "--json", "--rates", rates, "--cores", cores, "--stages", stage, *words)
    return float(json.loads(told)["seconds"])


def write_captions(path: Path, count: int) -> None:
    """Rows with captions of the tiny world, whose pictures nobody looks at."""
    rng, words = np.random.default_rng(11), Random(11)
    scenes = sample_scenes(rng, count, "train")
    lines = [
        json.dumps({"image": f"{n:06d}.png", "caption": grammar.describe(scene, words, grammar.THOROUGH).text})
        for n, scene in enumerate(scenes)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def language_model(latency: float) -> Iterator[str]:
    """The address of the tests' server, which answers after so many seconds."""
    command = [sys.executable, str(REPOSITORY / "tests" / "llm_server.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ONE_THREAD) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def run_cases(chosen: argparse.Namespace) -> Iterator[Case]:
    """Measure, then predict and run each case."""
    work: Path = chosen.work
    work.mkdir(parents=True)
    world, captions, rates = work / "world", work / "captions.jsonl", work / "rates.toml"
    make_pairs(world, seed=5, count=max(chosen.pictures, chosen.rows + chosen.rows // 4))
    source = world / CAPTION_FILE
    write_captions(captions, max(chosen.rows_by_rule, chosen.rows_by_llm))
    with language_model(chosen.latency) as url:
        llm = ("--llm-url", url, "--llm-model", "loopback", "--concurrency", chosen.concurrency)
        engine = ("--engine", "ray") if chosen.ray else ()
        measuring = ("--rows", chosen.rows, "--runs", chosen.runs, "--stages", "cache,triplets,train", *llm, *engine)
        mota("plan", "measure", "-o", rates, "--pictures", source, *measuring)
        yield cached(chosen, rates, world)
        yield by_rule(chosen, rates, captions)
        yield by_llm(chosen, rates, captions, llm)
        yield trained(chosen, rates, source)
        if chosen.ray:
            yield cached(chosen, rates, world, "--engine", "ray")


def cached(chosen: argparse.Namespace, rates: Path, world: Path, *engine: object) -> Case:
    """`mota cache` of pictures with captions."""
    name = " ".join(["mota cache", *map(str, engine)])
    cores = available_cores() if engine else 1
    foretold = predicted(rates, "cache", "--pictures", chosen.pictures, *engine, cores=cores)
    out = chosen.work / f"features{len(engine)}.h5"
    source = first_rows(world / CAPTION_FILE, chosen.pictures)
    return Case(name, f"{chosen.pictures} pictures", foretold, timed("cache", "--data", source, "-o", out, *engine))


def by_rule(chosen: argparse.Namespace, rates: Path, captions: Path) -> Case:
    """`mota gen-triplets` by rule."""
    rows = chosen.rows_by_rule
    foretold = predicted(rates, "triplets", "--pictures", rows, "--triplets", wanted(rates, "rules", rows))
    taken = timed("gen-triplets", captions, "-o", chosen.work / "rules.jsonl", "--limit", rows)
    return Case("mota gen-triplets", f"{rows} rows by rule", foretold, taken)


def by_llm(chosen: argparse.Namespace, rates: Path, captions: Path, llm: Sequence[object]) -> Case:
    """`mota gen-triplets` by a language model on loopback."""
    rows, how = chosen.rows_by_llm, ("--generator", "llm")
    asked = ("--pictures", rows, "--triplets", wanted(rates, "llm", rows), "--concurrency", chosen.concurrency)
    foretold = predicted(rates, "triplets", *asked, *how)
    taken = timed("gen-triplets", captions, "-o", chosen.work / "llm.jsonl", "--limit", rows, *how, *llm)
    return Case("mota gen-triplets", f"{rows} rows by a language model", foretold, taken)


def trained(chosen: argparse.Namespace, rates: Path, source: Path) -> Case:
    """`mota train` on other triplets, for other steps than measured."""
    triplets, out, steps = chosen.work / "train.jsonl", chosen.work / "adapter", chosen.train_steps
    mota("gen-triplets", source, "-o", triplets, "--limit", chosen.train_triplets)
    count = len(triplets.read_text("utf-8").splitlines())
    foretold = predicted(rates, "train", "--pictures", count, "--triplets", count, "--train-steps", steps)
    inputs = ("--inversion", "lincir", "--triplets", triplets, "--features", chosen.work / "features0.h5")
    taken = timed("train", *inputs, "--steps", steps, "--out", out)
    return Case("mota train", f"{count} triplets, {steps} steps", foretold, taken)


def first_rows(source: Path, count: int) -> Path:
    """The same source with only its first rows."""
    lines = source.read_text("utf-8").splitlines()
    if len(lines) == count:
        return source
    path = source.with_name(f"first-{count}.jsonl")
    path.write_text("\n".join(lines[:count]) + "\n", "utf-8")
    return path


def wanted(rates: Path, kind: str, rows: int) -> int:
    """The triplets that so many rows give."""
    import tomllib

    return round(rows * float(tomllib.loads(rates.read_text("utf-8"))[kind]["triplets_per_row"]["value"]))


def main() -> int:
    """Run all cases; 1 where a prediction does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    parser.add_argument("--rows", type=int, default=1500, help="rows that rates are measured on")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=12_000)
    parser.add_argument("--rows-by-rule", type=int, default=30_000)
    parser.add_argument("--rows-by-llm", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--train-triplets", type=int, default=6000)
    parser.add_argument("--train-steps", type=int, default=60)
    parser.add_argument("--ray", action="store_true", help="also mota cache --engine ray")
    chosen = parser.parse_args()
    cases = list(run_cases(chosen))
    for case in cases:
        told, taken = f"{case.predicted_seconds:8.1f} s predicted", f"{case.measured_seconds:8.1f} s measured"
        print(f"{case.name:32} {case.command:34} {told} {taken}  {100 * (case.ratio - 1):+6.1f} %")
    found = [{**asdict(case), "ratio": case.ratio, "within_20_percent": case.holds} for case in cases]
    (chosen.work / "check.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return 0 if all(case.holds for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
