"""Any file of an inversion network to the network: released ones, checkpoints, plain ones, our own, plugins'."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from inversions.weight_files import backbone, module_keys, network, same
from safetensors.torch import save_file
from torch import Tensor, nn

from motacli import hookimpl
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.inversions import load_inversion
from motacli.inversions.files import WEIGHTS, save_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.phi import Phi
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle
from motacli.inversions.sizes import Sizes
from motacli.plugins import PluginHost, load_plugins


@pytest.mark.parametrize(("name", "kind"), [("searle", Phi), ("lincir", Phi), ("pic2word", Pic2Word)])
def test_the_references_outputs(name: str, kind: type[nn.Module], shared: Path) -> None:
    path = shared / "golden" / "phi" / f"{name}.pt"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    phi, arrays = load_inversion(path), np.load(path.with_suffix(".npz"))
    assert type(phi) is kind and not phi.training and not any(p.requires_grad for p in phi.parameters())
    features = torch.from_numpy(arrays["input"])
    found = phi(features)
    assert found.shape == (6, 1, 64)
    np.testing.assert_allclose(found[:, 0].numpy(), arrays["output"], rtol=0, atol=1e-5)
    unit = phi(nn.functional.normalize(features, dim=1))[:, 0]
    np.testing.assert_allclose(unit.numpy(), arrays["output_l2_normalized_input"], rtol=0, atol=1e-5)


State = dict[str, Tensor]
OPTIMIZER = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]}
CLIP = {"visual.proj": torch.zeros(3, 4), "token_embedding.weight": torch.zeros(5, 4), "logit_scale": torch.tensor(1.0)}
WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "searle, lincir": lambda state: {"epoch": 3, "Phi": OrderedDict(state)},
    "on several GPUs": lambda state: {"epoch": 3, "Phi": module_keys(state)},
    "isearle": lambda state: {"epoch": 3, "Phi": state, "optimizer": OPTIMIZER, "scaler": {"scale": 2.0}},
    "pic2word": lambda state: {
        "epoch": 30,
        "name": "run",
        "state_dict": module_keys(CLIP),
        "state_dict_img2text": module_keys(state),
        "optimizer": OPTIMIZER,
    },
    "under another name": lambda state: {"step": 3, "network": state},
    "plain": lambda state: state,
    "plain, on several GPUs": module_keys,
    "half precision": lambda state: {"Phi": {key: value.half() for key, value in state.items()}},
}


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("build", [Phi, Pic2Word])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_of_both_networks(wrapping: str, build: Any, old_format: bool, tmp_path: Path) -> None:
    phi = network(build)
    path = tmp_path / "weights.pt"
    torch.save(WRAPPINGS[wrapping](phi.state_dict()), path, _use_new_zipfile_serialization=not old_format)
    found = load_inversion(path)
    assert type(found) is build and found.name == {Phi: "phi", Pic2Word: "pic2word"}[build]
    assert same(found, phi.half().float() if wrapping == "half precision" else phi)


@pytest.mark.parametrize("hidden", [1, 24, 512])
@pytest.mark.parametrize("build", [Phi, Pic2Word])
def test_any_width_and_text_paths(build: Any, hidden: int, tmp_path: Path) -> None:
    phi = network(build, hidden)
    torch.save(phi.state_dict(), tmp_path / "x.pt")
    features = torch.randn(3, 6)
    assert torch.equal(load_inversion(str(tmp_path / "x.pt"))(features), phi(features))


def test_safetensors_are_known_by_content(tmp_path: Path) -> None:
    for name in ("x.safetensors", "x.bin"):
        save_file(network().state_dict(), tmp_path / name)
        assert same(load_inversion(tmp_path / name), network())


def test_a_prefix_on_some_keys_is_part_of_their_names(tmp_path: Path) -> None:
    state = network().state_dict()
    state["module.layers.6.bias"] = state.pop("layers.6.bias")
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(DataError, match=r"2 wrong weights, the first: layers\.6\.bias is missing"):
        load_inversion(tmp_path / "x.pt")


# ---------------------------------------------------------------------------------------------- our own files


@pytest.mark.parametrize("build", [Searle, LinCIR, Pic2Word])
def test_our_own_files_say_which_they_are(build: Any, tmp_path: Path) -> None:
    path = tmp_path / "run" / WEIGHTS
    save_inversion(path, network(build), backbone=backbone(), recipe={})
    for place in (path, path.parent, str(path.parent)):
        found = load_inversion(place)
        assert type(found) is build and same(found, network(build)) and not found.training


def test_folders_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not the folder of a trained inversion"):
        load_inversion(tmp_path)


def test_a_json_of_other_sizes_is_refused(tmp_path: Path) -> None:
    save_inversion(tmp_path / "x.safetensors", network(), backbone=backbone(joint_dim=8), recipe={})
    with pytest.raises(DataError, match="maps features of 6 to 10, and its JSON says 8 to 10"):
        load_inversion(tmp_path / "x.safetensors")


# ---------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("address", ["hf-hub:owner/models/x.pt", "https://example.org/x.pt"])
@pytest.mark.parametrize("kind", [str, Path])
def test_addresses_are_fetched(
    address: str, kind: Callable[[str], Path | str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(network().state_dict(), tmp_path / "x.pt")
    asked: list[str] = []

    def fetch(address: str) -> Path:
        asked.append(address)
        return tmp_path / "x.pt"

    monkeypatch.setattr("motacli.fetch.fetch_weights", fetch)
    assert same(load_inversion(kind(address)), network())
    assert asked == [address]


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, motacli.inversions; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    with pytest.raises(ImportError, match="cannot import name 'save_everything'"):
        exec("from motacli.inversions import save_everything")


# ---------------------------------------------------------------------------------------------- plugins' networks


class Deep(nn.Module):
    """A plugin's network: keys like those of Phi, and two layers more."""

    name = "deep"

    def __init__(self, *, joint_dim: int, text_width: int, hidden: int) -> None:
        super().__init__()
        widths = [joint_dim, hidden, hidden, hidden, text_width]
        layers = [(nn.Linear(a, b), nn.GELU(), nn.Dropout()) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*[part for layer in layers for part in layer])

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor]) -> Sizes:
        return Sizes.of(state, first="layers.0.weight", last="layers.9.weight")

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(features)
        return out[:, None]


class Twin(nn.Module):
    """The same weights as `Deep`, and no relation."""

    name = "twin"
    sizes = Deep.sizes

    def __new__(cls, **sizes: int) -> Any:
        return Deep(**sizes)


class Sum(nn.Module):
    """A plugin's network without `sizes`."""

    name = "sum"

    def __init__(self, *, joint_dim: int, text_width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(joint_dim, text_width))

    def forward(self, features: Tensor) -> Tensor:
        return (features @ self.matrix)[:, None]


def with_plugin(**targets: Any) -> PluginHost:
    module = ModuleType("theirs")

    def register_inversions(register: Any) -> None:
        for name, target in targets.items():
            register(name, target)

    module.register_inversions = hookimpl(register_inversions)  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"theirs": module})


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Weights of a plugin's network, in the authors' wrapping."""
    torch.save({"epoch": 1, "Phi": network(Deep).state_dict()}, tmp_path / "deep.pt")
    return tmp_path / "deep.pt"


def test_a_plugins_network_is_found_by_its_weights(deep: Path) -> None:
    host = with_plugin(deep=Deep, broken="nowhere:Nothing", sum=Sum)
    found = load_inversion(deep, host)
    assert type(found) is Deep and same(found, network(Deep))
    with pytest.raises(DataError, match=r"wrong weights, the first: layers\.6\.weight|layers\.9\.weight is unknown"):
        load_inversion(deep)


def test_a_subclass_does_not_take_phis_files_away(tmp_path: Path) -> None:
    class ISearle(Phi):
        name = "isearle"

    torch.save(network(Phi).state_dict(), tmp_path / "x.pt")
    assert type(load_inversion(tmp_path / "x.pt", with_plugin(isearle=ISearle))) is Phi


def test_networks_that_cannot_be_told_apart_are_named(deep: Path) -> None:
    with pytest.raises(UsageError, match=r"may hold any of deep, twin \(name the one it holds with --inversion"):
        load_inversion(deep, with_plugin(deep=Deep, twin=Twin))


def test_a_plugins_network_without_sizes_is_read_from_our_format(tmp_path: Path) -> None:
    path = tmp_path / "sum.safetensors"
    save_inversion(path, Sum(joint_dim=6, text_width=10), backbone=backbone(), recipe={})
    assert torch.equal(load_inversion(path, with_plugin(sum=Sum))(torch.ones(2, 6)), torch.full((2, 1, 10), 6.0))
    with pytest.raises(UnknownNameError, match="unknown inversion 'sum'"):
        load_inversion(path)
