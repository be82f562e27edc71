"""Rows on disk: files survive kills, are made by one process alone, and are refused when damaged or foreign."""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from forked import finished, forked
from letters import TEXTS, Counted, Letters

import motacli
from motacli.adapters.frozen_store import FrozenStore
from motacli.adapters.kept_rows import Origin, Work
from motacli.console import NullProgress
from motacli.errors import DataError, MotaError


class Renamed(Letters):
    def fingerprint(self) -> str:
        return "another"


def made(folder: Path, backbone: Any = None) -> Path:
    """The file of `TEXTS` in a store."""
    FrozenStore(folder).texts(backbone or Letters(), TEXTS, 2)
    [path] = folder.iterdir()
    return path


def unfinished(folder: Path, batches: int = 2) -> Path:
    with pytest.raises(KeyboardInterrupt):
        FrozenStore(folder).texts(Counted(Letters(), batches), TEXTS, 2)  # type: ignore[arg-type]
    [path] = folder.iterdir()
    assert path.suffix == ".partial"
    return path


def test_a_file_says_what_made_it(tmp_path: Path) -> None:
    with h5py.File(made(tmp_path)) as file:
        said = dict(file.attrs)
    assert (said["kind"], said["format"], said["mota"]) == ("texts", 1, motacli.__version__)
    assert '"backbone": "letters"' in said["names"] and "12 distinct texts" in said["names"]
    assert '"backbone": "1e77e751e77e751e"' in said["made_of"] and len(said["sha256"]) == 64


# ---------------------------------------------------------------------------------------------- interruption


class Slow(Letters):
    """Takes its time, and is killed after two batches if it is to be."""

    calls = 0

    def __init__(self, last: float) -> None:
        super().__init__()
        self.last = last

    def encode_text(self, texts: Any) -> Any:
        self.calls += 1
        if self.calls > self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return super().encode_text(texts)


def compute(store: Path, last: float) -> None:
    """What a process of its own does: all texts, in six batches at most."""
    backbone = Slow(last)
    found = FrozenStore(store).texts(backbone, TEXTS, 2)  # type: ignore[arg-type]
    assert found[:, 0].tolist() == [len(text) for text in TEXTS] and backbone.calls == 6


def test_what_was_written_outlives_kill_9(tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = forked(compute, store, 2)
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    [part] = store.glob("*.partial")
    with h5py.File(part) as file:
        assert list(file["done"]) == [4]
    backbone: Any = Counted(Letters())
    found = FrozenStore(store).texts(backbone, TEXTS, 2)
    assert found[:, 0].tolist() == [len(text) for text in TEXTS] and backbone.texts == len(TEXTS) - 4
    assert [path.suffix for path in store.iterdir()] == [".h5"]


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    class Listening(NullProgress):
        def log(self, message: str) -> None:
            said.append(message)

    said: list[str] = []
    process, backbone = forked(compute, tmp_path, math.inf), Counted(Letters())
    while process.is_alive() and not list(tmp_path.glob("*.h5.partial")):
        time.sleep(0.002)
    found = FrozenStore(tmp_path).texts(backbone, TEXTS, 2, Listening())  # type: ignore[arg-type]
    finished(process)
    assert found[:, 0].tolist() == [len(text) for text in TEXTS] and backbone.texts == 0
    assert len(said) == 1 and said[0].startswith("waiting for another process")
    assert [path.suffix for path in tmp_path.iterdir()] == [".h5"]


def test_rows_that_were_not_counted_are_computed_again(tmp_path: Path) -> None:
    with h5py.File(unfinished(tmp_path), "r+") as file:
        file["rows"][4:6] = np.nan  # a batch that was cut off while it was written
    found = FrozenStore(tmp_path).texts(Letters(), TEXTS, 2)  # type: ignore[arg-type]
    assert found[:, 0].tolist() == [len(text) for text in TEXTS]


# ---------------------------------------------------------------------------------------------- refusals


def test_rows_of_another_shape_are_a_mistake(tmp_path: Path) -> None:
    work = Work(3, (2,), lambda: np.arange(3), lambda numbers: torch.ones(len(numbers), 1), 2, "computing")
    with pytest.raises(ValueError, match=r"\(2, 1\) is not \(2, 2\)"):
        FrozenStore(tmp_path).rows(Origin("own", {"a": 1}), work)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path)
    whole = path.read_bytes()
    cuts = [whole[:100], whole[: len(whole) // 2], b"not HDF5"]
    flips = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole) - 200, len(whole), 7)]
    expected = FrozenStore(tmp_path / "other").texts(Letters(), TEXTS, 2)  # type: ignore[arg-type]
    refused = 0
    for data in (*cuts, *flips):
        path.write_bytes(data)
        try:
            assert torch.equal(FrozenStore(tmp_path).texts(Letters(), TEXTS, 2), expected)  # type: ignore[arg-type]
        except DataError as error:
            assert str(path) in error.message and "remove it" in error.hint
            refused += 1
    assert refused > len(cuts)
    path.unlink()
    assert torch.equal(FrozenStore(tmp_path).texts(Letters(), TEXTS, 2), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["rows", "order"])
def test_a_changed_value_is_noticed(name: str, tmp_path: Path) -> None:
    with h5py.File(made(tmp_path), "r+") as file:
        file[name][3] = file[name][4]
    with pytest.raises(DataError, match="checksum"):
        FrozenStore(tmp_path).texts(Letters(), TEXTS)  # type: ignore[arg-type]


@pytest.mark.parametrize("finished", [True, False])
def test_a_file_of_something_else_is_never_used(finished: bool, tmp_path: Path) -> None:
    other = made(tmp_path / "a") if finished else unfinished(tmp_path / "a")
    path = made(tmp_path / "b", tiny := Renamed())
    place = path if finished else path.with_name(path.name + ".partial")
    path.unlink()
    shutil.copy(other, place)
    with pytest.raises(DataError, match=r"holds something else: texts of .*letters") as raised:
        FrozenStore(tmp_path / "b").texts(tiny, TEXTS, 2)  # type: ignore[arg-type]
    assert str(place) in raised.value.message and "remove it" in raised.value.hint
    with h5py.File(place, "w") as file:
        file["rows"] = [1.0]
    with pytest.raises(DataError, match="is no file of frozen features"):
        FrozenStore(tmp_path / "b").texts(tiny, TEXTS, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("done", 99), ("order", 0)])
def test_a_damaged_unfinished_file_does_not_go_on(name: str, value: int, tmp_path: Path) -> None:
    part = unfinished(tmp_path)
    with h5py.File(part, "r+") as file:
        file[name][0] = value
    with pytest.raises(DataError, match=r"partial is damaged.*remove it"):
        FrozenStore(tmp_path).texts(Letters(), TEXTS, 2)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MotaError, match="file"):
        FrozenStore(tmp_path / "file").texts(Letters(), TEXTS)  # type: ignore[arg-type]
