"""Rates of `mota train` and `mota train-inversion`: slopes over triplets, rows and steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from motacli.adapters.frozen_half import TripletFeatures, with_base, with_entropy
from motacli.adapters.options import TrainOptions
from motacli.adapters.run import gather, train_prepared
from motacli.cache import FeatureCache
from motacli.config import parse_options
from motacli.inversions.data import PairFeatures
from motacli.inversions.recipes import read_recipe
from motacli.inversions.run import fit_run, options_class
from motacli.inversions.sources import cached_features
from motacli.models import load_inversion
from motacli.planning.measuring.bench import Bench
from motacli.planning.measuring.timing import rate_of, seconds_of, slopes
from motacli.triplets.schema import read_triplets

STEPS = (2, 12)
"""Steps of the smaller and of the larger training."""


def measure_training(bench: Bench, cache: FeatureCache, small: Path, large: Path) -> None:
    """Put the rates of training an adapter on the bench."""
    options = bench.options
    component = bench.host.component("adapters", "mota")
    build: Any = component.load()
    training = TrainOptions(held_out=0.0)
    on = bench.condition("train", inversion=options.inversion, adapter="mota", train_batch=training.batch_size)
    inversion = load_inversion(bench.host, options.inversion, bench.backbone)

    def frozen(path: Path) -> TripletFeatures:
        data = gather(bench.backbone, read_triplets(path), cache, training)
        data = with_base(data, bench.backbone, inversion) if training.needs_base else data
        return with_entropy(data, bench.backbone.logit_scale) if training.needs_entropy else data

    counts = len(read_triplets(large)) - len(read_triplets(small))
    data = frozen(large)
    pairs = [(seconds_of(lambda: frozen(small)), seconds_of(lambda: frozen(large))) for _ in range(options.runs)]

    def train(steps: int) -> None:
        asked = TrainOptions(held_out=0.0, steps=steps, batch_size=min(training.batch_size, len(data)))
        train_prepared(bench.backbone, inversion, data, component.make, build.Options(), asked)

    train(1)
    steps = [(seconds_of(lambda: train(STEPS[0])), seconds_of(lambda: train(STEPS[1]))) for _ in range(options.runs)]
    kind, units = bench.unit
    frozen_row = slopes(pairs, counts)
    bench.rates[f"frozen.triplets_per_second_{kind}"] = rate_of(frozen_row, on, units)
    samples = (STEPS[1] - STEPS[0]) * min(training.batch_size, len(data))
    per_sample = slopes(steps, samples)
    bench.rates[f"train.samples_per_second_{kind}"] = rate_of(per_sample, on, units)


def measure_inversion(bench: Bench, cache: FeatureCache) -> None:
    """Put the rates of training an inversion network on the bench."""
    options, name = bench.options, bench.options.train_inversion
    build: Any = bench.host.component("inversions", name).load()
    recipe = read_recipe(None, name, bench.backbone)
    known = options_class(build, name)
    batch = min(parse_options(known, recipe, "recipe").batch_size, options.small)
    on = bench.condition("inversion", inversion=name, inversion_batch=batch)

    def fit(data: PairFeatures, steps: int) -> None:
        asked = parse_options(known, {**recipe, "epochs": 0, "steps": steps, "batch_size": batch}, "recipe")
        fit_run(bench.backbone, build, data, asked)

    def read(rows: int) -> float:
        begun = time.perf_counter()
        whole = cached_features(FeatureCache(cache.path), bench.backbone)
        data = PairFeatures(whole.image[:rows], whole.captions[:rows], whole.text[:rows])
        fit(data, 1)
        return time.perf_counter() - begun

    whole = cached_features(cache, bench.backbone)
    fit(whole, 1)
    ready = [(read(options.small), read(options.rows)) for _ in range(options.runs)]
    steps = [
        (seconds_of(lambda: fit(whole, STEPS[0])), seconds_of(lambda: fit(whole, STEPS[1])))
        for _ in range(options.runs)
    ]
    kind, units = bench.unit
    rows = slopes(ready, len(whole) - options.small)
    bench.rates["inversion.rows_per_second"] = rate_of(rows, on)
    samples = slopes(steps, (STEPS[1] - STEPS[0]) * batch)
    bench.rates[f"inversion.samples_per_second_{kind}"] = rate_of(samples, on, units)
