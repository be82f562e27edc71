"""Records: complete or absent, never overwritten, and saying where they came from without giving secrets away."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from places import REPOSITORY

from motacli import MotaError, __version__
from motacli.config import read_config
from motacli.runs import RunDir, explain, file_digest, jsonable, new_file, provenance, write_json


def test_a_run_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"
    with RunDir.create(target) as run:
        run.write_json("metrics.json", {"R@1": np.float32(0.5)})
        run.file("rankings/a.txt").write_text("x")
        assert not target.exists() and run.work.name == "one.partial"
    assert json.loads((target / "metrics.json").read_text()) == {"R@1": 0.5}
    assert sorted(p.name for p in tmp_path.joinpath("runs").iterdir()) == ["one"]


def test_a_failed_run_stays_partial_and_can_be_resumed(tmp_path: Path) -> None:
    target = tmp_path / "one"
    with pytest.raises(RuntimeError), RunDir.create(target) as run:
        run.write_json("a.json", 1)
        raise RuntimeError
    assert not target.exists() and run.work.is_dir()
    with pytest.raises(MotaError, match=r"unfinished run is in the way.*--resume"):
        RunDir.create(target, resume=False)
    with pytest.raises(MotaError) as caught:
        RunDir.create(target)
    assert "--resume" not in caught.value.hint
    with RunDir.create(target, resume=True) as again:
        assert (again.work / "a.json").exists()
    assert (target / "a.json").exists()


def test_an_empty_partial_folder_is_cleared_away(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunDir.create(tmp_path / "one"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "full", "link"):
        with pytest.raises(MotaError, match="exists already"):
            RunDir.create(tmp_path / name)
    with pytest.raises(MotaError, match="exists already"), new_file(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "precious"


def test_a_run_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "one"
    with pytest.raises(MotaError, match="exists already"), RunDir.create(target) as run:
        run.write_json("a.json", 1)
        target.mkdir()
        (target / "theirs").touch()
    assert (target / "theirs").exists() and (run.work / "a.json").exists()


def test_an_empty_folder_made_beforehand_is_fine(tmp_path: Path) -> None:
    with RunDir.create(tmp_path) as run:
        run.write_json("a.json", 1)
    assert (tmp_path / "a.json").exists()


def test_new_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "t.jsonl"
    with new_file(target) as work:
        work.write_text("x")
        assert not target.exists()
    assert target.read_text() == "x" and list(target.parent.iterdir()) == [target]
    with pytest.raises(RuntimeError), new_file(tmp_path / "u") as work:
        work.write_text("half")
        raise RuntimeError
    assert not (tmp_path / "u").exists()


def test_config_can_be_run_again(tmp_path: Path) -> None:
    with RunDir.create(tmp_path / "one") as run:
        run.write_config("tiny build", {"batch_size": 3, "out": Path("x"), "data_root": Path("d"), "split": None})
    assert read_config(tmp_path / "one" / "config.json") == {"tiny": {"build": {"batch-size": 3, "data-root": "d"}}}


@dataclass(frozen=True)
class Record:
    name: str
    path: Path


def test_jsonable() -> None:
    value = {
        "array": np.arange(3, dtype=np.int64),
        "scalar": np.float16(0.5),
        "flag": np.bool_(True),
        "nan": float("nan"),
        "inf": np.float64("inf"),
        1: Record("r", Path("p")),
        "set": {"b", "a"},
    }
    assert jsonable(value) == {
        "array": [0, 1, 2], "scalar": 0.5, "flag": True, "nan": None, "inf": None,
        "1": {"name": "r", "path": "p"}, "set": ["a", "b"],
    }  # fmt: skip
    with pytest.raises(TypeError, match="object has no JSON form"):
        jsonable(object())


def test_write_json_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_json(tmp_path / "a.json", {"old": "é"})

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MotaError, match="no space left for"):
        write_json(path, {"new": 1})
    assert json.loads(path.read_text(encoding="utf-8")) == {"old": "é"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_an_impossible_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MotaError, match="file"):
        RunDir.create(tmp_path / "file" / "run")

    def denied(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(MotaError, match="no permission for"):
        RunDir.create(tmp_path / "run")


def test_explain_names_the_file_and_a_way_out() -> None:
    error = explain(OSError(errno.EROFS, "Read-only file system", "/x/y"))
    assert error.message == "/x/y is on a read-only file system" and error.hint


def test_file_digest(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    with pytest.raises(MotaError, match="missing"):
        file_digest(tmp_path / "missing")


def test_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    record = provenance(command=["mota", "eval"], plugins={"mine": "1"}, device="cpu", seed=3, digests={"w": "ab"})
    json.dumps(record)
    assert record["command"] == ["mota", "eval"] and record["seed"] == 3 and record["device"] == "cpu"
    versions = record["versions"]
    assert isinstance(versions, dict) and versions["mota"] == __version__ and {"python", "torch"} <= set(versions)
    assert (record["plugins"], record["digests"]) == ({"mine": "1"}, {"w": "ab"})


def test_provenance_does_not_import_torch() -> None:
    code = "import sys; from motacli.runs import provenance; provenance(); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["--api-key", "abc123"], ["--api-key", "***"]),
        (["--api-key=abc123"], ["--api-key=***"]),
        (["--hf_token", "abc123", "--seed", "1"], ["--hf_token", "***", "--seed", "1"]),
        (["https://me:pw@host/x"], ["https://***@host/x"]),
        (["--url=http://h/?a=1&api_key=s3"], ["--url=http://h/?a=1&api_key=***"]),
        (["--header", "Bearer topsecret99"], ["--header", "Bearer ***"]),
        (["--max-tokens", "7", "--monkey", "x"], ["--max-tokens", "7", "--monkey", "x"]),
        (["--token", "--json"], ["--token", "--json"]),
    ],
)
def test_secrets_are_redacted(command: list[str], wanted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "topsecret99")
    assert provenance(command=command)["command"] == wanted
