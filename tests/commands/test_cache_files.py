"""`mota cache SOURCE`, and the commands below `mota cache`, from outside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.cli import build_app, main
from motacli.datasets import open_pictures
from motacli.plugins import PluginHost

WORDS = ("info", "verify", "repair", "merge", "export", "import")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "b").mkdir()
    for name in ("b/x.png", "b-1.png", "a.png", "c.png", "d.png", "e.png"):
        Image.new("RGB", (8, 8), (ord(name[0]), 9, len(name))).save(folder / name)
    (folder / "c.png").write_bytes((folder / "c.png").read_bytes()[:50])
    return folder


@pytest.fixture
def run(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> Any:
    def called(*argv: object) -> tuple[int, str, str]:
        code = main(["cache", *map(str, argv)], host=host)
        return code, *capsys.readouterr()

    return called


@pytest.fixture
def made(pictures: Path, tmp_path: Path, run: Any) -> Path:
    code, _, err = run(pictures, "--model", "tiny", "--workers", 2, "-o", tmp_path / "f.h5")
    assert code == 0 and f"1 pictures could not be read: {tmp_path}/f.h5.errors.jsonl" in err
    return tmp_path / "f.h5"


def test_a_folder_of_pictures(made: Path, pictures: Path, run: Any, tmp_path: Path) -> None:
    cache = FeatureCache(made)
    assert cache.ids == ("a.png", "b-1.png", "b/x.png", "d.png", "e.png") and not cache.has_captions
    (record,) = map(json.loads, Path(f"{made}.errors.jsonl").read_text().splitlines())
    assert record["id"] == "c.png" and record["path"] == str(pictures / "c.png") and "truncated" in record["reason"]
    code, printed, _ = run(pictures, "-o", made, "--json")  # the same again
    assert code == 0 and json.loads(printed)[0]["skipped"] == 1
    code, printed, err = run(pictures, "-o", tmp_path / "g.h5", "--strict")
    assert (code, printed) == (1, "") and "c.png" in err and not (tmp_path / "g.h5").exists()


def test_captions_are_encoded_where_there_are_some(pictures: Path, run: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(pictures, tmp_path / "in")
    for picture in folder.rglob("*.png"):
        picture.with_suffix(".txt").write_text(f"picture {picture.stem}")
    assert run(folder, "-o", tmp_path / "f.h5")[0] == 0
    assert FeatureCache(tmp_path / "f.h5").captions(["d.png"]) == ("picture d",)
    (folder / "d.txt").unlink()
    code, _, err = run(folder, "-o", tmp_path / "g.h5")
    assert code == 1 and "d.png: no caption" in err


def test_shards_and_merge(pictures: Path, run: Any, tmp_path: Path, made: Path) -> None:
    shards = [tmp_path / f"{number}.h5" for number in (1, 2)]
    for number, shard in enumerate(shards, 1):
        assert run(pictures, "-o", shard, "--shard", f"{number}/2")[0] == 0
    code, printed, _ = run("merge", *shards, "-o", tmp_path / "m.h5", "--json")
    assert code == 0 and json.loads(printed) == [{"file": str(tmp_path / "m.h5"), "pictures": 5, "skipped": 1}]
    assert FeatureCache(tmp_path / "m.h5").ids == FeatureCache(made).ids
    assert Path(f"{tmp_path}/m.h5.errors.jsonl").read_bytes() == Path(f"{made}.errors.jsonl").read_bytes()


def test_info_and_verify(made: Path, run: Any) -> None:
    code, printed, _ = run("info", made, "--json")
    said = json.loads(printed)
    assert code == 0 and (said["state"], said["pictures"], said["skipped"], said["dim"]) == ("complete", 5, 1, 128)
    assert set(said["made_of"]) == {"weights", "precision", "preprocess", "transform"}
    code, printed, _ = run("verify", made, "--model", "tiny", "--json")
    assert code == 0 and json.loads(printed)["problems"] == []
    code, _, err = run("verify", made, "--model", "tiny", "--preprocess", "targetpad")
    assert code == 1 and "what differs: preprocess (clip, not targetpad)" in err
    with h5py.File(made, "r+") as file:
        file["features"][2] = 1
    code, _, err = run("verify", made)
    assert code == 1 and "rows 0 to 4 of 'features'" in err
    code, _, err = run("repair", made)
    assert code == 1 and "nothing of" in err


def test_export_and_import(made: Path, run: Any, tmp_path: Path) -> None:
    code, printed, _ = run("export", made, "-o", tmp_path / "x.npy", "--json")
    assert code == 0 and [Path(row["file"]).name for row in json.loads(printed)] == ["x.npy", "x.jsonl"]
    words = ("import", tmp_path / "x.npy", "--ids", tmp_path / "x.jsonl", "-o", tmp_path / "i.h5", "--model", "tiny")
    assert run(*words)[0] == 0
    assert FeatureCache(tmp_path / "i.h5").ids == FeatureCache(made).ids


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["x", "--data", "y"], "say what to encode"),
        (["x", "--shard", "5/4"], "is no shard"),
        (["x", "--shard", "1/4", "--append"], "--shard does not go with --append"),
        (["x", "--split", "val"], "--split does not go with SOURCE"),
        (["--benchmark", "cirr", "--data-root", "y", "--append"], "--append does not go with --benchmark"),
    ],
)
def test_wrong_words(argv: list[str], said: str, run: Any, tmp_path: Path) -> None:
    code, printed, err = run(*argv, "-o", tmp_path / "f.h5")
    assert (code, printed) == (2, "") and said in err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["", *WORDS])
def test_each_has_its_help(word: str, run: Any) -> None:
    code, printed, _ = run(*word.split(), "--help")
    assert code == 0 and f"mota cache {word}".strip() in printed and "[[" not in printed
    assert word or all(f"cache {other}" in " ".join(printed.split()) for other in ("info", "verify", "repair"))


def test_those_are_all(host: PluginHost) -> None:
    command: Any = build_app(host).commands["cache"]
    assert tuple(command.commands) == WORDS


def test_a_missing_file_is_told(run: Any, tmp_path: Path) -> None:
    for word in ("info", "verify", "repair"):
        code, _, err = run(word, tmp_path / "none.h5")
        assert code == 1 and "no such feature file" in err and not list(tmp_path.iterdir())


def test_what_is_finished_of_a_file_under_way(pictures: Path, tmp_path: Path, run: Any) -> None:
    class Interrupted:
        name, joint_dim, device, calls = "grey", 3, "cpu", 0

        def fingerprint(self) -> str:
            return "0" * 16

        def preprocess(self, image: Any) -> Any:
            return torch.zeros(3, 1, 1)

        def encode_image(self, pixels: Any) -> Any:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return torch.ones(len(pixels), 3)

    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build_cache(out, Interrupted(), open_pictures(pictures), batch_size=2, options=CacheOptions(strict=False))  # type: ignore[arg-type]
    code, printed, err = run("export", out, "-o", tmp_path / "part.h5", "--unfinished", "--json")
    assert code == 0 and json.loads(printed) == [{"file": str(tmp_path / "part.h5")}]
    assert "5 of 6 pictures are done, 4 of them have features" in err
    assert FeatureCache(tmp_path / "part.h5").ids == ("a.png", "b-1.png", "b/x.png", "d.png")
    code, printed, _ = run("export", out, "-o", tmp_path / "part.npy", "--unfinished", "--json")
    assert code == 0 and len(json.loads(printed)) == 2 and np.load(tmp_path / "part.npy").shape == (4, 3)
    code, _, err = run("export", out, "-o", tmp_path / "part.txt", "--unfinished")
    assert code == 2 and "cannot export to .txt" in err
    code, _, err = run("export", tmp_path / "part.h5", "-o", tmp_path / "again.h5", "--unfinished")
    assert code == 1 and "part.h5 is complete" in err
    assert sorted(file.name for file in tmp_path.iterdir() if file != out) == [
        "f.h5.partial",
        "part.h5",
        "part.h5.errors.jsonl",
        "part.jsonl",
        "part.npy",
    ]


def test_speed_that_costs_bits_is_asked_for_and_shown(pictures: Path, tmp_path: Path, run: Any) -> None:
    out = tmp_path / "f.h5"
    assert run(pictures, "-o", out, "--autocast", "bf16", "--device", "cpu")[0] == 0
    assert json.loads(run("info", out, "--json")[1])["computed"] == {"autocast": "bf16"}
    assert "autocast" in run("info", out)[1] and run("verify", out, "--model", "tiny")[0] == 0
    code, _, err = run(pictures, "-o", out, "--append", "--device", "cpu")
    assert code == 1 and "were computed in another way: autocast (bf16, not off)" in err
    code, _, err = run(pictures, "-o", tmp_path / "g.h5", "--decode", "processes")
    assert code == 2 and "--decode processes needs some (give --workers 1 or more)" in err.replace("\n", " ")
