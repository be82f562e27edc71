"""Ctrl-C that lets work end well: the first is counted and told, the second acts as it would without us."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupts:
    """``with Interrupts(told) as interrupts``: ``interrupts.count`` is how often Ctrl-C was pressed.

    ``told`` is called on the first one, in the signal's handler. Outside of the main thread, which alone gets signals,
    nothing changes.
    """

    def __init__(self, told: Callable[[], object] = lambda: None) -> None:
        self.count = 0
        self.told = told
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt
        self.told()
