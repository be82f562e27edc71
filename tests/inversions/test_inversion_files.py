"""Inversion networks on disk: what was saved comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from inversions.weight_files import Attack, backbone, module_keys, network, same, write
from safetensors.torch import save_file
from torch import nn

from motacli import __version__
from motacli.errors import DataError, UsageError
from motacli.inversions.files import WEIGHTS, read_inversion, read_record, save_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_inversion(
        tmp_path / WEIGHTS, network(), backbone=backbone(), recipe={"steps": 3}, quality={"recall_at_1": 0.5}
    )
    return tmp_path / WEIGHTS


@pytest.mark.parametrize("build", [Searle, LinCIR, Pic2Word])
def test_a_saved_network_comes_back(build: Any, tmp_path: Path) -> None:
    phi = network(build, hidden=9)
    save_inversion(tmp_path / "x.safetensors", phi, backbone=backbone(), recipe={})
    found = read_inversion(tmp_path / "x.safetensors", build, backbone())
    assert type(found) is build and same(found, phi)
    assert not found.training and not any(p.requires_grad for p in found.parameters())


def test_the_json_says_what_it_is(path: Path) -> None:
    record = read_record(path)
    assert record is not None
    assert (record.kind, record.name, record.joint_dim, record.text_width, record.hidden) == (
        "inversion",
        "searle",
        6,
        10,
        7,
    )
    assert (record.backbone.name, record.backbone.fingerprint) == ("small", "f00d")
    assert record.recipe == {"steps": 3} and record.quality == {"recall_at_1": 0.5} and record.mota == __version__


def test_other_backbones_and_inversions_are_refused(path: Path) -> None:
    with pytest.raises(UsageError, match=r"trained on backbone 'small' \(f00d\), not on 'small' \(beef\)"):
        read_inversion(path, Searle, backbone(fingerprint="beef"))
    with pytest.raises(UsageError, match="holds inversion 'searle', not 'lincir'"):
        read_inversion(path, LinCIR, backbone())


def test_damage_is_noticed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match="does not match its checksum"):
        read_inversion(path, Searle, backbone())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "tiny CLIP"}, "holds no inversion network: inversion.json calls it 'tiny CLIP'"),
        ({"format": 99}, "format 99 is not 1"),
        ({"joint_dim": "six"}, "joint_dim must be an integer"),
        ({"backbone": "small"}, "inversion.json: backbone must be"),
    ],
)
def test_a_changed_json_is_refused(path: Path, changes: dict[str, Any], said: str) -> None:
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**about, **changes}))
    with pytest.raises(DataError, match=said):
        read_inversion(path, Searle, backbone())


# ---------------------------------------------------------------------------------------------- the authors' files


@pytest.mark.parametrize(
    ("build", "wrap"),
    [
        (Searle, lambda state: {"epoch": 3, "Phi": OrderedDict(state)}),
        (LinCIR, lambda state: {"epoch": 3, "Phi": module_keys(state)}),
        (Pic2Word, lambda state: {"epoch": 1, "state_dict": {}, "state_dict_img2text": module_keys(state)}),
        (Pic2Word, lambda state: state),
        (Searle, module_keys),
    ],
)
def test_every_wrapper(build: Any, wrap: Any, tmp_path: Path) -> None:
    phi = network(build)
    torch.save(wrap(phi.state_dict()), tmp_path / "theirs.pt")
    assert same(read_inversion(tmp_path / "theirs.pt", build, backbone()), phi)


def test_a_plain_safetensors_file_is_taken_too(tmp_path: Path) -> None:
    phi = network()
    save_file(phi.state_dict(), tmp_path / "plain.safetensors")
    assert same(read_inversion(tmp_path / "plain.safetensors", Searle, backbone()), phi)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    phi = network().half()
    torch.save({"Phi": phi.state_dict()}, tmp_path / "half.pt")
    found = read_inversion(tmp_path / "half.pt", Searle, backbone())
    assert {p.dtype for p in found.parameters()} == {torch.float32} and same(found, phi.float())


@pytest.mark.parametrize(
    ("dims", "said"),
    [((8, 10), "maps features of 6 to words of 10, and backbone 'small' needs 8 to 10"), ((6, 12), "needs 6 to 12")],
)
def test_other_dimensions_are_refused(dims: tuple[int, int], said: str, path: Path, tmp_path: Path) -> None:
    torch.save({"Phi": network().state_dict()}, tmp_path / "x.pt")
    for file in (tmp_path / "x.pt", path):
        with pytest.raises(DataError, match=said):
            read_inversion(file, Searle, backbone(*dims))


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"Phi": network().state_dict(), "training_path": Attack(mark)}, tmp_path / "evil.pt")
    with pytest.raises(DataError, match=r"evil\.pt cannot be read as weights") as caught:
        read_inversion(tmp_path / "evil.pt", Searle, backbone())
    assert not mark.exists() and "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "cannot be read as weights"),
        (b"<html>not found</html>", "cannot be read as weights"),
        ([torch.zeros(1)], "holds list, not a table"),
        ({}, "no weights of an inversion network but nothing"),
        ({"epoch": 3, "optimizer": {}}, "no weights of an inversion network but epoch, optimizer"),
        ({"Phi": {"layers.0.weight": 3}}, "no weights of an inversion network"),
        ({"Phi": {"layers.0.weight": torch.zeros(7, 6)}}, "no matrix 'layers.6.weight'"),
        ({"Phi": {"layers.0.weight": torch.zeros(7), "x": torch.zeros(1)}}, "no matrix 'layers.0.weight'"),
        (network(Pic2Word).state_dict(), "holds no network like 'searle'"),
        ({**network().state_dict(), "layers.3.bias": torch.zeros(3)}, r"layers.3.bias has shape \(3,\), not \(7,\)"),
        ({**network().state_dict(), "more": torch.zeros(3)}, "more is unknown"),
        ({**network().state_dict(), "layers.3.bias": torch.full((7,), torch.nan)}, "layers.3.bias holds NaN"),
    ],
)
def test_what_is_not_a_network_is_refused(value: Any, said: str, tmp_path: Path) -> None:
    write(tmp_path / "x.pt", value)
    with pytest.raises(DataError, match=said) as caught:
        read_inversion(tmp_path / "x.pt", Searle, backbone())
    assert "x.pt" in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such weights file: .*x\.pt"):
        read_inversion(tmp_path / "x.pt", Searle, backbone())
    with pytest.raises(DataError, match="is a folder"):
        read_inversion(tmp_path, Searle, backbone())


# ---------------------------------------------------------------------------------------------- plugins' networks


class Mean(nn.Module):
    """A network without `sizes`: two pseudo-words."""

    name = "mean"

    def __init__(self, *, joint_dim: int, text_width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(joint_dim, 2 * text_width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (features @ self.matrix).unflatten(1, (2, -1))


def test_a_network_that_does_not_tell_its_sizes(tmp_path: Path) -> None:
    file = tmp_path / "mean.safetensors"
    save_inversion(file, Mean(joint_dim=6, text_width=10), backbone=backbone(), recipe={})
    record = read_record(file)
    assert record is not None and record.hidden is None
    assert read_inversion(file, Mean, backbone())(torch.ones(1, 6)).shape == (1, 2, 10)
    with pytest.raises(DataError, match=r"matrix has shape \(6, 20\), not \(8, 20\)"):
        read_inversion(file, Mean, backbone(joint_dim=8))
