"""The network by itself, and through the command line: trained, evaluated and adapted on a tiny world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mota_example_inversion
import pytest
import torch
from mota_example_inversion.network import ATTRIBUTES, FineObjective, FineOptions, FineWords, overlap

from motacli import DataError, load_plugins
from motacli.cli import main
from motacli.inversions.data import PairFeatures
from motacli.testing import check_inversion
from motacli.tiny.clip import load_tiny
from motacli.tiny.make import make_pairs
from motacli.tiny.mini import write_fashioniq

HOST = load_plugins(entry_points=[], modules={"fine-words": mota_example_inversion})


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load_tiny()


def pairs(backbone: Any, count: int = 6) -> PairFeatures:
    captions = tuple(f"a red square number {number}" for number in range(count))
    text = backbone.encode_text(captions)
    return PairFeatures(
        text + 0.1 * torch.randn(text.shape, generator=torch.Generator().manual_seed(0)), captions, text
    )


def test_it_keeps_its_contract() -> None:
    check_inversion(FineWords, options=FineOptions(steps=3, batch_size=6, warmup=1))


def test_a_subject_and_attributes(backbone: Any) -> None:
    torch.manual_seed(0)
    phi = FineWords(joint_dim=backbone.joint_dim, text_width=backbone.text_width).eval()
    features = torch.randn(5, backbone.joint_dim)
    words = phi(features)
    assert words.shape == (5, 1 + ATTRIBUTES, backbone.text_width)
    torch.testing.assert_close(phi(7 * features), words)  # the size of a feature means nothing
    assert not torch.allclose(words[:, 1], words[:, 2])


def test_overlap_is_zero_where_attributes_are_orthogonal() -> None:
    assert overlap(torch.eye(3)[None] * 5) == 0
    assert overlap(torch.ones(2, 3, 4)) == pytest.approx(1)


def test_every_part_learns(backbone: Any) -> None:
    data, phi = pairs(backbone), FineWords(joint_dim=backbone.joint_dim, text_width=backbone.text_width)
    loss = FineObjective(backbone, data, FineOptions())(phi, torch.arange(6), torch.Generator())
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in phi.parameters())


def test_training_lowers_the_loss_and_is_repeatable(backbone: Any) -> None:
    options = FineOptions(steps=15, batch_size=6, warmup=1)
    (one, record), (two, _) = (FineWords.fit(backbone, pairs(backbone), options) for _ in range(2))
    assert record["history"]["loss"][-1] < record["history"]["loss"][0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_it_needs_both_pictures_and_captions(backbone: Any) -> None:
    data = pairs(backbone)
    with pytest.raises(DataError, match="trained on captions"):
        FineWords.fit(backbone, PairFeatures(data.image, (), data.text[:0]), FineOptions())
    with pytest.raises(DataError, match="trained on pictures"):
        FineWords.fit(backbone, PairFeatures(data.image[:0], data.captions, data.text), FineOptions())


@pytest.mark.parametrize(
    ("option", "said"),
    [("apart=1", "did you mean 'apart_weight'"), ("apart_weight=-1", "negative"), ("temperature=0", "positive")],
)
def test_options_are_checked(option: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path / "pairs", seed=1, count=4)
    argv = ["train-inversion", "fine-words", "--data", str(tmp_path / "pairs"), "--option", option]
    assert main([*argv, "--out", str(tmp_path / "phi")], host=HOST) == 2
    assert said in capsys.readouterr().err


def test_trained_evaluated_and_adapted_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def mota(*argv: str) -> str:
        code = main([*argv, "--quiet"], host=HOST)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    features, phi, triplets, adapter = (str(tmp_path / name) for name in ("f.h5", "phi", "t.jsonl", "adapter"))
    make_pairs(tmp_path / "pairs", seed=1, count=24)
    write_fashioniq(tmp_path / "world", 1, "val", queries=3)
    mota("cache", "--data", str(tmp_path / "pairs"), "--out", features)
    mota("train-inversion", "fine-words", "--features", features, "--steps", "3", "--batch-size", "8", "--out", phi)
    mota("gen-triplets", str(tmp_path / "pairs"), "--out", triplets)
    few = ["--steps", "2", "--batch-size", "8"]
    mota("train", "--inversion", phi, "--triplets", triplets, "--features", features, *few, "--out", adapter)
    argv = ["eval", "fashioniq", "--data-root", str(tmp_path / "world"), "--inversion", phi, "--json"]
    base, adapted = json.loads(mota(*argv)), json.loads(mota(*argv, "--adapter", adapter))
    assert base["units"]["fashioniq_average"]["metrics"] and adapted["units"]["fashioniq_average"]["metrics"]
    assert "fine-words" in json.dumps(base["weights"]) and "adapter" in json.dumps(adapted["weights"])
