"""What the demo runs. All of it was chosen on validation worlds; the demo itself sees the test world alone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from motacli.adapters.mota import MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.triplets.rules import RuleOptions

HEADLINES = {"fashioniq": "R@10", "cirr": "R@10", "circo": "mAP@10", "genecis": "R@1"}
"""The benchmarks in the order of the table, and the metric that each is known by."""
TITLES = {"fashioniq": "FashionIQ", "cirr": "CIRR", "circo": "CIRCO", "genecis": "GeneCIS"}
INVERSION_TITLES = {"pic2word": "Pic2Word", "searle": "SEARLE", "lincir": "LinCIR"}


@dataclass(frozen=True)
class Recipe:
    """The demo's parts and sizes. Defaults are those of the commands that it prints.

    ``fused`` is the inversion whose base query the late-fusion baseline uses: the best of the three on validation.
    """

    inversions: tuple[str, ...] = ("pic2word", "searle", "lincir")
    adapter_seeds: tuple[int, ...] = (0, 1, 2)
    fused: str = "pic2word"
    fusion: float = 0.5
    triplets: RuleOptions = field(default_factory=lambda: RuleOptions(per_image=4))
    training: TrainOptions = field(default_factory=TrainOptions)
    shape: MotaOptions = field(default_factory=MotaOptions)


@dataclass(frozen=True)
class Layout:
    """Where everything is in the demo's folder. ``split`` is that of the benchmarks."""

    root: Path
    split: str = "test"

    @property
    def stamp(self) -> Path:
        """What this folder is the demo of, and how long each finished stage took."""
        return self.root / "demo.json"

    @property
    def world(self) -> Path:
        """The tiny world."""
        return self.root / "world"

    @property
    def pairs(self) -> Path:
        """The image-text training set."""
        return self.world / "train"

    @property
    def triplets(self) -> Path:
        """The training triplets."""
        return self.root / "triplets.jsonl"

    @property
    def pair_features(self) -> Path:
        """Features of the training set."""
        return self.root / "features" / "train.h5"

    @property
    def scores(self) -> Path:
        """Every query source's metrics on every benchmark."""
        return self.root / "scores.json"

    @property
    def results(self) -> Path:
        """The table, as ``mota demo --json`` prints it."""
        return self.root / "results.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"

    def benchmark(self, name: str) -> Path:
        """A mini benchmark of the split's world."""
        return self.world / self.split / name

    def features(self, benchmark: str) -> Path:
        """The folder of a benchmark's features."""
        folder = self.root / "features"
        return folder / benchmark if self.split == "test" else folder / self.split / benchmark

    def adapter(self, inversion: str, seed: int) -> Path:
        """The run of one adapter."""
        return self.root / "adapters" / f"{inversion}-{seed}"


@dataclass(frozen=True)
class Commands:
    """The command lines that do by hand what the stages do."""

    layout: Layout
    recipe: Recipe
    seed: int

    def world(self) -> list[str]:
        """Drawing the world."""
        return [_line("tiny", "make", self.layout.world, "--seed", self.seed)]

    def triplets(self) -> list[str]:
        """Writing triplets."""
        many = ("--per-image", self.recipe.triplets.per_image)
        return [_line("gen-triplets", self.layout.pairs, *many, "--out", self.layout.triplets)]

    def features(self) -> list[str]:
        """Caching features."""
        pairs = _line("cache", "--data", self.layout.pairs, "--out", self.layout.pair_features)
        where = self.layout
        return [
            pairs,
            *(
                _line("cache", "--benchmark", b, "--data-root", where.benchmark(b), "--out", where.features(b))
                for b in HEADLINES
            ),
        ]

    def train(self, inversion: str, seed: int) -> str:
        """Training one adapter."""
        inputs = ("--triplets", self.layout.triplets, "--features", self.layout.pair_features)
        out = ("--seed", seed, "--out", self.layout.adapter(inversion, seed))
        return _line("train", "--inversion", inversion, *inputs, *out)

    def adapters(self) -> list[str]:
        """Training all adapters."""
        return [self.train(name, seed) for name in self.recipe.inversions for seed in self.recipe.adapter_seeds]

    def scores(self) -> list[str]:
        """Scoring one benchmark in every way; the others go likewise."""
        first = next(iter(HEADLINES))
        root = ("--data-root", self.layout.benchmark(first), "--features", self.layout.features(first))
        lines = [_line("eval", first, *root, "--query", kind) for kind in ("image", "text", "sum")]
        for name in self.recipe.inversions:
            adapter = ("--adapter", self.layout.adapter(name, self.recipe.adapter_seeds[0]))
            lines += [_line("eval", first, *root, "--inversion", name, *more) for more in ((), adapter)]
        return lines

    def all(self) -> list[str]:
        """Everything, in order."""
        return [*self.world(), *self.triplets(), *self.features(), *self.adapters(), *self.scores()]


def _line(*words: object) -> str:
    return shlex.join(["mota", *map(str, words)])
