"""Files that hold no inversion network, or a damaged one: each is told for what it is, and none of them is run."""

from __future__ import annotations

import io
import json
import pathlib
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inversions.weight_files import Attack, backbone, network, write
from PIL import Image
from safetensors.torch import save

from motacli.errors import DataError, MotaError
from motacli.inversions import load_inversion
from motacli.inversions.files import read_inversion, save_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle
from motacli.plugins import PluginHost


def saved(value: Any, **how: Any) -> bytes:
    """As torch saves it."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as into:
        for name, text in files.items():
            into.writestr(name, text)
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


STATE = dict(network().state_dict())
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 25\n"
OLD = saved({"Phi": STATE}, _use_new_zipfile_serialization=False)
NEW = saved({"Phi": STATE})
PLAIN = save(STATE)

FILES = {
    "empty": (b"", "it is empty"),
    "a web page": (b"\n<!DOCTYPE html><html><head>", "it is a web page, as a failed download leaves it"),
    "a page with a byte order mark": ("\ufeff<html>".encode(), "it is a web page"),
    "a pointer": (POINTER, r"it is a pointer of git-lfs.*git lfs pull"),
    "a PNG": (picture("PNG"), "it is a picture"),
    "a JPEG": (picture("JPEG"), "it is a picture"),
    "a GIF": (picture("GIF"), "it is a picture"),
    "a WebP picture": (picture("WEBP"), "it is a WebP picture"),
    "a PDF": (b"%PDF-1.7\n%\xb5", "it is a PDF"),
    "features": (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file"),
    "an array": (array(), "it is a NumPy array"),
    "gzip": (b"\x1f\x8b\x08\0", "it is a gzip archive"),
    "a zip archive": (archive(a="1", b="2", c="3", d="4"), r"it is a zip archive of a, b, c, \.\.\. \(unpack it"),
    "JSON": (b'{"kind": "inversion", "name": "searle"}', r"it is text that begins with '{\"kind\": \"inversion"),
    "words": ("naïve – ".encode() * 90, "it is text that begins with 'naïve – "),
    "other bytes": (bytes(range(256)), "it is damaged, or no file that torch or safetensors wrote"),
    "cut in the middle": (NEW[: len(NEW) // 2], "it is damaged or cut short"),
    "cut before its end": (NEW[:-30], "it is damaged or cut short"),
    "cut, in torch's old format": (OLD[: len(OLD) // 2], "it is damaged, or no file that torch"),
    "a program": (archive(**{"x/constants.pkl": "", "x/data.pkl": ""}), "it is a TorchScript program"),
}
"""Bytes of a ``.pt`` file, and what is said of it."""


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_read_are_told_for_what_they_are(name: str, tmp_path: Path) -> None:
    data, said = FILES[name]
    with pytest.raises(DataError, match=rf"x\.pt cannot be read as weights: {said}") as caught:
        load_inversion(write(tmp_path / "x.pt", data))
    assert caught.value.hint and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (POINTER, "it is a pointer of git-lfs"),
        (b"no weights at all", "it is text that begins with 'no weights at all'"),
        (PLAIN[:-5], "is not a readable safetensors file"),
        (PLAIN[:40], "it is damaged, or no file"),
        ((9).to_bytes(8, "little") + b"{garbage}" + bytes(30), "is not a readable safetensors file"),
        (NEW, r"it is a checkpoint of torch by another name \(let it end in \.pt\)"),
    ],
)
def test_damaged_safetensors(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as caught:
        load_inversion(write(tmp_path / "x.safetensors", data))
    assert "x.safetensors" in str(caught.value)


# ---------------------------------------------------------------------------------------------- code


def with_attack(mark: Path) -> dict[str, Any]:
    return {"Phi": STATE, "training_path": Attack(mark)}


@pytest.mark.parametrize(
    "wrap",
    [
        with_attack,
        Attack,
        lambda mark: {"Phi": {**STATE, "layers.6.bias": Attack(mark)}},
        lambda mark: {Attack(mark): STATE},
    ],
)
@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("name", ["x.pt", "x.safetensors", "x"])
def test_no_code_of_a_file_is_run(wrap: Callable[[Path], Any], old_format: bool, name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    data = saved(wrap(mark), _use_new_zipfile_serialization=not old_format)
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_inversion(write(tmp_path / name, data))
    with pytest.raises(DataError, match="cannot be read as weights"):
        read_inversion(tmp_path / name, Searle, backbone())
    assert not mark.exists()


def test_the_attack_would_have_worked(tmp_path: Path) -> None:
    torch.load(io.BytesIO(saved(with_attack(tmp_path / "ran"))), weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("value", "named"),
    [(pathlib.PurePosixPath("/data/1"), "pathlib"), (np.float64(0.1), "numpy"), (Namespace(lr=1), "Namespace")],
)
def test_a_training_checkpoint_with_more_than_tensors_says_what_to_do(value: Any, named: str, tmp_path: Path) -> None:
    path = write(tmp_path / "phi_last.pt", {"epoch": 3, "Phi": STATE, "training_path": value})
    with pytest.raises(DataError, match=rf"it holds more than tensors: loading it would run \S*{named}") as caught:
        load_inversion(path)
    hint = caught.value.hint
    assert "only tensors are read, never code: ask whoever made 'phi_last.pt'" in hint and len(str(caught.value)) < 400
    torch.save({"Phi": STATE}, tmp_path / "phi.pt")  # what the hint asks for
    assert load_inversion(tmp_path / "phi.pt").name == "phi"  # type: ignore[comparison-overlap]


# ---------------------------------------------------------------------------------------------- weights of other things

CLIP = {"visual.proj": torch.zeros(3, 4), "token_embedding.weight": torch.zeros(5, 4), "logit_scale": torch.ones(())}
TOWER = {"text_model.embeddings.token_embedding.weight": torch.zeros(5, 4), "text_projection.weight": torch.zeros(3, 4)}


def changed(**changes: Any) -> dict[str, Any]:
    return {**STATE, **{key.replace("_", "."): value for key, value in changes.items()}}


WEIGHTS = {
    "nothing": ({}, "holds no weights of an inversion network but nothing"),
    "a list": ([torch.zeros(1)], "holds list, not a table of weights"),
    "SEARLE's optimised words": (torch.zeros(3, 10), r"holds Tensor of shape \(3, 10\), not a table of weights"),
    "an optimizer": ({"epoch": 3, "optimizer": {}}, r"but epoch, optimizer .*expected a state dict.*'Phi'"),
    "no tensors": ({"Phi": {"layers.0.weight": 3}}, "no weights of an inversion network but layers.0.weight"),
    "RTD's text tower": (
        {"epoch": 5, "CLIPTextModelWithProjection": TOWER},
        "holds the weights of a CLIP text tower of the transformers library, as RTD trains it",
    ),
    "a CLIP of transformers": (
        {**TOWER, "vision_model.post_layernorm.bias": torch.zeros(3)},
        r"a whole CLIP of the transformers library \(expected those of an inversion network: pic2word, searle, lincir",
    ),
    "a CLIP": (CLIP, "holds the weights of a whole CLIP "),
    "a CLIP in training": ({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in CLIP.items()}}, "a whole CLIP "),
    "a custom CLIP": (
        {"visual.proj": torch.zeros(3, 4), "text.token_embedding.weight": torch.zeros(5, 4)},
        "a whole CLIP with a text tower of its own",
    ),
    "a text tower": ({"token_embedding.weight": torch.zeros(5, 4)}, "holds the weights of a CLIP text tower "),
    "something else": ({f"gate.{i}": torch.zeros(1) for i in range(9)}, r"called gate.0, gate.1, gate.2, \.\.\."),
    "a missing layer": ({"layers.0.weight": torch.zeros(7, 6)}, "weights called layers.0.weight "),
    "vectors for matrices": (changed(layers_0_weight=torch.zeros(7)), "weights called layers.0.weight, "),
    "a last layer that does not fit": (changed(layers_6_weight=torch.zeros(10, 9)), "weights called layers.0.weight, "),
    "a middle layer that does not fit": (
        changed(layers_3_weight=torch.zeros(7, 9)),
        r"1 wrong weights, the first: layers\.3\.weight has shape \(7, 9\), not \(7, 7\)",
    ),
    "one weight too many": (changed(more=torch.zeros(3)), "the first: more is unknown"),
    "a width beyond any memory": (
        changed(layers_0_weight=torch.zeros(10**6, 1), layers_6_weight=torch.zeros(1, 10**6)),
        r"wrong weights, the first: layers\.0\.bias has shape \(7,\), not \(1000000,\)",
    ),
    "NaN": (changed(layers_3_bias=torch.full((7,), torch.nan)), r"layers\.3\.bias holds NaN or infinity"),
    "infinity": (changed(layers_3_bias=torch.full((7,), torch.inf).half()), r"layers\.3\.bias holds NaN or infinity"),
    "sparse weights": (changed(layers_3_bias=torch.ones(7).to_sparse()), r"layers\.3\.bias is not stored as plain"),
    "weights left out": (
        changed(layers_3_bias=torch.ones(7, device="meta")),
        r"layers\.3\.bias is not stored as plain",
    ),
}
"""What torch saved in a ``.pt`` file, and what is said of it."""


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_other_things_are_told_for_what_they_are(name: str, tmp_path: Path) -> None:
    value, said = WEIGHTS[name]
    with pytest.raises(DataError, match=said) as caught:
        load_inversion(write(tmp_path / "x.pt", value))
    assert "x.pt" in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            network(Pic2Word).state_dict(),
            r"no network like 'lincir': .* \(its weights are those of --inversion pic2word",
        ),
        (CLIP, r"no network like 'lincir': .* \(it holds the weights of a whole CLIP\)"),
    ],
)
def test_a_wrong_name_is_set_right(value: Any, said: str, tmp_path: Path, host: PluginHost) -> None:
    with pytest.raises(DataError, match=said):
        read_inversion(write(tmp_path / "x.pt", value), LinCIR, backbone(), host)


def test_an_adapter_is_told_by_its_json(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    save_inversion(path, network(), backbone=backbone(), recipe={})
    path.with_suffix(".json").write_text(json.dumps({"format": 1, "adapter": "mota"}))
    with pytest.raises(DataError, match=r"adapter\.json calls it an adapter .*goes to --adapter"):
        load_inversion(path)


@pytest.mark.parametrize("old_format", [False, True])
def test_no_damage_to_any_byte_is_an_unexpected_error(old_format: bool, tmp_path: Path) -> None:
    good, rng = OLD if old_format else NEW, np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for at in rng.integers(0, min(len(good), 900), size=3):
            data[at] = rng.integers(256)
        try:
            load_inversion(write(tmp_path / "x.pt", bytes(data)))
        except MotaError:
            refused += 1
    assert refused > 50
