"""Runs the demo's stages one after another, remembers which are done, and goes on where an interrupted run stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motacli.console import Progress
from motacli.errors import DataError, MotaError
from motacli.runs import explained, jsonable, write_json

FORMAT = 1


@dataclass(frozen=True)
class Stage:
    """One step of the demo: ``explanation`` is what a newcomer reads, ``commands`` do the same by hand.

    ``run`` must leave nothing half-written when interrupted, and go on or start over when called again.
    """

    name: str
    explanation: str
    commands: Sequence[str]
    run: Callable[[], object]


@dataclass(frozen=True)
class Stamp:
    """``demo.json``: what a folder is the demo of, and the seconds of each finished stage."""

    path: Path
    about: Mapping[str, Any]

    def claim(self) -> dict[str, float]:
        """Take the folder, or go on with it: the seconds of the stages that are finished.

        Raises `MotaError` where the folder holds something else, or a demo with other settings or weights.
        """
        folder = self.path.parent
        with explained(folder):
            if not self.path.exists():
                if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                    raise MotaError(
                        f"{folder} exists already and holds no demo", "choose another --out or move it away"
                    )
                folder.mkdir(parents=True, exist_ok=True)
                self.write({})
                return {}
        return self._seconds()

    def write(self, seconds: Mapping[str, float]) -> None:
        """Record the finished stages."""
        write_json(self.path, {"format": FORMAT, **self.about, "seconds": seconds})

    def _seconds(self) -> dict[str, float]:
        with explained(self.path):
            text = self.path.read_text("utf-8")
        try:
            found = json.loads(text)
            seconds = {str(name): float(value) for name, value in found["seconds"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{self.path} is damaged", "remove the folder and run the demo again") from error
        wanted = jsonable({"format": FORMAT, **self.about})
        other = next((key for key, value in wanted.items() if found.get(key) != value), None)
        if other is not None:
            raise MotaError(
                f"{self.path.parent} holds a demo with another {other}: {_short(found.get(other))}, "
                f"not {_short(wanted[other])}",
                "choose another --out, or remove the folder",
            )
        return seconds


def run_stages(stages: Sequence[Stage], stamp: Stamp, progress: Progress) -> dict[str, float]:
    """Run the stages that are not finished yet; the seconds each took when it was."""
    seconds = stamp.claim()
    for number, stage in enumerate(progress.track(stages, "demo"), 1):
        if stage.name in seconds:
            progress.log(f"[{number}/{len(stages)}] {stage.name}: done before, in {seconds[stage.name]:.0f} s")
            continue
        progress.log(f"[{number}/{len(stages)}] {stage.name}: {stage.explanation}")
        for command in stage.commands:
            progress.log(f"    $ {command}")
        started = time.perf_counter()
        stage.run()
        seconds[stage.name] = round(time.perf_counter() - started, 2)
        stamp.write(seconds)
    return seconds


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
