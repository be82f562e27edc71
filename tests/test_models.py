"""From the words of the command line to models."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from motacli import hookimpl
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.inversions.data import recall_at_1
from motacli.inversions.files import WEIGHTS, save_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.pic2word import Pic2Word
from motacli.models import BackboneChoice, load_backbone, load_inversion, resolve_device
from motacli.plugins import PluginHost, load_plugins
from motacli.tiny import clip
from motacli.tiny.pretrain import to_tensor
from motacli.tiny.renderer import render
from motacli.tiny.world import sample_scenes


@pytest.fixture
def asked() -> list[tuple[Any, ...]]:
    """What the backbones of `recording` were asked for."""
    return []


@pytest.fixture
def recording(asked: list[tuple[Any, ...]], tiny_backbone: Any) -> PluginHost:
    """A host whose backbones are called tiny2 and open_clip2, and note what they are asked for."""
    module = ModuleType("recording")

    def register_backbones(register: Any) -> None:
        for name in ("tiny2", "open_clip2"):
            register(name, lambda *words, name=name, **more: asked.append((name, *words, more)) or tiny_backbone)

    module.register_backbones = hookimpl(register_backbones)  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"recording": module}, only=[])


@pytest.mark.parametrize(
    ("model", "component", "name"),
    [("tiny2", "tiny2", "tiny2"), ("tiny2:big", "tiny2", "big"), ("tiny2:hf-hub:a/b", "tiny2", "hf-hub:a/b")],
)
def test_words_reach_the_named_component(
    model: str, component: str, name: str, recording: PluginHost, asked: list[tuple[Any, ...]]
) -> None:
    load_backbone(recording, BackboneChoice(model, "weights.pt", "cpu", "fp16", "targetpad"))
    settings = {"device": "cpu", "precision": "fp16", "preprocessing": "targetpad"}
    assert asked == [(component, name, "weights.pt", settings)]


@pytest.mark.parametrize("model", ["ViT-B-32", "hf-hub:owner/model", "local-dir:/models/x"])
def test_everything_else_is_open_clips(
    model: str, monkeypatch: pytest.MonkeyPatch, host: PluginHost, tiny_backbone: Any
) -> None:
    seen: list[str] = []

    def load_open_clip(model: str, *words: Any, **more: Any) -> Any:
        seen.append(model)
        return tiny_backbone

    monkeypatch.setattr("motacli.backbones.load_open_clip", load_open_clip)
    load_backbone(host, BackboneChoice(model, device="cpu"))
    assert seen == [model]


@pytest.mark.parametrize(
    ("model", "said"),
    [("tinny", "did you mean 'tiny'"), ("tini:x", "unknown backbone 'tini' .*did you mean 'tiny'")],
)
def test_unknown_models(model: str, said: str, host: PluginHost) -> None:
    with pytest.raises(UnknownNameError, match=said):
        load_backbone(host, BackboneChoice(model, device="cpu"))


def test_the_default_choice_is_the_tiny_clip(host: PluginHost, tiny_backbone: Any) -> None:
    found = load_backbone(host, BackboneChoice(device="cpu"))
    assert found.fingerprint() == tiny_backbone.fingerprint() and found.device == torch.device("cpu")


@pytest.mark.parametrize("device", ["bogus", "meta", "cuda:99", ""])
def test_devices_that_are_not_there(device: str, host: PluginHost) -> None:
    with pytest.raises(UsageError, match=f"device {device!r} cannot be used") as caught:
        load_backbone(host, BackboneChoice(device=device))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_where_there_is_one(there: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("auto") == expected


# ---------------------------------------------------------------------------------------------- inversions


def network(build: Any = Pic2Word) -> Any:
    torch.manual_seed(0)
    return build(joint_dim=6, text_width=10, hidden=8)


def backbone(fingerprint: str = "f00d", **more: Any) -> Any:
    return SimpleNamespace(
        name="small",
        joint_dim=6,
        text_width=10,
        device=torch.device("cpu"),
        fingerprint=lambda: fingerprint,
        **more,
    )


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The folder of a run."""
    save_inversion(tmp_path / "run" / WEIGHTS, network(), backbone=backbone(), recipe={})
    return tmp_path / "run"


def is_the_network(phi: Any) -> bool:
    features = torch.randn(2, 6)
    return torch.equal(phi(features), network().eval()(features)) and not any(p.requires_grad for p in phi.parameters())


def test_a_runs_folder_and_its_file(trained: Path, host: PluginHost) -> None:
    assert is_the_network(load_inversion(host, str(trained), backbone()))
    assert is_the_network(load_inversion(host, "pic2word", backbone(), trained / WEIGHTS))
    with pytest.raises(UsageError, match="has weights of its own"):
        load_inversion(host, str(trained), backbone(), trained / WEIGHTS)
    with pytest.raises(UsageError, match="holds inversion 'pic2word', not 'lincir'"):
        load_inversion(host, "lincir", backbone(), trained / WEIGHTS)
    with pytest.raises(DataError, match="goes to --inversion"):
        load_inversion(host, "pic2word", backbone(), trained)


def test_a_registered_name_is_no_folder(trained: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    assert is_the_network(load_inversion(host, "run", backbone()))
    os.rename("run", "pic2word")
    with pytest.raises(UsageError, match="no weights"):
        load_inversion(host, "pic2word", backbone())
    assert is_the_network(load_inversion(host, "./pic2word", backbone()))


def test_folders_that_hold_no_run(tmp_path: Path, trained: Path, host: PluginHost) -> None:
    with pytest.raises(DataError, match=r"no inversion\.safetensors in it"):
        load_inversion(host, str(tmp_path), backbone())
    (trained / "inversion.json").unlink()
    with pytest.raises(DataError, match=r"no inversion\.json in it"):
        load_inversion(host, str(trained), backbone())
    (tmp_path / "late.partial").mkdir()
    with pytest.raises(DataError, match=r"late\.partial is an unfinished one"):
        load_inversion(host, str(tmp_path / "late"), backbone())


def test_weights_that_come_with_the_backbone(trained: Path, host: PluginHost) -> None:
    weights = {"pic2word": trained / WEIGHTS}
    assert is_the_network(load_inversion(host, "pic2word", backbone(inversion_weights=weights)))
    with pytest.raises(UsageError, match=r"trained on backbone 'small' \(f00d\), not on 'small' \(beef\)"):
        load_inversion(host, "pic2word", backbone("beef", inversion_weights=weights))
    with pytest.raises(UsageError, match="--inversion-weights, or train some with `mota train-inversion searle`"):
        load_inversion(host, "searle", backbone(inversion_weights=weights))


def test_given_weights_come_before_the_backbones(trained: Path, tmp_path: Path, host: PluginHost) -> None:
    torch.save(network().state_dict(), tmp_path / "given.pt")
    shipped = backbone(inversion_weights={"pic2word": tmp_path / "nowhere.safetensors"})
    assert is_the_network(load_inversion(host, "pic2word", shipped, tmp_path / "given.pt"))


@pytest.mark.parametrize("weights", ["hf-hub:owner/models/x.pt", Path("hf-hub:owner/models/x.pt")])
def test_weights_may_be_an_address(
    weights: Path | str, tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(network().state_dict(), tmp_path / "x.pt")
    copies = {"hf-hub:owner/models/x.pt": tmp_path / "x.pt"}
    monkeypatch.setattr("motacli.fetch.fetch_weights", copies.__getitem__)
    assert is_the_network(load_inversion(host, "pic2word", backbone(), weights))
    with pytest.raises(DataError, match="its weights are those of --inversion pic2word"):
        load_inversion(host, "lincir", backbone(), weights)


def test_unknown_inversions(host: PluginHost) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown inversion 'serle' .*did you mean 'searle'"):
        load_inversion(host, "serle", backbone())


def test_the_tiny_clip_ships_the_files_that_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.listdir(clip.WEIGHTS):
        if name.startswith(("clip.", "vocabulary.")):
            (tmp_path / name).symlink_to(clip.WEIGHTS / name)
    monkeypatch.setattr(clip, "WEIGHTS", tmp_path)
    assert clip.load_tiny().inversion_weights == {}
    phi = LinCIR(joint_dim=128, text_width=160)
    save_inversion(tmp_path / "lincir.safetensors", phi, backbone=clip.load_tiny(), recipe={})
    assert clip.load_tiny().inversion_weights == {"lincir": tmp_path / "lincir.safetensors"}
    other = clip.load_tiny(pretrained=str(tmp_path / "clip.safetensors"))
    assert other.inversion_weights == {}, "other weights have other inversions"


@pytest.mark.parametrize("name", clip.INVERSIONS)
def test_shipped_inversions_know_pictures_never_seen(name: str, tiny_backbone: Any, host: PluginHost) -> None:
    phi: Any = load_inversion(host, name, tiny_backbone)
    rng = np.random.default_rng(0)
    pictures = to_tensor(render(sample_scenes(rng, 150, "test"), rng))
    features = tiny_backbone.encode_image(pictures)
    assert phi.name == name and phi(features).shape == (150, 1, 160)
    assert recall_at_1(tiny_backbone, phi, features) > 0.9
