"""`mota train` from outside. Backbone, inversion and feature cache are those of the test; all else is real."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from motacli.adapters.files import load_adapter
from motacli.cli import main
from motacli.contracts import ImageRef, ImageText
from motacli.inversions.pic2word import Pic2Word
from motacli.plugins import PluginHost
from motacli.runs import file_digest
from motacli.tiny import grammar
from motacli.tiny.world import sample_scenes
from motacli.triplets.rules import RuleGenerator
from motacli.triplets.schema import write_triplets

FLAGS = ["--steps", "2", "--batch-size", "8", "--option", "experts=2", "--option", "depth=1"]


@pytest.fixture
def inversion(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Any) -> Pic2Word:
    """Stands in for `motacli.models` and `motacli.cache`."""
    torch.manual_seed(0)
    network = Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)

    class Features:
        fingerprint = tiny_backbone.fingerprint()
        ids = tuple(f"{i}.png" for i in range(12))

        def __init__(self, path: Path) -> None:
            assert path.is_file()

        def features(self, ids: Sequence[str]) -> np.ndarray:
            return (
                np.random.default_rng(0).standard_normal((12, 128)).astype(np.float32)[[self.ids.index(i) for i in ids]]
            )

    models, cache = ModuleType("motacli.models"), ModuleType("motacli.cache")
    models.BackboneChoice = lambda *words: words  # type: ignore[attr-defined]
    models.load_backbone = lambda host, choice: tiny_backbone  # type: ignore[attr-defined]
    models.load_inversion = lambda host, name, backbone, weights: network  # type: ignore[attr-defined]
    cache.FeatureCache = Features  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "motacli.models", models)
    monkeypatch.setitem(sys.modules, "motacli.cache", cache)
    return network


@pytest.fixture
def argv(tmp_path: Path, inversion: Pic2Word) -> list[str]:
    from random import Random

    words = Random(0)
    texts = [
        grammar.describe(s, words, grammar.THOROUGH).text for s in sample_scenes(np.random.default_rng(0), 12, "train")
    ]
    rows = [ImageText(ImageRef(f"{i}.png", Path("x")), text) for i, text in enumerate(texts)]
    write_triplets(tmp_path / "t.jsonl", (t for outcome in RuleGenerator().generate(rows) for t in outcome.triplets))
    (tmp_path / "f.h5").write_bytes(b"features")
    files = ["--triplets", str(tmp_path / "t.jsonl"), "--features", str(tmp_path / "f.h5")]
    return ["train", "--inversion", "pic2word", *files]


def test_a_run_can_be_used_and_repeated(
    argv: list[str],
    tmp_path: Path,
    host: PluginHost,
    inversion: Pic2Word,
    tiny_backbone: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*argv, *FLAGS, "--seed", "4", "--out", str(one), "--json"], host=host) == 0
    printed = json.loads(capsys.readouterr().out)
    names = {path.name for path in one.iterdir()}
    assert names == {"adapter.safetensors", "adapter.json", "config.json", "metrics.json", "provenance.json"}
    metrics = json.loads((one / "metrics.json").read_text())
    assert {**metrics, "out": str(one)} == {**printed, "history": metrics["history"]}
    provenance = json.loads((one / "provenance.json").read_text())
    assert provenance["seed"] == 4 and provenance["digests"]["triplets"] == file_digest(tmp_path / "t.jsonl")
    assert provenance["digests"]["features"] == file_digest(tmp_path / "f.h5")
    assert load_adapter(host, one, tiny_backbone, inversion).options.experts == 2  # type: ignore[attr-defined]

    assert main(["train", "--config", str(one / "config.json"), "--out", str(two)], host=host) == 0
    assert file_digest(two / "adapter.safetensors") == file_digest(one / "adapter.safetensors")
    assert json.loads((two / "config.json").read_text()) == json.loads((one / "config.json").read_text())


def test_files_of_several_domains(
    argv: list[str], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (tmp_path / "t.jsonl").read_bytes().splitlines(True)
    (tmp_path / "u.jsonl").write_bytes(b"".join(lines[:10]))  # the same ids: they need not be unique across files
    (tmp_path / "g.h5").write_bytes(b"more features")
    more = ["--triplets", str(tmp_path / "u.jsonl"), "--features", str(tmp_path / "g.h5")]
    pooled, mixed, again = (tmp_path / name for name in ("pooled", "mixed", "again"))
    assert main([*argv, *more, *FLAGS, "--out", str(pooled)], host=host) == 0
    assert "drawn" in capsys.readouterr().out
    assert main([*argv, *more, *FLAGS, "--mix", "0.25,0.75", "--out", str(mixed)], host=host) == 0
    metrics, other = (json.loads((run / "metrics.json").read_text()) for run in (mixed, pooled))
    assert metrics["domains"] == [
        {"source": str(tmp_path / "t.jsonl"), "triplets": len(lines), "share": 0.25, "drawn": 4},
        {"source": str(tmp_path / "u.jsonl"), "triplets": 10, "share": 0.75, "drawn": 12},
    ]
    assert metrics["triplets"] == len(lines) + 10 and sum(each["drawn"] for each in other["domains"]) == 16
    digests = json.loads((mixed / "provenance.json").read_text())["digests"]
    assert digests[f"triplets {tmp_path / 'u.jsonl'}"] == file_digest(tmp_path / "u.jsonl")
    assert digests[f"features {tmp_path / 'g.h5'}"] == file_digest(tmp_path / "g.h5")
    config = json.loads((mixed / "config.json").read_text())["train"]
    assert config["mix"] == "0.25,0.75" and len(config["triplets"]) == 2
    assert main(["train", "--config", str(mixed / "config.json"), "--out", str(again)], host=host) == 0
    assert file_digest(again / "adapter.safetensors") == file_digest(mixed / "adapter.safetensors")


def test_a_configuration_may_name_one_file_without_brackets(argv: list[str], tmp_path: Path, host: PluginHost) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'triplets = "{tmp_path}/t.jsonl"\n[train]\nfeatures = "{tmp_path}/f.h5"\n')
    words = ["train", "--config", str(config), "--inversion", "pic2word", *FLAGS, "--out", str(tmp_path / "run")]
    assert main(words, host=host) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["domains"][0]["share"] is None


def test_the_table_says_how_it_went(
    argv: list[str], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, *FLAGS, "--out", str(tmp_path / "run")], host=host) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert {"loss", "accuracy", "trainable_percent", "seconds"} <= set(head.split()) and len(row.split()) == len(
        head.split()
    )


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--option", "expert=2"], 2, "did you mean 'experts'"),
        (["--train-option", "balanc=2.0"], 2, "did you mean 'balance'"),
        (["--train-option", "steps=2"], 2, "--steps"),
        (["--adapter-type", "moto"], 2, "did you mean 'mota'"),
        (["--batch-size", "1"], 2, "--batch-size"),
        (["--option", "depth=99"], 2, "depth 99"),
        (["--triplets", "nowhere.jsonl"], 1, "no such triplets file"),
        (["--mix", "0.7,0.3"], 2, "2 shares (0.7,0.3) for 1 files"),
        (["--mix", "0.7;0.3"], 2, "no list of numbers"),
    ],
)
def test_mistakes_leave_nothing(
    flags: list[str],
    code: int,
    said: str,
    argv: list[str],
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(tmp_path.iterdir())
    assert main([*argv, *flags, "--quiet", "--out", str(tmp_path / "run")], host=host) == code
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
