"""The demo on a world of a few dozen pictures: its table, its record, and what interruptions leave behind."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_world import small_worlds

from motacli.adapters.files import WEIGHTS
from motacli.adapters.mota import MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.cli import main
from motacli.config import read_config
from motacli.demo import DemoResults, Recipe, data, run, run_demo, trainings
from motacli.demo.recipe import HEADLINES, Commands, Layout
from motacli.demo.table import table_rows
from motacli.errors import DataError, MotaError
from motacli.plugins import PluginHost
from motacli.runs import file_digest, jsonable
from motacli.triplets.rules import RuleOptions

RECIPE = Recipe(
    adapter_seeds=(0, 1),
    triplets=RuleOptions(per_image=1),
    training=TrainOptions(steps=3, batch_size=16, warmup=1),
    shape=MotaOptions(experts=2, tokens=2),
)
STAGES = ("world", "triplets", "features", "adapters", "scores", "report")


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Worlds of a few dozen pictures."""
    with small_worlds():
        yield


def table(results: DemoResults) -> Any:
    """What must not depend on how often a run was interrupted."""
    return jsonable(replace(results, seconds={}))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> tuple[Path, DemoResults]:
    out = tmp_path_factory.mktemp("demo") / "demo"
    return out, run_demo(host, out, seed=5, recipe=RECIPE)


def test_the_table_has_every_row(done: tuple[Path, DemoResults]) -> None:
    out, results = done
    found = json.loads((out / "results.json").read_text())
    assert found == jsonable(results)
    assert set(found["baselines"]) == {"image", "text", "sum", "late-fusion"}
    assert set(found["inversions"]) == {"pic2word", "searle", "lincir"}
    for scores in (*found["baselines"].values(), *found["inversions"].values()):
        assert set(scores) == set(HEADLINES)
    for name, metric in HEADLINES.items():
        for scores in found["inversions"].values():
            assert set(scores[name]) >= {"base", "mota", "mota_std", "base_late_fusion", "mota_late_fusion"}
            assert {metric, "R@1"} <= set(scores[name]["mota"]) == set(scores[name]["base"])
            assert all(0 <= value <= 100 for value in scores[name]["mota"].values())
    assert 0 < found["trainable_share"] < 0.05
    assert set(found["seconds"]) == {*STAGES, "total"}
    rows = table_rows(results, RECIPE)
    assert len(rows) == 4 + 4 * 3 and all("CIRR Rsubset@1" in row for row in rows)


def test_the_late_fusion_row_is_that_of_the_fused_inversion(done: tuple[Path, DemoResults]) -> None:
    results = done[1]
    for name in HEADLINES:
        assert results.baselines["late-fusion"][name] == results.inversions[RECIPE.fused][name].base_late_fusion


def test_mean_and_spread_are_those_of_the_seeds(done: tuple[Path, DemoResults]) -> None:
    out, results = done
    scores = json.loads((out / "scores.json").read_text())
    one, two = (scores[f"searle mota-{seed}"]["circo"]["mAP@50"] for seed in RECIPE.adapter_seeds)
    found = results.inversions["searle"]["circo"]
    assert found.mota["mAP@50"] == pytest.approx((one + two) / 2)
    assert found.mota_std["mAP@50"] == pytest.approx(abs(one - two) / 2**0.5)
    assert found.gain("mAP@50") == pytest.approx((one + two) / 2 - scores["searle"]["circo"]["mAP@50"])


def test_the_report_stands_alone(done: tuple[Path, DemoResults]) -> None:
    page = (done[0] / "report.html").read_text()
    assert page.count('<article class="card"') == 8 and "Which expert answers what" in page
    assert "data:image/png;base64," in page
    assert 'src="http' not in page and "url(" not in page and "<script" not in page
    assert "mota train --inversion searle" in " ".join(page.replace("<span>", "").replace("</span>", "").split())


@pytest.mark.thorough  # the shorter form: the interrupted run below, in another folder
def test_it_is_deterministic(done: tuple[Path, DemoResults], tmp_path: Path, host: PluginHost) -> None:
    assert table(run_demo(host, tmp_path / "demo", seed=5, recipe=RECIPE)) == table(done[1])


@pytest.mark.thorough
def test_another_seed_is_another_world(done: tuple[Path, DemoResults], tmp_path: Path, host: PluginHost) -> None:
    assert table(run_demo(host, tmp_path / "other", seed=6, recipe=RECIPE)) != table(done[1])


@pytest.mark.thorough  # the shorter form: tests/ablation/test_shared_jobs.py
def test_adapters_by_two_processes(done: tuple[Path, DemoResults], tmp_path: Path, host: PluginHost) -> None:
    out = tmp_path / "demo"
    results = run_demo(host, out, seed=5, recipe=RECIPE, workers=2)
    assert {*results.inversions} == {*done[1].inversions} and not list((out / "adapters").glob(".*"))
    for name in RECIPE.inversions:
        for seed in RECIPE.adapter_seeds:
            made, same = (load_file(Layout(root).adapter(name, seed) / WEIGHTS) for root in (out, done[0]))
            assert made.keys() == same.keys()
            for key, value in made.items():  # other numbers of threads, other last digits
                assert torch.allclose(value, same[key], atol=1e-4), (name, seed, key)


def test_a_finished_demo_runs_nothing_again(
    done: tuple[Path, DemoResults], host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = done
    for name in ("make_world", "generate", "build_cache", "build_unit_caches", "train_prepared", "write_report"):
        monkeypatch.setattr(home(name), name, None)
    assert jsonable(run_demo(host, out, seed=5, recipe=RECIPE)) == jsonable(results)


def home(name: str) -> Any:
    """The module that calls a function: that of the stages, of the trainings, or of the data."""
    return next(module for module in (run, trainings, data) if hasattr(module, name))


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, call: int, before: bool) -> None:
    """Have the ``call``-th call of a stage's work end in Ctrl-C, before it does anything or after."""
    real: Callable[..., Any] = getattr(home(name), name)
    calls = iter(range(1, 1000))

    def work(*args: Any, **options: Any) -> Any:
        last = next(calls) == call
        if last and before:
            raise KeyboardInterrupt
        result = real(*args, **options)
        if last:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(home(name), name, work)


def test_it_goes_on_wherever_it_was_interrupted(
    done: tuple[Path, DemoResults], tmp_path: Path, host: PluginHost
) -> None:
    points = [
        ("make_world", 1),
        ("generate", 1),
        ("build_cache", 1),
        ("build_unit_caches", 3),
        ("train_prepared", 4),
        ("write_run", 2),
        ("inversion_sources", 2),
        ("write_report", 1),
    ]
    for name, call in points:
        for before in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                interrupt(patch, name, call, before)
                with pytest.raises(KeyboardInterrupt):
                    run_demo(host, tmp_path / "demo", seed=5, recipe=RECIPE)
            # The work goes on from there in the next round; what comes before is finished.
            call = 1
    assert table(run_demo(host, tmp_path / "demo", seed=5, recipe=RECIPE)) == table(done[1])
    assert (tmp_path / "demo" / "scores.json").read_bytes() == (done[0] / "scores.json").read_bytes()
    assert not list((tmp_path / "demo").rglob("*.partial"))


def test_its_commands_do_the_same_by_hand(
    done: tuple[Path, DemoResults], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    out = done[0]
    said = Commands(Layout(out), RECIPE, 5)
    for line in said.all():
        assert shlex.split(line)[0] == "mota"
    scores = json.loads((out / "scores.json").read_text())["lincir mota-0"]["fashioniq"]
    by_hand = next(line for line in said.scores() if f"--adapter {Layout(out).adapter('lincir', 0)}" in line)
    assert main([*shlex.split(by_hand)[1:], "--json"], host=host) == 0
    average = json.loads(capsys.readouterr().out)["units"]["fashioniq_average"]["metrics"]
    assert {metric: average[metric] for metric in ("R@10", "R@50")} == pytest.approx(
        {metric: scores[metric] for metric in ("R@10", "R@50")}
    )
    config = tmp_path / "config.json"
    config.write_bytes((Layout(out).adapter("lincir", 1) / "config.json").read_bytes())
    assert read_config(config)["train"]["seed"] == 1
    assert main(["train", "--config", str(config), "--out", str(tmp_path / "again"), "--quiet"], host=host) == 0
    assert file_digest(tmp_path / "again" / WEIGHTS) == file_digest(Layout(out).adapter("lincir", 1) / WEIGHTS)


# ---------------------------------------------------------------------------------------------- bad input


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MotaError, match="exists already and holds no demo"):
        run_demo(host, tmp_path, recipe=RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_demo_with_other_settings_is_left_alone(done: tuple[Path, DemoResults], host: PluginHost) -> None:
    before = (done[0] / "results.json").read_bytes()
    with pytest.raises(MotaError, match="another seed: 5, not 6"):
        run_demo(host, done[0], seed=6, recipe=RECIPE)
    with pytest.raises(MotaError, match="another recipe"):
        run_demo(host, done[0], seed=5, recipe=replace(RECIPE, fusion=0.4))
    assert (done[0] / "results.json").read_bytes() == before


def test_a_damaged_stamp_is_named(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "demo.json").write_text('{"seconds": 3}')
    with pytest.raises(DataError, match=r"demo\.json is damaged"):
        run_demo(host, tmp_path, recipe=RECIPE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path, host: PluginHost) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MotaError, match="no permission"):
        run_demo(host, tmp_path / "demo", recipe=RECIPE)


def test_a_file_in_the_way(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "demo").write_text("")
    with pytest.raises(MotaError, match="exists already"):
        run_demo(host, tmp_path / "demo", recipe=RECIPE)


# ---------------------------------------------------------------------------------------------- from outside


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mota demo` with the recipe of this file."""
    real = run_demo
    monkeypatch.setattr(
        "motacli.demo.run_demo", lambda host, out, seed, recipe, *rest: real(host, out, seed, RECIPE, *rest)
    )


@pytest.mark.usefixtures("quick")
def test_the_command_prints_one_object(
    done: tuple[Path, DemoResults], host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(done[0]), "--seed", "5", "--json"], host=host) == 0
    assert json.loads(capsys.readouterr().out) == jsonable(done[1])


@pytest.mark.usefixtures("quick")
def test_the_command_prints_a_table_and_says_what_it_does(
    done: tuple[Path, DemoResults], host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(done[0]), "--seed", "5"], host=host) == 0
    said = capsys.readouterr()
    assert "SEARLE + MoTa-Adapter" in said.out and "late fusion" in said.out
    assert all(f"] {name}:" in said.err for name in STAGES)
    assert "report.html" in said.err and "% of all parameters" in said.err


def test_an_unknown_option_is_corrected(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--sed", "1"], host=host) == 2
    assert "did you mean '--seed'?" in capsys.readouterr().err
