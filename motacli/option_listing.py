"""What ``--option`` and ``--train-option`` may set: the options of any component that says which it has."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from motacli.components import KINDS, Component, one_of
from motacli.errors import UnknownNameError, UsageError
from motacli.plugins import PluginHost

TRAINING = "train"
"""The name that stands for the options of training an adapter."""


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option: ``default`` as one would write it, empty where it has to be given."""

    option: str
    default: str
    type: str


@dataclass(frozen=True)
class OptionTable:
    """All options of one thing, and what its docstring says of them."""

    of: str
    rows: tuple[OptionRow, ...]
    text: str


def list_options(host: PluginHost, name: str) -> list[OptionTable]:
    """The options of everything that goes by ``name``, and of training where that is ``train``.

    Raises `UnknownNameError` where there is no such component, `UsageError` where none by that name says what it takes.
    """
    if name == TRAINING:
        from motacli.adapters.options import TrainOptions

        return [_table("training an adapter", TrainOptions)]
    found = [component for kind in KINDS for component in host.components(kind) if component.name == name]
    if not found:
        raise UnknownNameError("component", name, {TRAINING, *_with_options(host)})
    tables = [
        _table(f"{one_of(each.kind)} {each.name}", options) for each in found if is_dataclass(options := _options(each))
    ]
    if not tables:
        raise UsageError(f"{one_of(found[0].kind)} {name!r} names no options", "its documentation may")
    return tables


def _options(component: Component) -> Any:
    return getattr(component.load(), "Options", None)


def _with_options(host: PluginHost) -> Iterator[str]:
    """Names to suggest; what has options is only known once it is loaded, so these are all."""
    return (component.name for kind in KINDS for component in host.components(kind))


def _table(of: str, options: Any) -> OptionTable:
    hints = get_type_hints(options)
    rows = tuple(OptionRow(f.name, _default(f), _type(hints[f.name])) for f in fields(options) if f.init)
    return OptionTable(of, rows, inspect.getdoc(options) or "")


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return str(field.default_factory())
    return "" if field.default is MISSING else str(field.default)


def _type(hint: Any) -> str:
    return (
        hint.__name__
        if isinstance(hint, type) and not getattr(hint, "__args__", ())
        else str(hint).replace("typing.", "")
    )
