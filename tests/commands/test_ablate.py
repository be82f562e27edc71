"""`mota ablate` from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ablation.small_grid import copied, jobs

from motacli.ablation import output
from motacli.cli import main
from motacli.demo.recipe import Layout
from motacli.plugins import PluginHost

QUICK = ["--train-option", "steps=2", "--train-option", "batch-size=16"]
ONE = ["--inversion", "lincir", "--seeds", "0", "--vary", "experts=1,4", *QUICK]
FEW = ["--benchmark", "cirr", "--benchmark", "circo"]


@pytest.fixture(scope="module", autouse=True)
def _no_figures() -> Iterator[None]:
    """They take a second each time; `test_ablation_run` looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "draw", lambda *given: ())
        yield


@pytest.fixture(scope="module")
def done(small_ablation: Path, tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Path:
    out = copied(small_ablation, tmp_path_factory.mktemp("command") / "ablation")
    assert main(["ablate", "--out", str(out), *ONE, *FEW, "--quiet"], host=host) == 0
    return out


def run(host: PluginHost, *words: object) -> int:
    return main(["ablate", *map(str, words)], host=host)


def test_json_is_a_list_of_rows(done: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(host, "--out", done, *ONE, *FEW, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3 * 2 and all(row["seeds"] == [0] and len(row["values"]) == 1 for row in rows)
    assert set(rows[0]) == {
        *("inversion", "variant", "benchmark", "metric", "mean", "std", "seeds", "values", "delta", "delta_std"),
        *("trainable", "seconds"),
    }
    assert rows == json.loads((done / "vary-experts" / "table.json").read_text())


def test_the_table(done: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(host, "--out", done, *ONE, *FEW) == 0
    said = capsys.readouterr()
    assert said.out.startswith("LinCIR ") and "experts=1" in said.out and "CIRCO mAP@10" in said.out
    assert "all 3 jobs are done" in said.err and "full is experts=4" in said.err and "vary-experts" in said.err
    assert run(host, "--out", done, *ONE, *FEW, "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_a_dry_run_lists_and_does_nothing(
    done: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert run(host, "--out", out, "--dry-run", "--json", "--seeds", "0,1") == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == 3 * (1 + 5 * 2) and {row["state"] for row in listed} == {"to do"} and not out.exists()
    before = jobs(done)
    assert run(host, "--out", done, *ONE, *FEW, "--dry-run", "--json", "--vary", "mdm=none,conditional") == 0
    states = [row["state"] for row in json.loads(capsys.readouterr().out)]
    assert states.count("done") == 3 and states.count("to do") == 2 and jobs(done) == before


def test_own_data(
    small_ablation: Path, done: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """The world's own files, given by name, lead to the numbers of the world."""
    world = Layout(small_ablation / "world-0")
    files = ["--triplets", world.triplets, "--features", world.pair_features]
    for name in ("cirr", "circo"):
        files += ["--benchmark", name, "--data-root", world.benchmark(name)]
        files += ["--benchmark-features", world.features(name)]
    assert run(host, "--out", tmp_path / "own", *files, *ONE, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert run(host, "--out", done, *ONE, *FEW, "--json") == 0
    of_world = json.loads(capsys.readouterr().out)
    assert [(row["variant"], row["benchmark"]) for row in rows[:3]] == [
        ("base", "cirr"), ("base", "circo"), ("full", "cirr"),
    ]  # fmt: skip
    wanted = {(row["variant"], row["benchmark"]): row["mean"] for row in of_world}
    assert all(row["mean"] == wanted[row["variant"], row["benchmark"]] for row in rows)


def test_a_job_can_be_run_again_by_its_config(done: Path, tmp_path: Path, host: PluginHost) -> None:
    name = next(name for name in jobs(done) if "mota" in name)
    config = done / "jobs" / name / "config.json"
    assert main(["train", "--config", str(config), "--out", str(tmp_path / "again"), "--quiet"], host=host) == 0
    found = [(folder / "adapter.safetensors").read_bytes() for folder in (tmp_path / "again", config.parent)]
    assert found[0] == found[1]


def test_weights_of_an_inversion(
    small_ablation: Path, done: Path, tmp_path: Path, host: PluginHost, tiny_backbone: Any
) -> None:
    weights = tiny_backbone.inversion_weights["lincir"]
    out = copied(done, tmp_path / "a")
    before = jobs(out)
    assert run(host, "--out", out, *ONE, *FEW, "--inversion-weights", f"lincir={weights}", "--quiet") == 0
    assert run(host, "--out", out, *ONE, *FEW, "--inversion-weights", weights, "--quiet") == 0
    assert jobs(out) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "component"], "did you mean 'components'?"),
        (["--vary", "expert=1"], "did you mean 'experts'?"),
        (["--train-option", "lrr=1"], "did you mean 'lr'?"),
        (["--adapter-type", "lora"], "--adapter-type is that of --vary"),
        (["--seeds", "0,one"], "no list of numbers"),
        (["--seeds", "0,0"], "named twice"),
        (["--split", "valid"], "did you mean 'val'?"),
        (["--benchmark", "ciir"], "did you mean"),
        (["--inversion", "lincr"], "did you mean 'lincir'?"),
        (["--inversion-weights", "lincr=x"], "did you mean 'lincir'?"),
        (["--triplets", "t.jsonl"], "--features is missing"),
        (["--grid", "none.toml"], "cannot read"),
        (["--presett", "x"], "did you mean '--preset'?"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(host, "--out", tmp_path / "a", *words) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "a").exists()


def test_every_benchmark_has_its_folders(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--triplets", "t.jsonl", "--features", "f.h5", "--benchmark", "cirr", "--benchmark", "circo"]
    assert run(host, *files, "--data-root", "a", "--data-root", "b", "--benchmark-features", "c") == 2
    assert "2 --benchmark, 2 --data-root and 1 --benchmark-features" in capsys.readouterr().err
