"""Weights on disk: what comes back is what was written, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from motacli.errors import DataError
from motacli.runs import file_digest
from motacli.weights import load_weights, read_about, refuse_other_weights, save_weights


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "net.safetensors"
    save_weights(path, {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, {"kind": "net"})
    return path


def test_what_was_written_comes_back(path: Path) -> None:
    state = load_weights(path, "the net")
    assert torch.equal(state["a"], torch.arange(6.0).reshape(2, 3)) and sorted(state) == ["a", "b"]
    assert read_about(path) == {"kind": "net", "sha256": file_digest(path)}
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_weights_are_as_readable_as_their_record(path: Path) -> None:
    assert path.stat().st_mode == path.with_suffix(".json").stat().st_mode


def test_tensors_that_share_memory_or_are_views_are_written_whole(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    save_weights(tmp_path / "n.safetensors", {"a": base, "tied": base, "turned": base.T}, {})
    state = load_weights(tmp_path / "n.safetensors", "n")
    assert torch.equal(state["tied"], base) and torch.equal(state["turned"], base.T)


def test_a_changed_byte_is_noticed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"net\.safetensors does not match its checksum"):
        load_weights(path, "the net")


def test_missing_and_unreadable_files_are_named(path: Path) -> None:
    with pytest.raises(DataError, match="weights of the net are missing"):
        load_weights(path.with_name("other.safetensors"), "the net")
    with pytest.raises(DataError, match="are missing"):
        load_weights(path.parent, "the net")
    bare = path.with_name("bare.safetensors")
    bare.write_bytes(b"no weights at all")
    with pytest.raises(DataError, match=r"bare\.safetensors is not a readable safetensors file"):
        load_weights(bare, "the net")


@pytest.mark.parametrize(("text", "said"), [("{", "not valid JSON"), ("[]", "it holds list"), ("\xff", "valid JSON")])
def test_a_damaged_json_is_named(path: Path, text: str, said: str) -> None:
    path.with_suffix(".json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=said) as caught:
        load_weights(path, "the net", hint="do this")
    assert "net.json" in str(caught.value) and caught.value.hint == "do this"


def test_without_a_json_there_is_nothing_to_check(path: Path) -> None:
    path.with_suffix(".json").unlink()
    assert read_about(path) == {} and len(load_weights(path, "the net")) == 2


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": (2, 3)}, "1 wrong weights, the first: b is missing"),
        ({"a": (2, 3), "b": (2,), "c": (1,)}, "1 wrong weights, the first: c is unknown"),
        ({"a": (3, 2), "b": (1,)}, r"2 wrong weights, the first: a has shape \(3, 2\), not \(2, 3\)"),
    ],
)
def test_other_names_and_shapes_are_refused(found: dict[str, tuple[int, ...]], said: str) -> None:
    own = {"a": torch.zeros(2, 3), "b": torch.zeros(2)}
    with pytest.raises(DataError, match=said):
        refuse_other_weights(own, {key: torch.zeros(shape) for key, shape in found.items()}, Path("x.pt"))


def test_a_record_can_be_written_again(path: Path) -> None:
    save_weights(path, {"a": torch.zeros(1)}, {"kind": "other"})
    assert load_weights(path, "the net")["a"].shape == (1,)
    assert json.loads(path.with_suffix(".json").read_text())["kind"] == "other"
