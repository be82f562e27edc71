"""Rates of `mota index` and `mota eval`."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from functools import partial

import numpy as np

from motacli.bench.synthetic import UnitShape, cirr_ids, make_unit
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.protocol import DEFAULT_PROTOCOL
from motacli.console import NullProgress
from motacli.contracts import EvalUnit
from motacli.evaluating import encode_units, evaluate, select_units
from motacli.evaluation import score_unit
from motacli.models import load_inversion
from motacli.planning.measuring.bench import Bench, copied
from motacli.planning.measuring.pictures import PICTURES
from motacli.planning.measuring.timing import PhaseClock, rate_of, seconds_of, slopes
from motacli.query_sources import Composed
from motacli.search.building import index_folder
from motacli.search.faiss_store import LEAST_ROWS, FaissOptions, FaissStore
from motacli.search.vectors import Vectors
from motacli.tiny.mini import write_cirr

GALLERY, QUERIES = 20_000, 200
"""How large a made-up benchmark comparisons are measured on."""
SETS = 25
"""Sets of look-alikes in the tiny CIRR that queries are measured on; each has three queries."""


def measure_index(bench: Bench) -> None:
    """Put the rates of building an index on the bench, of graphs where Faiss is there and the rows are enough."""
    options, on = bench.options, bench.condition("index")
    sizes = (options.small, options.rows)
    folders = [copied(bench.items[:count], bench.path(f"pictures-{count}")) for count in sizes]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in bench.progress.track(range(options.runs), "mota index"):
        for folder, found in zip(folders, seconds, strict=True):
            clock = PhaseClock()
            index_folder(
                bench.path("index"),
                folder / "images",
                host=bench.host,
                choice=options.choice,
                batch_size=options.batch_size,
                workers=options.workers,
                progress=clock,
            )
            encoding = clock.ended[PICTURES] - clock.begun[PICTURES]
            found.append(time.perf_counter() - clock.made - encoding)
    written = slopes(list(zip(*seconds, strict=True)), options.rows - options.small)
    bench.rates["index.rows_per_second"] = rate_of(written, on)
    if importlib.util.find_spec("faiss") and options.rows >= LEAST_ROWS:
        _measure_faiss(bench, on)


def _measure_faiss(bench: Bench, on: str) -> None:
    import faiss

    rng, rows = np.random.default_rng(0), bench.options.rows
    folder = bench.path("vectors")
    folder.mkdir()
    drawn = rng.standard_normal((rows, bench.backbone.joint_dim), dtype=np.float32)
    vectors = Vectors.write(folder, [drawn], rows, drawn.shape[1], "float16")
    for kind in ("hnsw", "ivfpq"):
        build = partial(FaissStore.build, folder, vectors, FaissOptions(kind=kind), NullProgress())
        built = [seconds_of(build) / rows for _ in range(bench.options.runs)]
        bench.rates[f"index.{kind}_rows_per_second_per_core"] = rate_of(built, on, faiss.omp_get_max_threads())


def measure_eval(bench: Bench) -> None:
    """Put the rates of an evaluation on the bench: composing on a tiny CIRR, comparing on one as large as real ones."""
    on = bench.condition("eval", inversion=bench.options.inversion)
    root = bench.path("cirr")
    write_cirr(root, 0, "val", sets=SETS)
    benchmark = CIRR()
    protocol = benchmark.protocol(DEFAULT_PROTOCOL)
    units = select_units(benchmark, root, protocol, "val")
    source = Composed(load_inversion(bench.host, bench.options.inversion, bench.backbone))

    def ask(parts: int) -> None:
        some = [_first(unit, parts) for unit in units]
        data = encode_units(some, bench.backbone, protocol, store=bench.folder / "gallery")
        evaluate(benchmark, data, source, resamples=0)

    queries = sum(len(unit.queries) for unit in units)
    less = max(queries // 4, 2)
    ask(queries)
    ask(less)
    runs = [(seconds_of(lambda: ask(less)), seconds_of(lambda: ask(queries))) for _ in range(bench.options.runs)]
    kind, cores = bench.unit
    asked = slopes(runs, queries - less)
    bench.rates[f"eval.queries_per_second_{kind}"] = rate_of(asked, on, cores)
    shape = UnitShape("made up", QUERIES, GALLERY, ("R@1", "R@5"), cirr_ids, dim=bench.backbone.joint_dim)
    made = make_unit(shape, np.random.default_rng(0))
    compared = [
        seconds_of(lambda: score_unit(made.unit, made.gallery, made.queries)) for _ in range(bench.options.runs)
    ]
    bench.rates["eval.comparisons_per_second"] = rate_of([one / QUERIES / GALLERY for one in compared], on)


def _first(unit: EvalUnit, queries: int) -> EvalUnit:
    return replace(unit, queries=unit.queries[:queries])
