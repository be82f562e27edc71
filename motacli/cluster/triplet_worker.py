"""What runs in a worker of a cluster that writes triplets; nothing here imports Ray."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from motacli.cluster.answering import Answering
from motacli.components import one_line
from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Outcome, TripletGenerator
from motacli.datasets import picture_exists
from motacli.errors import MotaError, UsageError
from motacli.llms.secrets import Key
from motacli.plugins import load_plugins
from motacli.remote.urls import is_remote
from motacli.triplets.pipeline import load_generator

Keys = Mapping[str, Key]
"""Values of `motacli.llms.secrets.VARIABLES` where the command was started."""


@dataclass(frozen=True)
class GeneratorChoice:
    """Which generator a worker makes, of which plugins, with which options.

    ``info`` is what the generator says of itself where the command was started, and ``folder`` is where that was:
    relative paths mean the same in a worker, if the folder is there.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)
    plugins: tuple[str, ...]
    info: GeneratorInfo
    folder: str

    def make(self) -> TripletGenerator:
        """The generator; `MotaError` where it is not what it is elsewhere."""
        with suppress(OSError):
            os.chdir(self.folder)
        made = load_generator(load_plugins(only=self.plugins), self.name, self.values)
        if made.info != self.info:
            raise MotaError(
                f"a worker's triplet generator {self.name!r} is another: {made.info}, not {self.info}",
                "each machine needs the same version of mota and of its plugins, and the same prompt file",
            )
        return made


@dataclass(frozen=True)
class Answers:
    """What came of the piece of that number, and the error that ended it, if any.

    ``missing`` are the pictures of refused rows that are not there, seen from that machine.
    """

    number: int
    machine: str
    outcomes: Sequence[Outcome]
    missing: Sequence[ImageRef]
    error: BaseException | None


class TripletWorker:
    """Makes a generator once and answers rows with it, several pieces at a time.

    The keys of a model's server come with every call, straight from the process that was started: what a worker is
    made of is kept by the cluster, which may write it down.
    """

    def __init__(self, choice: GeneratorChoice) -> None:
        self._choice = choice
        self._lock = threading.Lock()
        self._answering: Answering | None = None
        self._reads_images = False

    def ready(self) -> None:
        """Say that this process is there."""

    def answer(self, keys: Keys, number: int, rows: Sequence[ImageText]) -> Answers:
        """The outcomes of the rows of a piece; those that are there, if the generator ends with an error."""
        try:
            outcomes, error = self._started(keys).answer(rows)
        except Exception as failure:
            outcomes, error = [], failure
        missing = list(_missing(outcomes)) if self._reads_images else []
        return Answers(number, socket.gethostname(), outcomes, missing, None if error is None else portable(error))

    def stop(self, grace: float) -> None:
        """See `Answering.stop`."""
        if self._answering is not None:
            self._answering.stop(grace)

    def _started(self, keys: Keys) -> Answering:
        with self._lock:
            if self._answering is None:
                os.environ.update({name: key.reveal() for name, key in keys.items()})
                made = self._choice.make()
                self._reads_images = bool(getattr(made, "reads_images", False))
                self._answering = Answering(made)
            return self._answering


def _missing(outcomes: Sequence[Outcome]) -> Iterator[ImageRef]:
    refused = (outcome.row.image for outcome in outcomes if not outcome.triplets)
    return (ref for ref in refused if not is_remote(ref.path) and not picture_exists(ref))


def portable(error: BaseException) -> BaseException:
    """The error itself if it can travel between processes, or else one that says the same in one line.

    Where it came from travels with it as a note, which ``--debug`` shows.
    """
    said = one_line(error)
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever pickling or the class makes of it
        if isinstance(error, MotaError):
            return (UsageError if error.exit_code == UsageError.exit_code else MotaError)(error.message, error.hint)
        return MotaError(f"unexpected {said}", "rerun with --engine local --debug")
    return error
