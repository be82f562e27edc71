"""The demo's adapters: which there are, and the training of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from motacli.adapters.frozen_half import TripletFeatures, with_base
from motacli.adapters.record import settled_options, write_run
from motacli.adapters.run import gather, train_prepared
from motacli.cache import FeatureCache
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Inversion
from motacli.coworkers import helped
from motacli.demo.recipe import Layout, Recipe
from motacli.models import BackboneChoice, load_backbone, load_inversion
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import RunDir, file_digest
from motacli.triplets.schema import read_triplets
from motacli.working import work_off


@dataclass(frozen=True)
class Training:
    """That of one adapter."""

    inversion: str
    seed: int

    @property
    def title(self) -> str:
        """``lincir, seed 0``."""
        return f"{self.inversion}, seed {self.seed}"


@dataclass
class Trainings:
    """All of them; those whose folder exists are done. Networks and features are loaded when one is to be trained."""

    host: PluginHost
    layout: Layout
    recipe: Recipe
    progress: Progress
    plugins: Mapping[str, str]
    _with_base: dict[str, TripletFeatures] = field(default_factory=dict)

    def finish(self, workers: int) -> None:
        """Train what is not trained yet, in ``workers`` processes."""
        if all(self.is_done(job) for job in self.jobs()):
            return
        with helped(workers, _help, self.layout, self.recipe, dict(self.plugins)):
            work_off(self.jobs(), self, self.do, self.progress)

    def jobs(self) -> list[Training]:
        """One for each inversion network and seed."""
        return [Training(name, seed) for name in self.recipe.inversions for seed in self.recipe.adapter_seeds]

    def is_done(self, job: Training) -> bool:
        """Whether the adapter is there."""
        return self.layout.adapter(job.inversion, job.seed).exists()

    def lock(self, job: Training) -> Path:
        """What a process holds while it trains the adapter."""
        folder = self.layout.adapter(job.inversion, job.seed)
        return folder.with_name(f".{folder.name}.claim")

    def do(self, job: Training) -> None:
        """Train one adapter."""
        training, shape = replace(self.recipe.training, seed=job.seed), self.recipe.shape
        build = self.host.component("adapters", "mota").load()
        phi = self._inversion(job.inversion)
        with RunDir.create(self.layout.adapter(job.inversion, job.seed), resume=True) as run:
            data = self._frozen_half(phi)
            trained = train_prepared(self.backbone, phi, data, build, shape, training, self.progress)
            write_run(run, trained, self.backbone, phi, self._digests, self.plugins)
            run.write_config("train", {"inversion": phi.name, **self._inputs, **settled_options(training, shape)})

    @cached_property
    def backbone(self) -> Backbone:
        """The tiny CLIP."""
        return load_backbone(self.host, BackboneChoice(device="cpu"))

    @property
    def _inputs(self) -> dict[str, Path]:
        return {"triplets": self.layout.triplets, "features": self.layout.pair_features}

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {name: file_digest(path) for name, path in self._inputs.items()}

    @cached_property
    def _gathered(self) -> TripletFeatures:
        triplets, cache = read_triplets(self.layout.triplets), FeatureCache(self.layout.pair_features)
        return gather(self.backbone, triplets, cache, self.recipe.training, self.progress)

    def _inversion(self, name: str) -> Inversion:
        return load_inversion(self.host, name, self.backbone)

    def _frozen_half(self, phi: Inversion) -> TripletFeatures:
        """What all trainings for an inversion network share; that of the last one is kept."""
        if not self.recipe.training.needs_base:
            return self._gathered
        if phi.name not in self._with_base:
            self._with_base = {phi.name: with_base(self._gathered, self.backbone, phi)}
        return self._with_base[phi.name]


def _help(layout: Layout, recipe: Recipe, plugins: Mapping[str, str]) -> None:
    """What another process does."""
    Trainings(load_plugins(), layout, recipe, NullProgress(), plugins).finish(1)
