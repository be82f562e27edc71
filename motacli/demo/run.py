"""From an empty folder to a table and a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from motacli import __version__
from motacli.adapters.files import load_adapter, state_digest
from motacli.console import NullProgress, Progress
from motacli.contracts import Adapter, Backbone, Inversion
from motacli.demo.data import TinyData
from motacli.demo.page import Shown, make_report
from motacli.demo.recipe import Commands, Layout, Recipe
from motacli.demo.results import DemoResults
from motacli.demo.scoring import MiniBenchmark, ScoreFile, inversion_sources, plain_sources
from motacli.demo.stages import Stage, Stamp, run_stages
from motacli.demo.trainings import Trainings
from motacli.models import BackboneChoice, load_backbone, load_inversion
from motacli.plugins import PluginHost
from motacli.report import write_report
from motacli.runs import PROVENANCE, file_digest, provenance, write_json


def run_demo(
    host: PluginHost,
    out: Path,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    plugins: Mapping[str, str] | None = None,
    workers: int = 1,
) -> DemoResults:
    """Run every stage that is not finished below ``out`` yet, and gather the table.

    ``seed`` draws the world; weights and recipe are the same for all seeds. An interrupted run is gone on with and ends
    with the same table. ``workers`` processes train adapters, all but the first with the installed plugins
    (`motacli.coworkers`). Raises `motacli.errors.MotaError` where ``out`` holds something else, and whatever a stage
    raises.
    """
    demo = _Demo(host, Layout(Path(out)), seed, recipe or Recipe(), progress or NullProgress(), plugins or {}, workers)
    seconds = run_stages(demo.stages(), demo.stamp(), demo.progress)
    results = demo.results(seconds)
    write_json(demo.layout.results, results)
    return results


@dataclass
class _Demo:
    """What the stages share; networks and features are loaded when a stage first needs them."""

    host: PluginHost
    layout: Layout
    seed: int
    recipe: Recipe
    progress: Progress
    plugins: Mapping[str, str]
    workers: int

    @property
    def commands(self) -> Commands:
        """The same by hand."""
        return Commands(self.layout, self.recipe, self.seed)

    def stamp(self) -> Stamp:
        """The demo's settings and weights."""
        weights = {name: state_digest(phi) for name, phi in self.inversions.items()}
        about = {"mota": __version__, "seed": self.seed, "recipe": asdict(self.recipe)}
        return Stamp(self.layout.stamp, {**about, "backbone": self.backbone.fingerprint(), "inversions": weights})

    def stages(self) -> list[Stage]:
        """The stages in order."""
        say, recipe = self.commands, self.recipe
        trainings = len(recipe.inversions) * len(recipe.adapter_seeds)
        return [
            Stage(
                "world",
                "draw captioned pictures to learn from, and four benchmarks of objects never seen in training",
                say.world(),
                self.data.draw_world,
            ),
            Stage(
                "triplets",
                "read the captions, change something, write the caption of the picture that was asked for",
                say.triplets(),
                self.data.write_triplets,
            ),
            Stage("features", "encode every picture once with the frozen CLIP", say.features(), self.cache_features),
            Stage(
                "adapters",
                f"train {trainings} adapters, CLIP and inversion networks ({', '.join(recipe.inversions)}) stay frozen",
                say.adapters(),
                self.train_adapters,
            ),
            Stage("scores", "ask all queries, in every way", say.scores(), self.score),
            Stage("report", "show some of what was found", [], self.report),
        ]

    @property
    def data(self) -> TinyData:
        """What the stages before training make, and all later ones work on."""
        return TinyData(self.host, self.layout, self.seed, self.recipe.triplets, self.progress)

    @cached_property
    def backbone(self) -> Backbone:
        return load_backbone(self.host, BackboneChoice(device="cpu"))

    @cached_property
    def inversions(self) -> dict[str, Inversion]:
        return {name: load_inversion(self.host, name, self.backbone) for name in self.recipe.inversions}

    @cached_property
    def benchmarks(self) -> list[tuple[str, MiniBenchmark]]:
        return self.data.load_benchmarks(self.backbone)

    # ------------------------------------------------------------------------------------------ stages

    def cache_features(self) -> None:
        """Features of the training pairs and of each benchmark."""
        self.data.cache_features(self.backbone)

    def train_adapters(self) -> None:
        """One run per inversion network and seed; those that exist are done."""
        Trainings(self.host, self.layout, self.recipe, self.progress, self.plugins).finish(self.workers)

    def score(self) -> None:
        """All baselines, then each inversion network."""
        file, weight = ScoreFile(self.layout.scores), self.recipe.fusion
        file.add(plain_sources(self.inversions[self.recipe.fused], weight), self.benchmarks)
        for name, phi in self.progress.track(self.inversions.items(), "scoring", len(self.inversions)):
            adapters = {seed: self._adapter(name, seed) for seed in self.recipe.adapter_seeds}
            file.add(inversion_sources(phi, adapters, weight), self.benchmarks)

    def _adapter(self, name: str, seed: int) -> Adapter:
        return load_adapter(self.host, self.layout.adapter(name, seed), self.backbone, self.inversions[name])

    def report(self) -> None:
        """The page, and where everything came from."""
        results = self.results({})
        record = provenance(
            plugins=self.plugins, device=str(self.backbone.device), seed=self.seed, digests=self._digests()
        )
        write_json(self.layout.root / PROVENANCE, record)
        self.layout.report.unlink(missing_ok=True)  # one that was written just before an interruption
        write_report(
            self.layout.report,
            make_report(
                results,
                self.recipe,
                self.layout,
                self.seed,
                self._shown(results.best_inversion()),
                self.benchmarks,
                self.commands.all(),
                dict(self._facts(record)),
            ),
        )

    # ------------------------------------------------------------------------------------------ results

    def results(self, seconds: Mapping[str, float]) -> DemoResults:
        """The table from the scores on disk."""
        return DemoResults.of(ScoreFile(self.layout.scores).read(), self.recipe, self._trainable_share(), seconds)

    def _trainable_share(self) -> float:
        """Of adapter, inversion network and backbone together, averaged over the inversion networks."""
        shares = []
        for name, phi in self.inversions.items():
            own = _parameters(self._adapter(name, self.recipe.adapter_seeds[0]))
            shares.append(own / (own + _parameters(phi) + self.backbone.parameter_count()))
        return sum(shares) / len(shares)

    def _shown(self, name: str) -> Shown:
        return Shown(self.backbone, self.inversions[name], self._adapter(name, self.recipe.adapter_seeds[0]))

    def _digests(self) -> dict[str, str]:
        weights = {name: state_digest(phi) or "" for name, phi in self.inversions.items()}
        data = {"triplets": file_digest(self.layout.triplets), "scores": file_digest(self.layout.scores)}
        return {"backbone": self.backbone.fingerprint(), **weights, **data}

    def _facts(self, record: Mapping[str, object]) -> Iterator[tuple[str, dict[str, str]]]:
        training, shape = self.recipe.training, self.recipe.shape
        versions, digests = record["versions"], record["digests"]
        assert isinstance(versions, dict) and isinstance(digests, dict)
        yield "Versions", {str(name): str(version) for name, version in versions.items()}
        yield "Seeds", {"world": str(self.seed), "adapters": ", ".join(map(str, self.recipe.adapter_seeds))}
        yield (
            "Adapter",
            {name: str(value) for name, value in {**asdict(shape), **asdict(training)}.items() if name != "seed"},
        )
        yield "Weights and data", {name: str(digest)[:16] for name, digest in digests.items()}


def _parameters(part: object) -> int:
    return sum(p.numel() for p in part.parameters())  # type: ignore[attr-defined]
