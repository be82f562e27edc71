"""Curves of a training: TensorBoard's own reader reads back what is written; wandb is a stub that records calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.trackers import flat, open_trackers, require_trackers

CONFIG = {"steps": 20, "lr": 2e-3, "out": Path("runs/a")}


# ---------------------------------------------------------------------------------------------- names and values


def test_values_in_values_are_scalars_of_their_own() -> None:
    values = {"loss": 1, "usage": [0.75, 0.25], "val": {"R@10": 0.5, "by type": {"add": (1.0, 2.0)}}}
    assert flat(values) == {
        "loss": 1.0, "usage/0": 0.75, "usage/1": 0.25, "val/R@10": 0.5, "val/by type/add/0": 1.0,
        "val/by type/add/1": 2.0,
    }  # fmt: skip


def test_without_names_nothing_is_written(tmp_path: Path) -> None:
    with open_trackers((), tmp_path / "new", name="run", config=CONFIG) as tracker:
        tracker.log(1, {"loss": 1.0})
    assert not (tmp_path / "new").exists()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown tracker 'tensorbord'.*did you mean 'tensorboard'"):
        open_trackers(("tensorbord",), tmp_path, name="run", config={})


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_told_before_any_work(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    for ask in (lambda: require_trackers([name]), lambda: open_trackers([name], tmp_path / "x", name="r", config={})):
        with pytest.raises(UsageError, match=rf"needs {name}.*pip install 'mota\[{name}\]'"):
            ask()  # not entered
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------------------------------------- TensorBoard


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(folder).Scalars(name)]


def train(folder: Path, first: int, last: int, height: float) -> None:
    """A training that notes ``height`` for every step from ``first`` to ``last``."""
    with open_trackers(["tensorboard"], folder, name="run", config=CONFIG, resume_step=first - 1) as tracker:
        for step in range(first, last + 1):
            tracker.log(step, {"loss": height, "usage": [0.5, height]})


def test_tensorboard_has_every_scalar_and_the_configuration(tmp_path: Path) -> None:
    train(tmp_path, 1, 3, 0.25)
    assert scalars(tmp_path, "loss") == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert set(events(tmp_path).Tags()["scalars"]) == {"loss", "usage/0", "usage/1"}
    [text] = events(tmp_path).Tensors("config/text_summary")
    said = text.tensor_proto.string_val[0].decode()
    assert text.step == 0 and '"name": "run"' in said and '"out": "runs/a"' in said


@pytest.mark.parametrize("kept", [0, 4])
def test_steps_behind_the_resume_point_are_there_once(kept: int, tmp_path: Path) -> None:
    train(tmp_path, 1, 7, 0.25)  # killed at 7, and the last state on disk is of step 4, or there is none
    train(tmp_path, kept + 1, 9, 0.5)
    expected = [(step, 0.25 if step <= kept else 0.5) for step in range(1, 10)]
    assert scalars(tmp_path, "loss") == expected == scalars(tmp_path, "usage/1")
    assert len(events(tmp_path).Tensors("config/text_summary")) == 1


def test_what_was_logged_is_on_disk_at_once(tmp_path: Path) -> None:
    with open_trackers(["tensorboard", "tensorboard"], tmp_path, name="run", config=CONFIG) as tracker:
        tracker.log(1, {"loss": 0.125})
        assert scalars(tmp_path, "loss") == [(1, 0.125)]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MotaError, match="file"),
        open_trackers(["tensorboard"], tmp_path / "file", name="run", config={}),
    ):
        pass


# ---------------------------------------------------------------------------------------------- Weights & Biases


class Stub(ModuleType):
    """Stands for wandb, which tests do not install: it records calls, by the signatures of wandb 0.31."""

    def __init__(self, refuses: str = "") -> None:
        super().__init__("wandb")
        self.errors = ModuleType("wandb.errors")
        self.errors.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
        self.refuses = refuses
        self.calls: list[Any] = []

    def init(
        self,
        entity: str | None = None,
        project: str | None = None,
        dir: str | None = None,
        id: str | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Any = None,
        config: dict[str, Any] | None = None,
        *,
        mode: str | None = None,
        resume: bool | str | None = None,
    ) -> Stub:
        if self.refuses:
            raise self.errors.Error(self.refuses)
        assert dir is not None and Path(dir, "wandb").is_dir() and isinstance(config, dict) and mode is None
        self.calls.append(("init", project, dir, id, name, config, resume))
        return self

    def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        self.calls.append(("log", data, step))

    def finish(self, exit_code: int | None = None) -> None:
        self.calls.append(("finish", exit_code))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    stub = Stub()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    monkeypatch.setitem(sys.modules, "wandb.errors", stub.errors)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    yield stub


def test_wandb_is_told_everything(wandb: Stub, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_trackers(["wandb", "tensorboard"], folder, name="run", config=CONFIG) as tracker:
        tracker.log(1, {"loss": 1, "usage": [0.75, 0.25]})
        tracker.log(2, {"loss": 0.5})
    init, *logs, end = wandb.calls
    _, project, where, _, name, config, resume = init
    assert (project, where, name, resume) == ("mota", str(folder), "run", "allow")
    assert config == {"steps": 20, "lr": 2e-3, "out": "runs/a"}
    assert logs == [("log", {"loss": 1.0, "usage/0": 0.75, "usage/1": 0.25}, 1), ("log", {"loss": 0.5}, 2)]
    assert end == ("finish", 0) and scalars(folder, "loss") == [(1, 1.0), (2, 0.5)]


def test_a_training_that_goes_on_is_the_same_run(wandb: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    for folder in ("a", "a", "b"):
        with open_trackers(["wandb"], tmp_path / folder, name="run", config={}, resume_step=5):
            pass
    (_, project, _, one, *_), (_, _, _, again, *_), (_, _, _, other, *_) = [c for c in wandb.calls if c[0] == "init"]
    assert project == "mine" and one == again != other and one


def test_a_failed_training_is_a_failed_run(wandb: Stub, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_trackers(["wandb"], tmp_path, name="run", config={}):
        raise KeyboardInterrupt
    assert wandb.calls[-1] == ("finish", 1)


def test_a_tracker_that_does_not_close_does_not_keep_the_others_open(
    wandb: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(exit_code: int | None = None) -> None:
        raise OSError("gone")

    monkeypatch.setattr(wandb, "finish", finish)
    with pytest.raises(OSError, match="gone"), open_trackers(["tensorboard", "wandb"], tmp_path, name="r", config={}):
        pass
    assert events(tmp_path).Tags()["tensors"] == ["config/text_summary"]


def test_wandb_that_refuses_is_explained_and_the_others_are_closed(wandb: Stub, tmp_path: Path) -> None:
    wandb.refuses = "api_key not configured\n(no-tty)"
    with (
        pytest.raises(MotaError, match=r"did not start: api_key not configured \(no-tty\).*WANDB_MODE=offline"),
        open_trackers(["tensorboard", "wandb"], tmp_path, name="run", config={}),
    ):
        pass
    assert wandb.calls == []
