"""The script that trains the shipped inversion networks, on a few pictures and for two steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from motacli.inversions.files import read_inversion
from motacli.inversions.pic2word import Pic2Word
from motacli.tiny import invert


def test_it_writes_what_the_package_ships(
    tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(invert, "ROWS", {"pic2word": 12, "lincir": 20})
    monkeypatch.setattr(invert, "read_recipe", lambda *given: {"epochs": 0, "steps": 2, "batch_size": 4})
    invert.train(["pic2word"], tmp_path)
    about = json.loads((tmp_path / "pic2word.json").read_text())
    assert (about["name"], about["recipe"]["rows"], about["recipe"]["pairs_seed"]) == ("pic2word", 12, invert.SEED)
    assert about["backbone"]["fingerprint"] == tiny_backbone.fingerprint() and set(about["quality"]) >= {"recall_at_1"}
    phi = read_inversion(tmp_path / "pic2word.safetensors", Pic2Word, tiny_backbone)
    assert phi(torch.zeros(1, 128)).dtype == torch.float32
    assert (tmp_path / "pic2word.safetensors").stat().st_size < 900_000, "half precision"
    assert "pic2word: " in capsys.readouterr().out


def test_pictures_are_drawn_and_encoded_once(
    tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = invert.training_pairs(tmp_path, tiny_backbone, 6)
    monkeypatch.setattr(invert, "make_pairs", None)
    monkeypatch.setattr(invert, "build_cache", None)
    assert torch.equal(invert.training_pairs(tmp_path, tiny_backbone, 6).image, first.image)
