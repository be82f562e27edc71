"""Rates of `mota cache`: whole builds of two sizes, phase by phase, and decoding and encoding alone."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch

from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.cache.columns import Values
from motacli.cache.decoders import DECODERS
from motacli.cache.merging import merge_caches
from motacli.cache.parts import Part
from motacli.cache.work import Plan, Work
from motacli.encoding import PREFETCHED_BATCHES, encode_pixels
from motacli.planning.measuring.bench import Bench, lengths
from motacli.planning.measuring.timing import LEAST, PhaseClock, mean_of, rate_of, seconds_of, slopes
from motacli.planning.rates import Rate
from motacli.triplets.pictures import image_bytes

PICTURES, CAPTIONS = "encoding pictures", "encoding captions"
KEPT_PIXELS = 512
"""Prepared pictures that are kept to be encoded again."""
LOOKED_AT = 200
"""Pictures whose files are looked at."""


@dataclass
class Phases:
    """Seconds of each phase, build by build."""

    listing: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    captions: list[float] = field(default_factory=list)
    finishing: list[float] = field(default_factory=list)

    def add(self, clock: PhaseClock, end: float) -> None:
        """One build, which ended then."""
        self.listing.append(clock.begun[PICTURES] - clock.made)
        self.pictures.append(clock.begun[CAPTIONS] - clock.begun[PICTURES])
        self.captions.append(clock.ended[CAPTIONS] - clock.begun[CAPTIONS])
        self.finishing.append(end - clock.ended[CAPTIONS])


def measure_cache(bench: Bench) -> FeatureCache:
    """Put the rates of building a cache on the bench; gives one of the larger run's rows."""
    options = bench.options
    on = bench.condition("cache", layout="single", dtype="float32")
    _measure_data(bench, on)
    small, large = Phases(), Phases()
    made = _build(bench, Phases(), 0, options.small)  # what runs for the first time is slower
    for _ in bench.progress.track(range(options.runs), "mota cache"):
        _build(bench, small, 0, options.small)
        made = _build(bench, large, 0, options.rows)

    def per_row(name: str) -> list[float]:
        pairs = list(zip(getattr(small, name), getattr(large, name), strict=True))
        return slopes(pairs, options.rows - options.small)

    kind, units = bench.unit
    bench.rates["listing.rows_per_second"] = rate_of(per_row("listing"), on)
    bench.rates[f"captions.texts_per_second_{kind}"] = rate_of(per_row("captions"), on, units)
    bench.rates["finishing.rows_per_second"] = rate_of(per_row("finishing"), on)
    decode, encode = _measure_model(bench, on)
    alone = decode + encode if options.workers == 0 or bench.is_cpu else encode
    bench.rates["build.rows_per_second"] = rate_of([max(one - alone, LEAST) for one in per_row("pictures")], on)
    bench.rates["build.parts_per_second"] = _parts(bench, made, on)
    rest = _build(bench, Phases(), options.rows, options.rows + options.small)
    total = options.rows + options.small
    merged = [
        seconds_of(lambda: merge_caches([made.path, rest.path], bench.path("merged", ".h5"))) / total
        for _ in range(options.runs)
    ]
    bench.rates["finishing.merged_per_second"] = rate_of(merged, on)
    return made


def _build(bench: Bench, phases: Phases, start: int, stop: int) -> FeatureCache:
    options, clock = bench.options, PhaseClock()
    made = build_cache(
        bench.path("features", ".h5"),
        bench.backbone,
        bench.rows(start, stop),
        batch_size=options.batch_size,
        workers=options.workers,
        progress=clock,
        options=CacheOptions(strict=False),
    )
    phases.add(clock, time.perf_counter())
    return made


def _measure_model(bench: Bench, on: str) -> tuple[float, float]:
    """Rates of decoding and of encoding alone; gives the seconds of a picture in each, with all workers and units."""
    options = bench.options
    rows = [(item.image, item.caption) for item in bench.items]
    decoder = DECODERS["threads"](bench.backbone, options.workers)
    pixels: list[torch.Tensor] = []

    def decode() -> None:
        pixels.clear()
        for row in decoder(rows, PREFETCHED_BATCHES * options.batch_size):
            if row.pixels is not None and len(pixels) < KEPT_PIXELS:
                pixels.append(row.pixels)

    def encode() -> None:
        for start in range(0, len(pixels), options.batch_size):
            encode_pixels(bench.backbone, pixels[start : start + options.batch_size])

    decoded = [seconds_of(decode) / len(rows) for _ in range(options.runs)]
    encode()
    encoded = [seconds_of(encode) / len(pixels) for _ in range(options.runs)]
    kind, units = bench.unit
    bench.rates["decode.pictures_per_second_per_core"] = rate_of(decoded, on, max(options.workers, 1))
    bench.rates[f"encode.pictures_per_second_{kind}"] = rate_of(encoded, on, units)
    return median(decoded), median(encoded)


def _parts(bench: Bench, made: FeatureCache, on: str) -> Rate:
    """Rows a second of writing one part after the other, as one driver does."""
    path = bench.path("parts", ".h5")
    backbone, rows = bench.backbone, len(made)
    plan = Plan(backbone.name, backbone.fingerprint(), backbone.joint_dim, "", 0, rows, captions=True)
    work = Work.begin(path, plan)
    columns: dict[str, Values] = {"ids": made.ids, "captions": made.captions(), "features": np.asarray(made.features())}
    texts: dict[str, Values] = {"text_features": np.asarray(made.text_features())}

    def write(number: int) -> None:
        work.add(Part("images", number * rows, (number + 1) * rows, rows), columns)
        work.add(Part("texts", number * rows, (number + 1) * rows, rows), texts)

    return rate_of([seconds_of(lambda n=number: write(n)) / rows for number in range(bench.options.runs)], on)  # type: ignore[misc]


def _measure_data(bench: Bench, on: str) -> None:
    """Sizes of the source's rows."""
    items = bench.items
    bench.rates["data.joint_dim"] = Rate(bench.backbone.joint_dim, on=on)
    looked_at = items[:LOOKED_AT]
    bench.rates["data.picture_bytes"] = mean_of([len(image_bytes(item.image)) for item in looked_at], on)
    bench.rates["data.id_bytes"] = mean_of(lengths([item.image.id for item in items]), on)
    paths = [len(os.fsencode(item.image.path)) + len(item.image.member.encode()) for item in items]
    bench.rates["data.path_bytes"] = mean_of(paths, on)
    bench.rates["data.caption_bytes"] = mean_of(lengths([item.caption for item in items]), on)
