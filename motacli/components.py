"""The parts that plugins offer: their kinds, and one `Component` per name, loaded when it is used."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from typing import Any

from motacli.errors import MotaError
from motacli.keeping import CONTRACTS, missing_members

KINDS = {
    "backbones": "register_backbones",
    "inversions": "register_inversions",
    "adapters": "register_adapters",
    "benchmarks": "register_benchmarks",
    "generators": "register_triplet_generators",
    "llms": "register_llm_clients",
    "stores": "register_index_stores",
}
"""Each kind of component and the hook that offers it."""
_ONE = {"generators": "triplet generator", "llms": "LLM client", "stores": "index store"}
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Component:
    """A part that some plugin offers. ``target`` is a callable, or ``"module:attribute"`` imported by `load`."""

    kind: str
    name: str
    target: Callable[..., Any] | str
    summary: str
    plugin: str

    @property
    def place(self) -> str:
        """The part and its plugin, for messages."""
        return f"{one_of(self.kind)} {self.name!r} of plugin {self.plugin!r}"

    def load(self) -> Callable[..., Any]:
        """The callable behind the name; `MotaError` naming the plugin where there is none, or its ``Options`` are no
        dataclass, which adapters have to have."""
        try:
            with redirect_stdout(sys.stderr):  # stdout is for data: what a module prints when imported is not
                target = _resolve(self.target) if isinstance(self.target, str) else self.target
            if not callable(target):
                raise TypeError(f"{self.target} is not callable")
            options = getattr(target, "Options", None)
            if not is_dataclass(options) and (options is not None or self.kind == "adapters"):
                raise TypeError("its Options are no dataclass" if options is not None else "it has no Options")
        except (Exception, SystemExit) as error:
            raise MotaError(f"{self.place} cannot be loaded: {one_line(error)}") from error
        return target

    def make(self, *args: Any, **options: Any) -> Any:
        """The part that the target gives for these arguments; `MotaError` where it does not keep its contract."""
        target = self.load()
        with self.blamed():
            made = target(*args, **options)
        return self.checked(made)

    def checked(self, made: Any) -> Any:
        """``made`` itself, if it has all that its contract asks for; `MotaError` naming what is missing otherwise."""
        contract = CONTRACTS[self.kind]
        if missing := missing_members(contract, made):
            what = f"{self.place} is no {contract.__name__}: {type(made).__name__} has no {', '.join(missing)}"
            raise MotaError(what, f"see `mota plugins docs {KINDS[self.kind]}`")
        return made

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Within it, mistakes that a part makes when it does not do what its contract says are told as its own."""
        try:
            yield
        except (AttributeError, TypeError, NotImplementedError) as error:
            hint = f"rerun with --debug for the traceback; its contract: `mota plugins docs {KINDS[self.kind]}`"
            raise MotaError(f"{self.place} failed: {one_line(error)}", hint) from error


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
