"""`mota convert` from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from motacli.cli import main
from motacli.inversions import load_inversion
from motacli.inversions.files import WEIGHTS, read_record, save_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.phi import Phi
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle
from motacli.models import load_inversion as load_for
from motacli.plugins import PluginHost
from motacli.runs import file_digest


def network(build: Any = Phi, joint_dim: int = 128) -> nn.Module:
    torch.manual_seed(0)
    phi: nn.Module = build(joint_dim=joint_dim, text_width=160, hidden=32)
    return phi.eval()


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkpoint as SEARLE and LinCIR leave it."""
    torch.save({"epoch": 7, "Phi": network().state_dict()}, tmp_path / "released.pt")
    return tmp_path / "released.pt"


def run(argv: list[Any], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(["convert", *map(str, argv), "--device", "cpu"], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


FEATURES = torch.randn(4, 128, generator=torch.Generator().manual_seed(1))


def test_a_released_file_becomes_one_of_ours(
    released: Path, tmp_path: Path, host: PluginHost, tiny_backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "ours.safetensors"
    code, printed, _ = run([released, "--out", out, "--inversion", "lincir", "--json"], capsys, host)
    assert code == 0 and json.loads(printed) == {
        "out": str(out),
        "inversion": "lincir",
        "backbone": "tiny",
        "joint_dim": 128,
        "text_width": 160,
        "hidden": 32,
        "parameters": sum(p.numel() for p in network().parameters()),
        "dtype": "float32",
        "wrapper": "Phi",
        "epoch": 7,
        "megabytes": out.stat().st_size / 1e6,
    }
    record = read_record(out)
    assert record is not None and record.name == "lincir" and record.backbone.name == "tiny"
    assert record.backbone.fingerprint == tiny_backbone.fingerprint()
    digest = file_digest(released)
    assert record.recipe == {"converted_from": "released.pt", "sha256": digest, "wrapper": "Phi", "epoch": 7}
    for found in (load_inversion(out), load_for(host, "lincir", tiny_backbone, out)):
        assert type(found) is LinCIR and torch.equal(found(FEATURES), network()(FEATURES))


def test_pic2word_needs_no_name(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    states = {"state_dict": {"visual.proj": torch.zeros(2)}, "state_dict_img2text": network(Pic2Word).state_dict()}
    torch.save({"epoch": 30, **states}, tmp_path / "epoch_30.pt")
    out = tmp_path / "p.safetensors"
    code, printed, _ = run([tmp_path / "epoch_30.pt", "--out", out], capsys, host)
    head, row = printed.splitlines()
    assert code == 0 and head.split()[:4] == ["inversion", "backbone", "joint_dim", "text_width"]
    assert row.split()[:5] == ["pic2word", "tiny", "128", "160", "32"] and "state_dict_img2text  30" in row
    assert type(load_inversion(out)) is Pic2Word


def test_half_the_size(released: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for flags in ([], ["--half"]):
        out = tmp_path / f"{len(flags)}.safetensors"
        code, printed, _ = run([released, "--out", out, "--inversion", "searle", "--json", *flags], capsys, host)
        assert code == 0 and json.loads(printed)["dtype"] == ("float16" if flags else "float32")
        sizes[len(flags)] = out.stat().st_size
    assert sizes[1] < 0.55 * sizes[0]
    found = load_inversion(tmp_path / "1.safetensors")
    assert {p.dtype for p in found.parameters()} == {torch.float32}
    assert torch.equal(found(FEATURES), network().half().float()(FEATURES))


def test_our_own_files_and_folders_keep_their_recipe(
    tmp_path: Path, host: PluginHost, tiny_backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run" / WEIGHTS
    save_inversion(path, network(Searle), backbone=tiny_backbone, recipe={"steps": 3}, quality={"recall_at_1": 0.5})
    for number, place in enumerate((path, path.parent)):
        out = tmp_path / f"{number}.safetensors"
        assert run([place, "--out", out, "--half"], capsys, host)[0] == 0
        record = read_record(out)
        assert record is not None and record.name == "searle" and record.quality == {"recall_at_1": 0.5}
        assert record.recipe == {"converted_from": WEIGHTS, "sha256": file_digest(path), "recipe": {"steps": 3}}


@pytest.mark.parametrize(
    ("name", "flags", "code", "said"),
    [
        ("released.pt", [], 2, "is that of searle and lincir (give --inversion searle or --inversion lincir)"),
        ("released.pt", ["--inversion", "pic2word"], 1, "its weights are those of --inversion searle or lincir"),
        ("released.pt", ["--inversion", "serle"], 2, "did you mean 'searle'"),
        (
            "narrow.pt",
            ["--inversion", "searle"],
            1,
            "features of 64 to words of 160, and backbone 'tiny' needs 128",
        ),
        ("large.pt", ["--inversion", "searle", "--half"], 1, "too large for float16"),
        ("page.pt", ["--inversion", "searle"], 1, "it is a web page"),
        ("nowhere.pt", ["--inversion", "searle"], 1, "no such weights file"),
        ("released.pt", ["--inversion", "searle", "--out", "x.pt"], 2, "x.pt does not end in .safetensors"),
        ("hf-hub:only/two", ["--inversion", "searle"], 1, "names no file on the hub"),
    ],
)
def test_what_cannot_be_converted(
    name: str,
    flags: list[str],
    code: int,
    said: str,
    released: Path,
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(network(joint_dim=64).state_dict(), "narrow.pt")
    torch.save({key: value + 1e5 for key, value in network().state_dict().items()}, "large.pt")
    Path("page.pt").write_text("<html>not found</html>")
    before = sorted(Path().iterdir())
    got, out, err = run([name, "--out", "out.safetensors", *flags], capsys, host)
    assert (got, out) == (code, "") and said in err and err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_nothing_is_overwritten(
    released: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    for taken in ("x.safetensors", "x.json"):
        (tmp_path / taken).write_text("mine")
        argv = [released, "--out", tmp_path / "x.safetensors", "--inversion", "searle"]
        code, _, err = run(argv, capsys, host)
        assert code == 1 and f"{taken} exists already" in err and (tmp_path / taken).read_text() == "mine"
        (tmp_path / taken).unlink()
