"""What experiments on the tiny world work on: its pictures, triplets, features and mini benchmarks, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from motacli.cache import build_cache
from motacli.console import Progress
from motacli.contracts import Backbone
from motacli.datasets import open_source
from motacli.demo.recipe import HEADLINES, Layout
from motacli.demo.scoring import MiniBenchmark
from motacli.evaluating import build_unit_caches
from motacli.plugins import PluginHost
from motacli.tiny.make import make_world
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.rules import RuleOptions


@dataclass(frozen=True)
class TinyData:
    """The data of the world that ``seed`` draws. What is there stays as it is, what was begun is gone on with.

    ``benchmarks`` are those that are encoded and loaded.
    """

    host: PluginHost
    layout: Layout
    seed: int
    rules: RuleOptions
    progress: Progress
    benchmarks: Sequence[str] = tuple(HEADLINES)

    def draw_world(self) -> None:
        """The tiny world of the seed: training pairs, and the benchmarks of the layout's split."""
        make_world(self.layout.world, self.seed, ("train", self.layout.split), progress=self.progress)

    def write_triplets(self) -> None:
        """Triplets by rule, from the captions alone."""
        if self.layout.triplets.exists():
            return
        source = self.layout.pairs
        generator = load_generator(self.host, "rules", asdict(self.rules))
        generate(
            open_source(source),
            generator,
            self.layout.triplets,
            source_name=str(source),
            resume=True,
            progress=self.progress,
        )

    def cache_features(self, backbone: Backbone) -> None:
        """Features of the training pairs and of each benchmark."""
        how = {"resume": True, "progress": self.progress}
        if not self.layout.pair_features.exists():
            build_cache(self.layout.pair_features, backbone, open_source(self.layout.pairs), **how)  # type: ignore[arg-type]
        for name in self.benchmarks:
            if not self.layout.features(name).exists():
                units = self.host.component("benchmarks", name).make().load(self.layout.benchmark(name))
                build_unit_caches(self.layout.features(name), backbone, units, **how)  # type: ignore[arg-type]

    def load_benchmarks(self, backbone: Backbone) -> list[tuple[str, MiniBenchmark]]:
        """The mini benchmarks by name, with their features."""
        return [(name, self._benchmark(name, backbone)) for name in self.benchmarks]

    def _benchmark(self, name: str, backbone: Backbone) -> MiniBenchmark:
        benchmark = self.host.component("benchmarks", name).make()
        return MiniBenchmark.load(benchmark, self.layout.benchmark(name), self.layout.features(name), backbone)
