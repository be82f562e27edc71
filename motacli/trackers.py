"""Where the curves of a training go: TensorBoard, Weights & Biases, or both. All of this is [ours].

``open_trackers(("tensorboard",), folder, name="run-1", config={...})`` gives one object for all that were asked for.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from motacli.errors import MotaError, UnknownNameError
from motacli.extras import needed
from motacli.runs import explained, jsonable

Curve = float | Sequence["Curve"] | Mapping[str, "Curve"]
"""A number, or numbers that belong together, such as how much each expert is used."""

PROJECT = "mota"
"""The project of Weights & Biases that runs go to, unless ``WANDB_PROJECT`` names another."""


class Tracker(Protocol):
    """What a training tells its curves to."""

    def log(self, step: int, values: Mapping[str, Curve]) -> None:
        """Note values after ``step`` steps, which rise from call to call. Lists become ``name/0``, ``name/1``, ..."""

    def close(self, failed: bool = False) -> None:
        """Write what is left. ``failed`` says that the training did not come to its end."""


def require_trackers(names: Sequence[str]) -> None:
    """Raise `UnknownNameError` for a name that no tracker has, `UsageError` where its package is missing.

    For the start of a command, before anything expensive; `open_trackers` does the same.
    """
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        TRACKERS[name].require()


def open_trackers(
    names: Sequence[str], folder: Path, *, name: str, config: Mapping[str, Any], resume_step: int = 0
) -> AbstractContextManager[Tracker]:
    """A context with one tracker that passes everything on to those of these ``names``; without names to none.

    Their files go below ``folder``. ``name`` is the run's, ``config`` whatever describes it. A training that goes on
    gives the number of steps it keeps, ``resume_step``: later ones that were noted before are replaced.

    Raises, at once and not when the context is entered, what `require_trackers` does; inside, `MotaError` where Weights
    & Biases refuses to start, and where ``folder`` cannot be written to.
    """
    require_trackers(names)
    start = Start(folder, name, dict(config), resume_step)
    return _opened([TRACKERS[each] for each in dict.fromkeys(names)], start)


@dataclass(frozen=True)
class Start:
    """What a tracker is opened with."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    resume_step: int = 0


@dataclass(frozen=True)
class Kind:
    """A tracker that can be asked for: whether its package is there, and how to open it."""

    require: Callable[[], Any]
    open: Callable[[Start], Tracker]


@contextmanager
def _opened(kinds: Sequence[Kind], start: Start) -> Iterator[Tracker]:
    everything = Everything()
    failed = True
    try:
        for kind in kinds:
            everything.trackers.append(kind.open(start))
        yield everything
        failed = False
    finally:
        everything.close(failed)


class Everything:
    """Several trackers as one."""

    def __init__(self) -> None:
        self.trackers: list[Tracker] = []

    def log(self, step: int, values: Mapping[str, Curve]) -> None:
        """See `Tracker.log`."""
        scalars = flat(values)
        for tracker in self.trackers:
            tracker.log(step, scalars)

    def close(self, failed: bool = False) -> None:
        """Close all, the rest too where one cannot be closed, whose error is raised in the end."""
        errors: list[Exception] = []
        while self.trackers:
            try:
                self.trackers.pop().close(failed)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


def flat(values: Mapping[str, Curve]) -> dict[str, float]:
    """Every number by itself: ``{"usage": [0.7, 0.3]}`` becomes ``{"usage/0": 0.7, "usage/1": 0.3}``."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Sequence):
            value = {str(place): item for place, item in enumerate(value)}
        if isinstance(value, Mapping):
            found |= {f"{name}/{key}": number for key, number in flat(value).items()}
        else:
            found[name] = float(value)
    return found


# ---------------------------------------------------------------------------------------------- TensorBoard


def _require_tensorboard() -> None:
    needed("tensorboard.compat", "tensorboard", "tracking with TensorBoard")


class TensorBoard:
    """Event files below ``folder/tensorboard``, the configuration as text."""

    def __init__(self, start: Start) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = start.folder / "tensorboard"
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            described = any(folder.glob("events.*"))
            # Always, for a training that starts anew may follow one that was killed before its first saved state.
            self._writer = SummaryWriter(str(folder), purge_step=start.resume_step + 1)
        if not described:
            text = json.dumps(jsonable({"name": start.name, **start.config}), indent=2, ensure_ascii=False)
            self._writer.add_text("config", f"```\n{text}\n```", 0)

    def log(self, step: int, values: Mapping[str, Curve]) -> None:
        """See `Tracker.log`. What was noted is on disk when this returns, so that a kill costs none of it."""
        for name, value in flat(values).items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, failed: bool = False) -> None:
        """Close the event file."""
        self._writer.close()


# ---------------------------------------------------------------------------------------------- Weights & Biases


def _require_wandb() -> None:
    # A part of the package: a folder of runs called wandb where we stand would pass for the package itself.
    needed("wandb.errors", "wandb", "tracking with Weights & Biases")


class WeightsAndBiases:
    """A run of Weights & Biases whose files are below ``folder/wandb``.

    The key, ``WANDB_MODE`` and all else come from the environment, which only wandb reads. The run's id is kept beside
    its files: a training that goes on is the same run there, and wandb leaves out steps that it has already.
    """

    def __init__(self, start: Start) -> None:
        import wandb

        with explained(start.folder):
            place = start.folder / "wandb" / "mota-run-id"
            place.parent.mkdir(parents=True, exist_ok=True)  # wandb writes elsewhere if it is missing
            if not place.exists():
                place.write_text(uuid.uuid4().hex[:12])
            run_id = place.read_text().strip()
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or PROJECT,
                dir=str(start.folder),
                id=run_id,
                name=start.name,
                config=jsonable(start.config),
                resume="allow",
            )
        except wandb.errors.Error as error:
            said = " ".join(str(error).split())
            hint = "set WANDB_API_KEY, or WANDB_MODE=offline to keep the run on disk"
            raise MotaError(f"Weights & Biases did not start: {said}", hint) from error

    def log(self, step: int, values: Mapping[str, Curve]) -> None:
        """See `Tracker.log`."""
        self._run.log(flat(values), step=step)

    def close(self, failed: bool = False) -> None:
        """End the run, as failed if it is."""
        self._run.finish(exit_code=1 if failed else 0)


TRACKERS: dict[str, Kind] = {
    "tensorboard": Kind(_require_tensorboard, TensorBoard),
    "wandb": Kind(_require_wandb, WeightsAndBiases),
}
"""The trackers by name."""
