"""Captions alone as training data: what a file holds, and features that are kept for just these captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motacli.datasets import read_captions
from motacli.encoding import encode_texts
from motacli.errors import DataError, UsageError
from motacli.inversions import sources
from motacli.inversions.sources import TrainingData, caption_features


@pytest.mark.parametrize(
    ("name", "text", "captions"),
    [
        ("c.txt", " a dot \n\ntwo\n", ["a dot", "two"]),
        ("c.csv", 'caption,x\n"a, b",1\nc,2\n', ["a, b", "c"]),
        ("c.tsv", 'image\tcaption\na.png\t"quoted start\n', ['"quoted start']),
        ("c.jsonl", '{"text": "x"}\n\n{"text": "y"}\n', ["x", "y"]),
    ],
)
def test_every_kind_of_file(name: str, text: str, captions: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_captions(tmp_path / name) == captions


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.txt", "\n \n", "holds no caption"),
        ("c.csv", "a,b\n1,2\n", "no caption column"),
        ("c.csv", "caption,b\n1\n", "c.csv:2: 1 fields"),
        ("c.jsonl", '{"caption": "x"}\n{"caption": 3}\n', "c.jsonl:2: no text in 'caption'"),
    ],
)
def test_mistakes_are_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_captions(tmp_path / name)


def test_kept_features_are_those_of_these_captions(
    tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SHARD", 2)
    captions = ["a red dot", "two stars", "a wall"]
    first = caption_features(tiny_backbone, captions, tmp_path)
    assert np.allclose(first.numpy(), encode_texts(tiny_backbone, captions), atol=1e-4)
    encoded: list[str] = []
    real = sources.encode_texts_shared
    monkeypatch.setattr(
        sources, "encode_texts_shared", lambda backbone, texts: encoded.extend(texts) or real(backbone, texts)
    )
    assert torch.equal(caption_features(tiny_backbone, captions, tmp_path), first) and encoded == []
    caption_features(tiny_backbone, [*captions[:2], "a floor"], tmp_path)
    assert encoded == ["a floor"], "a shard of other captions is made again"


def test_exactly_one_source(tmp_path: Path, tiny_backbone: Any) -> None:
    for data in (TrainingData(), TrainingData(images=tmp_path, captions=tmp_path)):
        with pytest.raises(UsageError, match="say what to train on"):
            data.load(tiny_backbone, tmp_path)
