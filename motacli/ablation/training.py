"""Does one job: trains an adapter as ``mota train`` does and scores it, or scores an inversion network alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from motacli.ablation.data import AblationData
from motacli.ablation.jobs import SCORES, Job, JobFolder, Result, frozen_key, seeded
from motacli.ablation.triplet_sets import TripletSet, TripletSets
from motacli.ablation.variant import Variant
from motacli.adapters.domains import Mixture
from motacli.adapters.frozen_half import TripletFeatures, with_base
from motacli.adapters.record import settled_options, write_run
from motacli.adapters.run import TrainedAdapter, gather, train_prepared
from motacli.console import Progress
from motacli.contracts import Adapter, Backbone, Inversion
from motacli.errors import DataError
from motacli.models import BackboneChoice
from motacli.plugins import PluginHost
from motacli.query_sources import Composed
from motacli.runs import PROVENANCE, WORK, RunDir, file_digest, provenance
from motacli.watch import Watch


@dataclass
class FrozenHalf:
    """What trainings share: of one set of triplets, and of one inversion network on it, at a time."""

    backbone: Backbone
    data: AblationData
    progress: Progress
    _key: str = ""
    _gathered: tuple[TripletFeatures, Mixture] | None = None
    _network: Inversion | None = None
    _with_base: TripletFeatures | None = None

    def of(self, variant: Variant, triplets: TripletSet, network: Inversion) -> tuple[TripletFeatures, Mixture]:
        """The frozen half of a training, and how its files are mixed."""
        if self._gathered is None or self._key != frozen_key(variant):
            self._gathered = self._with_base = None  # lets go of the last one before the next is made
            rows, mixture = triplets.read()
            made = gather(self.backbone, rows, self.data.image_features(), variant.training, self.progress)
            self._gathered, self._key = (made, mixture), frozen_key(variant)
        features, mixture = self._gathered
        if not variant.training.needs_base:
            return features, mixture
        if self._with_base is None or self._network is not network:
            self._with_base = None
            self._with_base, self._network = with_base(features, self.backbone, network), network
        return self._with_base, mixture


@dataclass(frozen=True)
class Model:
    """The backbone and how it was asked for, and inversion networks by what tables call them.

    ``asked`` and ``weights`` are what ``--inversion`` and ``--inversion-weights`` say of each.
    """

    backbone: Backbone
    choice: BackboneChoice
    inversions: Mapping[str, Inversion]
    asked: Mapping[str, str]
    weights: Mapping[str, str]

    def as_options(self, label: str) -> dict[str, Any]:
        """The options of ``mota train`` that say the same of one inversion network."""
        choice = self.choice
        named = {"model": choice.model, "pretrained": choice.pretrained, "device": choice.device}
        named |= {"precision": choice.precision, "preprocess": choice.preprocess}
        return {**named, "inversion": self.asked[label], "inversion_weights": self.weights.get(label)}


@dataclass
class Worker:
    """Does jobs one after the other, each in its folder."""

    host: PluginHost
    model: Model
    data: AblationData
    sets: TripletSets
    folder: JobFolder
    progress: Progress
    plugins: Mapping[str, str]
    save_every: int
    frozen: FrozenHalf = field(init=False)

    def __post_init__(self) -> None:
        self.frozen = FrozenHalf(self.model.backbone, self.data, self.progress)

    def do(self, job: Job) -> None:
        """Do a job, or go on with one that was killed; its folder appears when it is finished."""
        network = self.model.inversions[job.inversion]
        with RunDir.create(self.folder.path(job), resume=True) as run:
            run.write_json("job.json", job.identity)
            if job.variant is None or job.seed is None:
                self._note_base(run, network)
                run.write_json(SCORES, Result(self._scores(network)))
            else:
                run.write_json(SCORES, self._trained(run, job, network, seeded(job.variant, job.seed)))

    def _trained(self, run: RunDir, job: Job, network: Inversion, variant: Variant) -> Result:
        triplets = self.sets.write(variant.triplets)
        frozen, mixture = self.frozen.of(variant, triplets, network)
        build: Any = self.host.component("adapters", variant.adapter).load()
        watch = Watch(progress=self.progress, work=run.work / WORK, save_every=self.save_every)
        model, training = self.model, variant.training

        def train() -> TrainedAdapter:
            parts = (model.backbone, network, frozen, build, variant.options, training)
            return train_prepared(*parts, self.progress, mixture, watch)

        trained = _anew_if_unfit(train, run, self.progress)
        scores = self._scores(network, trained.adapter)
        digests = {f"triplets {path.name}": file_digest(path) for path in triplets.files} | self.data.digests
        summary = write_run(run, trained, model.backbone, network, digests, self.plugins)
        inputs = {"triplets": triplets.files, "features": self.data.features, "adapter_type": variant.adapter}
        mix = ",".join(map(str, triplets.shares)) or None
        settled = settled_options(training, variant.options)
        run.write_config("train", {**model.as_options(job.inversion), **inputs, "mix": mix, **settled})
        return Result(scores, summary.trainable, summary.seconds)

    def _note_base(self, run: RunDir, network: Inversion) -> None:
        device = str(self.model.backbone.device)
        run.write_json(PROVENANCE, provenance(plugins=self.plugins, device=device, digests=self.data.digests))

    def _scores(self, network: Inversion, adapter: Adapter | None = None) -> dict[str, dict[str, float]]:
        source = Composed(network, adapter)
        return {name: mini.score(source) for name, mini in self.data.benchmarks.items()}


def _anew_if_unfit(train: Callable[[], TrainedAdapter], run: RunDir, progress: Progress) -> TrainedAdapter:
    """Train; where a state that a kill left is damaged or does not fit to the bit, without it.

    Another number of threads, or of a library's version, changes the last digits of the frozen half: that is still the
    same job, and no reason to stop.
    """
    try:
        return train()
    except DataError as error:
        if not error.message.startswith(str(run.work / WORK)):
            raise
        progress.log(f"starting anew: {error.message}")
        run.drop_work()
        return train()
