"""Configuration: files of option defaults, and mappings turned into frozen dataclasses, every mistake reported at once.

A file is TOML, or the ``config.json`` of a run. Its tables are commands (``[train]``, ``[tiny.build]``); keys outside
any table apply to every command that has such an option. Keys are option names, with ``-`` or ``_``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from motacli.convert import Mistyped, convert
from motacli.errors import UsageError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OptionSchema:
    """An option that a file may set: ``dest`` is the parameter behind it, ``hint`` its type."""

    dest: str
    hint: Any
    low: float | None = None
    high: float | None = None

    def given(self, value: Any) -> Any:
        """What a file says of this option: one text for a repeatable option is a list of one."""
        return [value] if isinstance(value, str) and _repeatable(self.hint) else value


@dataclass(frozen=True, slots=True)
class CommandSchema:
    """What a file may say about a command: its options by kebab-case name, and its subcommands."""

    options: Mapping[str, OptionSchema] = field(default_factory=dict)
    commands: Mapping[str, CommandSchema] = field(default_factory=dict)

    def every_option(self) -> dict[str, list[OptionSchema]]:
        """Each option name of this command and those below it, with everyone who declares it."""
        found: dict[str, list[OptionSchema]] = {name: [option] for name, option in self.options.items()}
        for command in self.commands.values():
            for name, options in command.every_option().items():
                found.setdefault(name, []).extend(options)
        return found


def read_config(path: Path) -> dict[str, Any]:
    """The contents of a TOML file or, by its suffix, a JSON one."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read configuration {path}: {error.strerror or error}") from error
    except ValueError as error:  # both parsers and the decoder derive their errors from it
        raise UsageError(f"{path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no table of options")
    return document


def option_defaults(document: Mapping[str, Any], schema: CommandSchema, where: str) -> dict[str, Any]:
    """The defaults each command gets from a file: parameters to values, with one table per command below.

    Refuses unknown names and mistyped values, naming all of them.
    """
    mistakes: list[str] = []
    shared = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in document.items() if isinstance(value, Mapping)}
    declared = schema.every_option()
    for key, value in shared.items():
        if (name := _kebab(key)) in declared:
            _checked(declared[name][0], declared[name][0].given(value), key, mistakes)
        else:
            mistakes.append(_unknown(f"option {key!r}", name, declared))
    common = {_kebab(key): value for key, value in shared.items()}
    defaults = _tables(tables, schema, common, "", mistakes)
    refuse_mistakes(where, mistakes)
    return defaults


def parse_options(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build the options dataclass ``cls`` from a mapping; keys may be written with ``-`` or ``_``.

    ``where`` opens the error message, for example ``"options of adapter 'mota'"``.
    """
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls) if f.init}  # type: ignore[arg-type]
    mistakes: list[str] = []
    given: dict[str, Any] = {}
    for key, value in values.items():
        if (name := key.replace("-", "_")) in known:
            given[name] = _checked(OptionSchema(name, hints[name]), value, key, mistakes)
        else:
            mistakes.append(_unknown(f"option {key!r}", name, known))
    for name, declared in known.items():
        if name not in given and declared.default is MISSING and declared.default_factory is MISSING:
            mistakes.append(f"option {name!r} is missing")
    refuse_mistakes(where, mistakes)
    try:
        return cls(**given)
    except ValueError as error:  # what the dataclass itself refuses in __post_init__
        raise UsageError(f"{where}: {error}") from error


def identity(options: Any) -> dict[str, Any]:
    """The options on which a result depends: those of a dataclass without ``metadata={"identity": False}``.

    A mapping is taken as it is, and anything else as without options.
    """
    if isinstance(options, Mapping):
        return dict(options)
    if not is_dataclass(options):
        return {}
    return {f.name: getattr(options, f.name) for f in fields(options) if f.metadata.get("identity", True)}


def _tables(
    tables: Mapping[str, Any], schema: CommandSchema, common: Mapping[str, Any], path: str, mistakes: list[str]
) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for key in tables:
        if key not in schema.commands:
            mistakes.append(_unknown(f"command [{path}{key}]", key, schema.commands))
    for name, command in schema.commands.items():
        table = tables.get(name, {})
        if not isinstance(table, Mapping):
            mistakes.append(f"[{path}{name}] must be a table of options, not {table!r}")
            continue
        nested = {key: value for key, value in table.items() if key in command.commands}
        own = {key: value for key, value in table.items() if key not in command.commands}
        inherited = {option.dest: option.given(common[key]) for key, option in command.options.items() if key in common}
        below = _tables(nested, command, common, f"{path}{name}.", mistakes)
        defaults[name] = {**inherited, **_command_table(own, command, f"[{path}{name}]", mistakes), **below}
    return defaults


def _command_table(table: Mapping[str, Any], command: CommandSchema, where: str, mistakes: list[str]) -> dict[str, Any]:
    defaults = {}
    for key, value in table.items():
        option = command.options.get(_kebab(key))
        if option is None:
            known = [*command.options, *command.commands]
            mistakes.append(f"{where}: " + _unknown(f"option {key!r}", _kebab(key), known))
        else:
            _checked(option, option.given(value), f"{where}: {key}", mistakes)
            defaults[option.dest] = option.given(value)
    return defaults


def _checked(option: OptionSchema, value: Any, key: str, mistakes: list[str]) -> Any:
    try:
        converted = convert(value, option.hint)
    except Mistyped as error:
        mistakes.append(f"{key} must be {error.expected}, not {value!r}")
        return None
    for number in _numbers(converted):
        if (option.low is not None and number < option.low) or (option.high is not None and number > option.high):
            low, high = (_bound(bound) for bound in (option.low, option.high))
            mistakes.append(f"{key} must lie in {low}..{high}, not be {value!r}")
    return converted


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _bound(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"


def refuse_mistakes(where: str, mistakes: Sequence[str]) -> None:
    """Raise a `UsageError` that names all of them, unless there are none."""
    if len(mistakes) == 1:
        raise UsageError(f"{where}: {mistakes[0]}")
    if mistakes:
        raise UsageError(f"{where}: {len(mistakes)} mistakes" + "".join(f"\n  - {mistake}" for mistake in mistakes))


def _repeatable(hint: Any) -> bool:
    """Whether a type hint is a list's, whatever else is said about it."""
    args = get_args(hint)
    if get_origin(hint) in (Union, UnionType, Annotated):
        return any(map(_repeatable, args[:1] if get_origin(hint) is Annotated else args))
    return (get_origin(hint) or hint) is list


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"unknown {what} ({did_you_mean(name, known)})"
