"""What an ablation works on: the tiny world, or one's own triplets, features and benchmarks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from motacli.adapters.domains import ImageFeatures, PooledFeatures
from motacli.cache import FeatureCache
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.demo.data import TinyData
from motacli.demo.recipe import HEADLINES, Layout, Recipe
from motacli.demo.scoring import MiniBenchmark
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.locks import locked
from motacli.plugins import PluginHost
from motacli.results import unit_digest
from motacli.runs import file_digest

SPLITS = ("test", "val")
"""Of the tiny world."""


@dataclass(frozen=True)
class AblationData:
    """Files of triplets and of their image features, and benchmarks by name, with what tables show of each."""

    triplets: tuple[Path, ...]
    features: tuple[Path, ...]
    benchmarks: Mapping[str, MiniBenchmark]
    headlines: Mapping[str, str]

    @cached_property
    def triplet_digests(self) -> tuple[str, ...]:
        """Of the triplets files."""
        return tuple(map(file_digest, self.triplets))

    @cached_property
    def digests(self) -> dict[str, str]:
        """Of the features, and of all that scores on a benchmark depend on besides the weights."""
        features = {f"features {number}": file_digest(path) for number, path in enumerate(self.features, 1)}
        return features | {name: _benchmark_digest(mini) for name, mini in self.benchmarks.items()}

    def image_features(self) -> ImageFeatures:
        """The features of the triplets' pictures."""
        files = {str(path): FeatureCache(path) for path in self.features}
        return PooledFeatures(files) if len(files) > 1 else next(iter(files.values()))


class DataSource(Protocol):
    """Where the data comes from; ``out`` is the ablation's folder."""

    def ready(self, out: Path) -> bool:
        """Whether nothing has to be made first."""

    def prepare(self, host: PluginHost, out: Path, backbone: Backbone, progress: Progress) -> None:
        """Make what is wanting. Safe in several processes at once."""

    def load(self, host: PluginHost, out: Path, backbone: Backbone) -> AblationData:
        """The data, which must be ready."""


@dataclass(frozen=True)
class TinyWorld:
    """The embedded world that ``seed`` draws, kept below the ablation's folder as the demo keeps it below its own."""

    seed: int = 0
    split: str = "test"
    benchmarks: Sequence[str] = tuple(HEADLINES)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise UnknownNameError("split of the tiny world", self.split, SPLITS)
        for name in self.benchmarks:
            if name not in HEADLINES:
                raise UnknownNameError("benchmark of the tiny world", name, HEADLINES)

    def layout(self, out: Path) -> Layout:
        """Where everything of it is."""
        return Layout(out / f"world-{self.seed}", self.split)

    def ready(self, out: Path) -> bool:
        """Whether all of it is there."""
        layout = self.layout(out)
        features = [layout.features(name) for name in self.benchmarks]
        return all(path.exists() for path in (layout.triplets, layout.pair_features, *features))

    def prepare(self, host: PluginHost, out: Path, backbone: Backbone, progress: Progress) -> None:
        """Draw the world, write triplets, encode pictures."""
        layout = self.layout(out)
        with locked(layout.root, lambda: progress.log("another process prepares the data: waiting for it")):
            data = self._data(host, out, progress)
            data.draw_world()
            data.write_triplets()
            data.cache_features(backbone)

    def load(self, host: PluginHost, out: Path, backbone: Backbone) -> AblationData:
        """The data of the world."""
        layout = self.layout(out)
        benchmarks = dict(self._data(host, out, NullProgress()).load_benchmarks(backbone))
        shown = {name: HEADLINES[name] for name in self.benchmarks}
        return AblationData((layout.triplets,), (layout.pair_features,), benchmarks, shown)

    def _data(self, host: PluginHost, out: Path, progress: Progress) -> TinyData:
        return TinyData(host, self.layout(out), self.seed, Recipe().triplets, progress, self.benchmarks)


@dataclass(frozen=True)
class OwnBenchmark:
    """A benchmark below ``root``; ``features`` is the folder that ``mota cache --benchmark`` wrote."""

    name: str
    root: Path
    features: Path


@dataclass(frozen=True)
class OwnData:
    """Files of the user's: triplets, image features of their pictures, and benchmarks of one split."""

    triplets: tuple[Path, ...]
    features: tuple[Path, ...]
    benchmarks: tuple[OwnBenchmark, ...]
    split: str | None = None

    def __post_init__(self) -> None:
        if not (self.triplets and self.features and self.benchmarks):
            raise UsageError("own data needs triplets, their features and a benchmark", "give all three")
        if len({benchmark.name for benchmark in self.benchmarks}) < len(self.benchmarks):
            raise UsageError("a benchmark is named twice", "name each once")
        for paths in (self.triplets, self.features):
            if len({path.resolve() for path in paths}) < len(paths):
                raise UsageError("a file is given twice", "give each file once")

    def ready(self, out: Path) -> bool:
        """Always: nothing is made of it."""
        return True

    def prepare(self, host: PluginHost, out: Path, backbone: Backbone, progress: Progress) -> None:
        """Nothing to do."""

    def load(self, host: PluginHost, out: Path, backbone: Backbone) -> AblationData:
        """Read the benchmarks; `DataError` for files that are wanting or do not belong together."""
        found, shown = {}, {}
        for own in self.benchmarks:
            benchmark: Any = host.component("benchmarks", own.name).make()
            mini = MiniBenchmark.load(benchmark, own.root, own.features, backbone, self.split)
            if not all(query.targets for data in mini.units for query in data.unit.queries):
                raise DataError(f"this split of {own.name} keeps its targets secret", "ablate on another --split")
            found[own.name] = mini
            shown[own.name] = HEADLINES.get(own.name, benchmark.headline)
        return AblationData(self.triplets, self.features, found, shown)


def _benchmark_digest(mini: MiniBenchmark) -> str:
    """Of queries, prompts, gallery and features."""
    digest = hashlib.sha256()
    for data in mini.units:
        digest.update(unit_digest(data.unit).encode())
        digest.update(repr((data.inputs.prompts, data.inputs.texts)).encode())
        digest.update(data.gallery.tobytes())
        digest.update(data.inputs.references.numpy().tobytes())
    return digest.hexdigest()
