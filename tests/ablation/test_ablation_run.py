"""An ablation of a few steps on a world of a few dozen pictures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from ablation.small_grid import SHOWN, copied, jobs, small, small_grid, values

from motacli.ablation import Ablation, Row, TinyWorld, list_jobs, output, run_ablation, training, union
from motacli.adapters.files import load_adapter
from motacli.config import read_config
from motacli.errors import DataError, MotaError, UsageError
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.runs import jsonable


@pytest.fixture(scope="module")
def done(small_ablation: Path, tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> tuple[Path, list[Row]]:
    out = copied(small_ablation, tmp_path_factory.mktemp("run") / "ablation")
    return out, run_ablation(host, out, small(host))


@pytest.fixture(autouse=True)
def _no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """None but where a test is about them: they take a second each time."""
    if "figures" not in request.node.name and "matplotlib" not in request.node.name:
        monkeypatch.setattr(output, "draw", lambda *given: ())


@pytest.fixture
def untrainable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training succeeds from here on."""
    monkeypatch.setattr(training, "train_prepared", None)
    monkeypatch.setattr(training, "gather", None)


def test_there_is_a_row_for_everything(done: tuple[Path, list[Row]]) -> None:
    _, rows = done
    names = [("lincir", name, b, m) for name in ("base", "full", "experts=1") for b, m in SHOWN.items()]
    assert [(row.inversion, row.variant, row.benchmark, row.metric) for row in rows] == names
    for row in rows:
        assert row.seeds == (0, 1) and row.mean == pytest.approx(fmean(row.values))
        assert row.std == pytest.approx(stdev(row.values)) and 0 <= row.mean <= 100
        assert (row.trainable > 0) == (row.seconds > 0) == (row.variant != "base")
    assert all(row.std == 0 and row.values[0] == row.values[1] for row in rows[:2])
    assert rows[2].trainable > rows[4].trainable


def test_a_job_is_a_run_with_scores(done: tuple[Path, list[Row]], host: PluginHost, tiny_backbone: Any) -> None:
    out, rows = done
    assert len(jobs(out)) == 5 and sum(name.startswith("lincir-mota-s0-") for name in jobs(out)) == 2
    (base,) = (out / "jobs" / name for name in jobs(out) if "base" in name)
    assert {path.name for path in base.iterdir()} == {"job.json", "scores.json", "provenance.json"}
    phi = load_inversion(host, "lincir", tiny_backbone)
    for name in jobs(out):
        if "base" in name:
            continue
        folder = out / "jobs" / name
        assert {path.name for path in folder.iterdir()} == {
            *("job.json", "scores.json", "provenance.json", "metrics.json", "config.json"),
            *("adapter.safetensors", "adapter.json"),
        }
        load_adapter(host, folder, tiny_backbone, phi)
        scores = json.loads((folder / "scores.json").read_text())
        seed = read_config(folder / "config.json")["train"]["seed"]
        assert {"R@1", "R@10", "Rsubset@1"} <= set(scores["scores"]["cirr"])
        of_seed = [row.values[seed] for row in rows if row.trainable == scores["trainable"]]
        assert of_seed == [scores["scores"][benchmark][metric] for benchmark, metric in SHOWN.items()]
    assert not list((out / "locks").iterdir()) and not list(out.rglob("*.partial"))


@pytest.mark.thorough
def test_two_processes_do_the_same(
    small_ablation: Path, done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost
) -> None:
    out = copied(small_ablation, tmp_path / "ablation")
    rows = run_ablation(host, out, small(host), workers=2)
    assert jobs(out) == jobs(done[0])
    for row, same in zip(rows, done[1], strict=True):
        assert (row.variant, row.benchmark, row.trainable) == (same.variant, same.benchmark, same.trainable)
        assert row.values == pytest.approx(same.values, abs=3)  # other last digits, and few queries


def test_a_finished_job_is_not_run_again(
    done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost, untrainable: None
) -> None:
    out, rows = done
    assert run_ablation(host, out, small(host)) == rows
    assert run_ablation(host, out, replace(small(host), seeds=(1,)))[2].values == rows[2].values[1:]
    assert {row["state"] for row in list_jobs(host, out, small(host))} == {"done"}
    with pytest.raises(TypeError):  # the check itself: another one would be trained
        run_ablation(host, copied(out, tmp_path / "a"), small(host, "experts=2"))


def test_another_grid_takes_over_what_it_shares(
    done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, before = copied(done[0], tmp_path / "a"), set(jobs(done[0]))
    grid = union([small_grid(host, "mdm=none"), small_grid(host)])
    rows = run_ablation(host, out, replace(small(host), grid=grid))
    new = set(jobs(out)) - before
    assert len(new) == 2 and before < set(jobs(out))
    assert values(rows[2:4]) == values(done[1][2:4])
    assert (out / "vary-mdm+vary-experts" / "table.md").is_file()


def test_what_decides_a_result_decides_the_job(done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost) -> None:
    def states(**more: Any) -> set[str]:
        return {row["state"] for row in list_jobs(host, out, replace(small(host), **more))}

    out = copied(done[0], tmp_path / "a")
    assert states() == states(seeds=(0,), save_every=7) == {"done"}
    assert states(source=TinyWorld(split="val")) == states(source=TinyWorld(benchmarks=("cirr",))) == {"to do"}
    assert states(seeds=(0, 2)) == {"done", "to do"}
    assert states(grid=small_grid(host, steps=4)) == {"done", "to do"}  # networks alone are what they were
    path = out / "world-0" / "triplets.jsonl"
    path.write_bytes(path.read_bytes().replace(b'target_caption": "a', b'target_caption": "A', 1))
    assert states() == {"done", "to do"}
    listed = list_jobs(host, out, replace(small(host), source=TinyWorld(seed=8)))
    assert [(row["variant"], row["seed"], row["job"]) for row in listed[:2]] == [
        ("base", None, None),
        ("full", 0, None),
    ]


def test_noise_and_domains_change_what_is_learned(small_ablation: Path, tmp_path: Path, host: PluginHost) -> None:
    from motacli.ablation import make_grid, read_grid

    path = tmp_path / "mine.toml"
    path.write_text(
        "[domain.looks]\ntypes = ['colour', 'texture', 'size']\n[domain.scenes]\ntypes = ['background', 'pattern']\n"
        "[[variant]]\nname = 'all'\n[[variant]]\nname = 'noisy'\ncorrupt = 0.5\n"
        "[[variant]]\nname = 'looks'\ndomains = ['looks']\n[[variant]]\nname = 'both'\ndomains = ['looks', 'scenes']\n"
    )
    out = copied(small_ablation, tmp_path / "a")
    grid = make_grid(host, read_grid(path), {"steps": 3, "batch_size": 4, "held_out": 0.0})
    one = replace(small(host), grid=grid, seeds=(0,), source=TinyWorld(benchmarks=("cirr",)))
    gathered = []
    with pytest.MonkeyPatch.context() as patch:
        real = training.gather
        patch.setattr(training, "gather", lambda *given: gathered.append(len(given[1])) or real(*given))
        run_ablation(host, out, one)
    assert len(gathered) == 4 and gathered[0] == gathered[1] == 160 and gathered[2] == gathered[3]
    digests = {(out / "jobs" / name / "adapter.safetensors").read_bytes() for name in jobs(out) if "mota" in name}
    assert len(digests) == 4
    configs = [read_config(out / "jobs" / name / "config.json")["train"] for name in jobs(out) if "mota" in name]
    assert sorted(len(config["triplets"]) for config in configs) == [1, 1, 1, 2]
    (mixed,) = (config for config in configs if len(config["triplets"]) == 2)
    assert mixed["mix"] == "0.5,0.5"


def test_the_frozen_half_is_computed_once(small_ablation: Path, tmp_path: Path, host: PluginHost) -> None:
    out = copied(small_ablation, tmp_path / "a")
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("gather", "with_base"):
            real = getattr(training, name)
            patch.setattr(training, name, lambda *given, _n=name, _r=real: calls.append(_n) or _r(*given))
        run_ablation(host, out, replace(small(host), inversions=("lincir", "searle")))
    assert calls == ["gather", "with_base", "with_base"]


def test_tables_and_figures_are_written_anew(done: tuple[Path, list[Row]], host: PluginHost) -> None:
    out, rows = done
    folder = out / "vary-experts"
    run_ablation(host, out, small(host))
    assert json.loads((folder / "table.json").read_text()) == jsonable(rows)
    figures = {f"{name}-experts.{form}" for name in SHOWN for form in ("png", "pdf")}
    assert {path.name for path in folder.iterdir()} == {f"table.{f}" for f in ("md", "csv", "tex", "json")} | figures
    assert (folder / "cirr-experts.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / "cirr-experts.pdf").read_bytes()[:5] == b"%PDF-"
    (folder / "table.md").write_text("old")
    run_ablation(host, out, small(host))
    assert "| full |" in (folder / "table.md").read_text()


def test_without_matplotlib_there_are_tables(
    done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from motacli.console import Console

    said = []
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(Console, "log", lambda self, message: said.append(message))
    out = copied(done[0], tmp_path / "a")
    for path in (out / "vary-experts").iterdir():
        path.unlink()
    run_ablation(host, out, small(host), Console())
    assert {path.suffix for path in (out / "vary-experts").iterdir()} == {".md", ".csv", ".tex", ".json"}
    assert [message for message in said if "figures" in message and "mota[plots]" in message] == said[-1:]


def test_a_state_that_does_not_fit_is_started_anew(
    done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost
) -> None:
    out = copied(done[0], tmp_path / "a")
    name = next(name for name in jobs(out) if "mota" in name)
    for content in (b"half a state", b""):
        shutil.rmtree(out / "jobs" / name)
        work = out / "jobs" / f"{name}.partial" / "work"
        work.mkdir(parents=True)
        (work / "training.pt").write_bytes(content)
        assert values(run_ablation(host, out, small(host))) == values(done[1])


# ---------------------------------------------------------------------------------------------- bad input


def test_options_that_the_backbone_refuses_stop_it_early(
    small_ablation: Path, tmp_path: Path, host: PluginHost, untrainable: None
) -> None:
    out = tmp_path / "a"
    with pytest.raises(UsageError, match=r"'depth=9': prompt depth 9 is outside"):
        run_ablation(host, out, small(host, "depth=1,9"))
    with pytest.raises(UsageError, match=r"'mdm=dynamic': unknown MDM form"):
        run_ablation(host, out, small(host, "mdm=dynamic"))
    assert not out.exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MotaError, match="exists already and holds no ablation"):
        run_ablation(host, tmp_path, small(host))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_damaged_result_is_named(done: tuple[Path, list[Row]], tmp_path: Path, host: PluginHost) -> None:
    out = copied(done[0], tmp_path / "a")
    path = out / "jobs" / jobs(out)[-1] / "scores.json"
    path.write_text('{"scores": 3}')
    with pytest.raises(DataError, match=r"scores\.json is damaged.*run again"):
        run_ablation(host, out, small(host))


def test_impossible_requests_are_refused(host: PluginHost) -> None:
    grid = small_grid(host)
    for wrong in ({"seeds": ()}, {"seeds": (1, 1)}, {"inversions": ("a", "a")}, {"weights": {"sarle": "x"}}):
        with pytest.raises(UsageError):
            Ablation(grid, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="did you mean 'val'"):
        TinyWorld(split="vall")
    with pytest.raises(UsageError, match="did you mean 'cirr'"):
        TinyWorld(benchmarks=("cir",))
