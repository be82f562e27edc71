"""Training an adapter: repeatable, it learns, and its inputs are checked; trained adapters on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from motacli import hookimpl
from motacli.adapters.domains import Mixture
from motacli.adapters.files import load_adapter, read_adapter_record, save_adapter, state_digest
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.adapters.record import write_run
from motacli.adapters.run import TrainedAdapter, train_run
from motacli.compose import compose_queries
from motacli.config import parse_options
from motacli.contracts import ImageRef, ImageText, Prompt, Triplet
from motacli.encoding import encode_texts
from motacli.errors import DataError, MotaError, UsageError
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import RunDir
from motacli.tiny import grammar
from motacli.tiny.world import sample_scenes
from motacli.triplets.rules import RuleGenerator, RuleOptions

SHAPE = MotaOptions(experts=2, tokens=2, depth=2)
QUICK = TrainOptions(steps=10, batch_size=32, warmup=2, lr=5e-3, noise=0.0)


class Features:
    """Image features in memory."""

    def __init__(self, ids: Sequence[str], values: np.ndarray, fingerprint: str) -> None:
        self.ids, self.values, self.fingerprint = tuple(ids), values, fingerprint

    def features(self, ids: Sequence[str]) -> np.ndarray:
        return self.values[[self.ids.index(id) for id in ids]]


@pytest.fixture(scope="module")
def triplets() -> list[Triplet]:
    words = Random(0)
    scenes = sample_scenes(np.random.default_rng(0), 40, "train")
    rows = [
        ImageText(ImageRef(f"{i}.png", Path("x")), grammar.describe(scene, words, grammar.THOROUGH).text)
        for i, scene in enumerate(scenes)
    ]
    return [t for outcome in RuleGenerator(RuleOptions(per_image=2)).generate(rows) for t in outcome.triplets][:64]


@pytest.fixture(scope="module")
def features(triplets: list[Triplet], tiny_backbone: Any) -> Features:
    """Captions stand in for the pictures: what counts is that a feature tells something of its picture."""
    captions = {t.image: t.reference_caption for t in triplets}
    values = encode_texts(tiny_backbone, list(captions.values()))
    return Features(list(captions)[::-1], values[::-1].copy(), tiny_backbone.fingerprint())


@pytest.fixture(scope="module")
def train(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features
) -> Callable[..., TrainedAdapter]:
    def run(**training: Any) -> TrainedAdapter:
        return train_run(tiny_backbone, inversion, triplets, features, MotaAdapter, SHAPE, replace(QUICK, **training))

    return run


@pytest.fixture(scope="module")
def trained(train: Callable[..., TrainedAdapter]) -> TrainedAdapter:
    return train()


def test_training_lowers_the_loss(train: Callable[..., TrainedAdapter]) -> None:
    first = train(steps=1, lr=0.0)  # a batch before anything is learned
    assert len(first.history.loss) == 1
    assert train(steps=40).history.loss[-1] < first.history.loss[0] - 1


def test_the_same_seed_gives_the_same_weights(train: Callable[..., TrainedAdapter], trained: TrainedAdapter) -> None:
    torch.manual_seed(99)
    again, other = train(), train(seed=1)
    assert state_digest(again.adapter) == state_digest(trained.adapter) != state_digest(other.adapter)
    assert again.history == trained.history


def test_domains_that_are_not_mixed_change_nothing(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features, trained: TrainedAdapter
) -> None:
    def run(mixture: Mixture) -> TrainedAdapter:
        return train_run(
            tiny_backbone, inversion, triplets, features, MotaAdapter, SHAPE, QUICK, None, mixture
        )  # fmt: skip

    pooled = run(Mixture(("a", "b"), (40, 24)))
    assert state_digest(pooled.adapter) == state_digest(trained.adapter)
    assert [domain.triplets for domain in pooled.domains] == [40, 24] and trained.domains == ()
    assert sum(domain.drawn for domain in pooled.domains) == QUICK.steps * QUICK.batch_size
    mixed, again = run(Mixture(("a", "b"), (40, 24), (0.5, 0.5))), run(Mixture(("a", "b"), (40, 24), (0.5, 0.5)))
    assert [domain.drawn for domain in mixed.domains] == [160, 160]
    assert state_digest(mixed.adapter) == state_digest(again.adapter) != state_digest(pooled.adapter)


def test_training_leaves_the_global_random_state_alone(train: Callable[..., TrainedAdapter]) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(steps=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_changes_nothing_that_is_frozen(
    train: Callable[..., TrainedAdapter], inversion: Pic2Word, tiny_backbone: Any
) -> None:
    before = state_digest(inversion), state_digest(tiny_backbone.model)
    train(steps=2)
    assert (state_digest(inversion), state_digest(tiny_backbone.model)) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scope": "bnk"}, "did you mean 'bank'"),
        ({"batch_size": 1}, "too small"),
        ({"anchor": -1.0}, "negative"),
        ({"template": "a photo of {slot}"}, "{caption}"),
        ({"template": "{caption} {slot}"}, "{caption}"),
    ],
)
def test_training_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_options(TrainOptions, options, "training options")


def test_an_anchor_keeps_queries_near_the_base_models(
    train: Callable[..., TrainedAdapter], tiny_backbone: Any, inversion: Pic2Word
) -> None:
    features, prompts = torch.randn(8, 128, generator=torch.Generator().manual_seed(0)), [[Prompt("a photo of", "red")]]
    base = compose_queries(tiny_backbone, inversion, features, prompts * 8)

    def nearness(anchor: float) -> float:
        adapter = train(steps=24, anchor=anchor).adapter
        return float((compose_queries(tiny_backbone, inversion, features, prompts * 8, adapter) * base).sum(1).mean())

    assert nearness(50.0) > nearness(0.0) + 0.05


@pytest.mark.parametrize(
    "training",
    [
        {"beta": 2.0},
        {"beta": 2.0, "scope": "bank"},
        {"anchor": 3.0, "beta": 0.0},
        {"symmetric": True, "noise": 0.1},
        {"reference_negatives": True, "balance": 0.0},
    ],
)
def test_every_objective_trains(training: dict[str, Any], train: Callable[..., TrainedAdapter]) -> None:
    plain = train(steps=3)
    other = train(steps=3, **training)
    assert np.isfinite(other.history.loss).all()
    assert state_digest(other.adapter) != state_digest(plain.adapter)


def test_what_a_run_tells(trained: TrainedAdapter, tiny_backbone: Any, inversion: Pic2Word) -> None:
    own = sum(p.numel() for p in trained.adapter.parameters())
    rest = tiny_backbone.parameter_count()
    assert (trained.trainable, trained.parameters, trained.triplets) == (own, rest, 64)
    assert trained.share == own / rest and trained.seconds > 0
    assert trained.history.step[-1] == QUICK.steps and not trained.adapter.training
    assert all(len(usage) == SHAPE.experts for usage in trained.history.usage)
    assert all(0 <= accuracy <= 1 for accuracy in trained.history.accuracy)


def test_progress_counts_steps(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features
) -> None:
    from motacli.console import NullProgress

    class Counting(NullProgress):
        seen = 0

        def track(self, items: Any, description: Any = "", total: int | None = None) -> Any:
            for item in items:
                yield item
                if callable(description):  # the line before the bar says how training goes
                    self.seen += 1
                    assert ("training" if self.seen < 10 else "loss") in description()

    progress = Counting()
    options = replace(QUICK, steps=14)
    train_run(tiny_backbone, inversion, triplets, features, MotaAdapter, SHAPE, options, progress)
    assert progress.seen == 14


def test_missing_features_are_counted(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features
) -> None:
    pictures = list(dict.fromkeys(t.image for t in triplets))
    kept = [id for id in features.ids if id not in pictures[3:6]]
    fewer = Features(kept, features.features(kept), features.fingerprint)
    with pytest.raises(DataError, match=rf"3 of the triplets' {len(pictures)} pictures .* first is '{pictures[3]}'"):
        train_run(tiny_backbone, inversion, triplets, fewer, MotaAdapter, SHAPE, QUICK)


def test_features_of_another_backbone_are_refused(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features
) -> None:
    strange = Features(features.ids, features.values, "0123456789abcdef")
    with pytest.raises(DataError, match="0123456789abcdef"):
        train_run(tiny_backbone, inversion, triplets, strange, MotaAdapter, SHAPE, QUICK)


def test_features_go_to_their_triplets(triplets: list[Triplet], features: Features, tiny_backbone: Any) -> None:
    from motacli.adapters.run import image_features

    rows = image_features(tiny_backbone, triplets, features)
    expected = np.stack([features.values[features.ids.index(t.image)] for t in triplets])
    assert np.array_equal(rows.numpy(), expected)


def test_broken_features_and_settings(
    tiny_backbone: Any, inversion: Pic2Word, triplets: list[Triplet], features: Features
) -> None:
    values = features.values.copy()
    values[2, 3] = np.nan
    broken = Features(features.ids, values, features.fingerprint)
    with pytest.raises(DataError, match="NaN"):
        train_run(tiny_backbone, inversion, triplets, broken, MotaAdapter, SHAPE, QUICK)
    with pytest.raises(DataError, match="too few"):
        train_run(tiny_backbone, inversion, triplets[:1], features, MotaAdapter, SHAPE, QUICK)
    with pytest.raises(UsageError, match="0 steps"):
        train_run(tiny_backbone, inversion, triplets, features, MotaAdapter, SHAPE, replace(QUICK, steps=0))
    with pytest.raises(MotaError, match="not finite"):
        train_run(tiny_backbone, inversion, triplets, features, MotaAdapter, SHAPE, replace(QUICK, lr=1e25, warmup=0))


# ---------------------------------------------------------------------------------------------- on disk


@pytest.fixture
def folder(tmp_path: Path, trained: TrainedAdapter, tiny_backbone: Any, inversion: Pic2Word) -> Path:
    with RunDir.create(tmp_path / "run") as run:
        write_run(run, trained, tiny_backbone, inversion, {"triplets": "abc"})
    return tmp_path / "run"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "adapter.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_loaded_adapter_composes_the_same_queries(
    folder: Path, host: PluginHost, trained: TrainedAdapter, tiny_backbone: Any, inversion: Pic2Word
) -> None:
    loaded: Any = load_adapter(host, folder, tiny_backbone, inversion)
    assert loaded.options == SHAPE and not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    image = torch.randn(2, 128, generator=torch.Generator().manual_seed(3))
    prompts = [[Prompt("a photo of", "that is green")], [Prompt("a photo of", "that has no star beside it")]]
    one, other = (compose_queries(tiny_backbone, inversion, image, prompts, a) for a in (trained.adapter, loaded))
    assert torch.equal(one, other)


def test_a_run_folder_is_complete(folder: Path, tiny_backbone: Any, inversion: Pic2Word) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"adapter.safetensors", "adapter.json", "metrics.json", "provenance.json"}
    record = read_adapter_record(folder)
    assert (record.adapter, record.inversion.name, record.inversion.digest) == (
        "mota",
        "pic2word",
        state_digest(inversion),
    )
    assert record.backbone.fingerprint == tiny_backbone.fingerprint()
    assert record.about["training"]["steps"] == QUICK.steps
    digests = json.loads((folder / "provenance.json").read_text())["digests"]
    assert digests["triplets"] == "abc" and digests["adapter"] == record.sha256
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["loss"] == metrics["history"]["loss"][-1] and metrics["steps"] == QUICK.steps


def test_another_backbone_is_refused(
    folder: Path, host: PluginHost, tiny_backbone: Any, inversion: Pic2Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_backbone, "_fingerprint", "f" * 16)
    with pytest.raises(UsageError, match=r"trained on backbone 'tiny'.*ffffffffffffffff") as caught:
        load_adapter(host, folder, tiny_backbone, inversion)
    assert "--model" in caught.value.hint


def test_another_inversion_is_refused(folder: Path, host: PluginHost, tiny_backbone: Any) -> None:
    for other in (Pic2Word(joint_dim=128, text_width=160), Searle(joint_dim=128, text_width=160)):
        with pytest.raises(UsageError, match="trained on inversion 'pic2word'") as caught:
            load_adapter(host, folder, tiny_backbone, other)
        assert other.name in caught.value.message and "--inversion" in caught.value.hint


def test_without_a_digest_the_name_decides(
    tmp_path: Path, host: PluginHost, trained: TrainedAdapter, tiny_backbone: Any
) -> None:
    save_adapter(tmp_path, trained.adapter, inversion="pic2word", backbone=tiny_backbone, about={})
    load_adapter(host, tmp_path, tiny_backbone, Pic2Word(joint_dim=128, text_width=160))
    with pytest.raises(UsageError, match="trained on inversion 'pic2word'"):
        load_adapter(host, tmp_path, tiny_backbone, Searle(joint_dim=128, text_width=160))


def test_a_damaged_file_is_noticed(folder: Path, host: PluginHost, tiny_backbone: Any, inversion: Pic2Word) -> None:
    path = folder / "adapter.safetensors"
    bytes = bytearray(path.read_bytes())
    bytes[-1] ^= 1
    path.write_bytes(bytes)
    with pytest.raises(DataError, match="checksum") as caught:
        load_adapter(host, folder, tiny_backbone, inversion)
    assert "train the adapter again" in caught.value.hint


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter.json"])
def test_missing_files_are_named(
    name: str, folder: Path, host: PluginHost, tiny_backbone: Any, inversion: Pic2Word
) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        load_adapter(host, folder, tiny_backbone, inversion)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda r: r.update(format=2), DataError, "format 2 is not 1"),
        (lambda r: r.pop("format"), DataError, "format None"),
        (lambda r: r.pop("inversion"), DataError, "'inversion' is missing"),
        (lambda r: r["backbone"].pop("fingerprint"), DataError, "'fingerprint' is missing"),
        (lambda r: r.update(adapter="moto"), UsageError, "did you mean 'mota'"),
        (lambda r: r["options"].update(expert=3), UsageError, "did you mean 'experts'"),
        (lambda r: r["options"].update(experts="many"), UsageError, "experts must be an integer"),
        (lambda r: r["options"].update(mdm="none"), DataError, "mdm.* is unknown"),
        (lambda r: r["options"].update(experts=3), DataError, r"shape \(2, "),
        (lambda r: r["options"].update(experts=1), DataError, "prompts.* (is unknown|has shape)"),
    ],
)
def test_a_changed_record_is_noticed(
    change: Callable[[dict[str, Any]], object],
    error: type[MotaError],
    said: str,
    folder: Path,
    host: PluginHost,
    tiny_backbone: Any,
    inversion: Pic2Word,
) -> None:
    edit(folder, change)
    with pytest.raises(error, match=said):
        load_adapter(host, folder, tiny_backbone, inversion)


def test_a_plugins_adapter_is_found_by_its_name(
    tmp_path: Path, trained: TrainedAdapter, tiny_backbone: Any, inversion: Pic2Word
) -> None:
    class Theirs(MotaAdapter):
        name = "theirs"

    module = ModuleType("other")
    module.register_adapters = hookimpl(lambda register: register("theirs", Theirs))  # type: ignore[attr-defined]
    host = load_plugins(entry_points=[], modules={"other": module}, only=[])
    save_adapter(tmp_path, Theirs(tiny_backbone, SHAPE), inversion="pic2word", backbone=tiny_backbone, about={})
    assert isinstance(load_adapter(host, tmp_path, tiny_backbone, inversion), Theirs)
