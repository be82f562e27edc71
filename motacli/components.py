"""The parts that plugins offer: their kinds, and one `Component` per name, loaded when it is used."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from motacli.errors import MotaError

KINDS = {
    "backbones": "register_backbones",
    "inversions": "register_inversions",
    "adapters": "register_adapters",
    "benchmarks": "register_benchmarks",
    "generators": "register_triplet_generators",
    "llms": "register_llm_clients",
}
"""Each kind of component and the hook that offers it."""
_ONE = {"generators": "triplet generator", "llms": "LLM client"}
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Component:
    """A part that some plugin offers. ``target`` is a callable, or ``"module:attribute"`` imported by `load`."""

    kind: str
    name: str
    target: Callable[..., Any] | str
    summary: str
    plugin: str

    def load(self) -> Callable[..., Any]:
        """The callable behind the name."""
        try:
            with redirect_stdout(sys.stderr):  # stdout is for data: what a module prints when imported is not
                target = _resolve(self.target) if isinstance(self.target, str) else self.target
            if not callable(target):
                raise TypeError(f"{self.target} is not callable")
        except (Exception, SystemExit) as error:
            what = f"{one_of(self.kind)} {self.name!r} of plugin {self.plugin!r}"
            raise MotaError(f"{what} cannot be loaded: {one_line(error)}") from error
        return target


def one_of(kind: str) -> str:
    """A kind in the singular, for messages."""
    return _ONE.get(kind, kind.removesuffix("s"))


def one_line(error: BaseException) -> str:
    """One line, whatever the exception: some have no text, some many lines, and some cannot even be printed."""
    words = " ".join(traceback.format_exception_only(error)[-1].split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 3] + "..."


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    value: Any = import_module(module)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value
