"""A training interrupted at any moment goes on from its last saved step, as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motacli.errors import DataError
from motacli.processes.world import World
from motacli.runs import explained, jsonable, partial_path

FILE = "training.pt"
_AGAIN = "remove it and start anew"
_DAMAGED = (RuntimeError, KeyError, ValueError, EOFError, TypeError, AttributeError)


@dataclass
class TrainingState:
    """Where a training stands after ``step`` steps.

    ``identity`` says what is trained on what and how; a state of another identity is refused. Random numbers are drawn
    anew for every step from the seed and its number, or the states of their generators are kept in ``random``.
    ``checks`` are notes on some of the steps, as JSON can hold them.
    """

    identity: Mapping[str, Any]
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    losses: list[float] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the state so that a kill leaves the old one or the new one."""
        document = {
            "identity": _text(self.identity),
            "checks": json.dumps(self.checks),
            "step": self.step,
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "best": self.best,
            "random": self.random,
        }
        path = folder / FILE
        with explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            with partial_path(path).open("wb") as file:
                torch.save(document, file)
                file.flush()
                os.fsync(file.fileno())
            partial_path(path).replace(path)

    def load(self, folder: Path, world: World | None = None) -> bool:
        """Take over the state in ``folder``, and whether there was one; `DataError` for damage or another training.

        Of several processes the first reads it for all.
        """
        path = folder / FILE
        try:
            found = (world or World()).agreed(lambda: _read(path))
            if found is None:
                return False
            if found["identity"] != _text(self.identity):
                raise DataError(f"{path} belongs to another training: options or data differ", _AGAIN)
            self.network.load_state_dict(found["network"])
            self.random = dict(found["random"])
            self.optimizer.load_state_dict(found["optimizer"])
        except _DAMAGED as error:
            raise DataError(f"{path} is damaged: {' '.join(str(error).split())}", _AGAIN) from error
        device = next(self.network.parameters()).device
        self.average = {key: value.to(device) for key, value in found["average"].items()}
        self.best, self.step = found["best"], int(found["step"])
        self.losses, self.checks = found["losses"].tolist(), json.loads(found["checks"])
        return True


def saved_step(folder: Path) -> int:
    """How many steps the state in ``folder`` has behind it; 0 where there is none, or none that can be read."""
    try:
        found = _read(folder / FILE)
        return 0 if found is None else int(found["step"])
    except _DAMAGED:
        return 0  # `TrainingState.load` says what is wrong with it


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    with explained(path):
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(jsonable(identity), sort_keys=True)
