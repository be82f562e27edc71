"""One value against one type hint: what a configuration file or an options dataclass accepts."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin


class Mistyped(Exception):
    """The value is not of the wanted type; ``expected`` describes that type."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def convert(value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint`` asks for: integers pass as floats, lists as tuples, strings as paths and enums.

    Nothing else is bent: ``"3"`` is not a number, and ``True`` is not one either.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return convert(value, args[0])
    if origin in (Union, types.UnionType):
        return _any_of(value, args)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in args):
            raise Mistyped(describe(hint))
        return value
    if (origin or hint) in (list, tuple, Sequence):
        return _items(value, hint)
    if (origin or hint) in (dict, Mapping):
        return _mapping(value, hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        from motacli.config import parse_options  # the two call each other: options may nest

        return parse_options(hint, value, "options")  # type: ignore[arg-type]
    return _scalar(value, hint)


def describe(hint: Any) -> str:
    """A type hint in words, as in "must be ..."."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return describe(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(arg) for arg in args if arg is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(repr(member.value) for member in hint)
    if (origin or hint) in (list, tuple, Sequence):
        kinds = [describe(arg) for arg in args if arg is not Ellipsis]
        return "a list" + (f", each item {' then '.join(dict.fromkeys(kinds))}" if kinds else "")
    if (origin or hint) in (dict, Mapping):
        return "a table"
    words = {bool: "true or false", int: "an integer", float: "a number", str: "a string", Path: "a path"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _any_of(value: Any, hints: Sequence[Any]) -> Any:
    for hint in hints:
        if hint is type(None):
            if value is None:
                return None
            continue
        try:
            return convert(value, hint)
        except Mistyped:
            continue
    raise Mistyped(" or ".join(describe(hint) for hint in hints if hint is not type(None)))


def _items(value: Any, hint: Any) -> Any:
    args = get_args(hint)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Mistyped(describe(hint))
    is_tuple = (get_origin(hint) or hint) is tuple
    if is_tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            raise Mistyped(f"a list of {len(args)} items")
        kinds: Sequence[Any] = args
    else:
        kinds = [args[0] if args else Any] * len(value)
    try:
        items = [convert(item, kind) for item, kind in zip(value, kinds, strict=True)]
    except Mistyped as error:
        raise Mistyped(describe(hint)) from error
    return tuple(items) if is_tuple else items


def _mapping(value: Any, hint: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise Mistyped(describe(hint))
    key_hint, value_hint = get_args(hint) or (Any, Any)
    return {convert(key, key_hint): convert(item, value_hint) for key, item in value.items()}


def _scalar(value: Any, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum) and not isinstance(value, hint):
        if value not in [member.value for member in hint]:
            raise Mistyped(describe(hint))
        return hint(value)
    if isinstance(value, bool) and hint in (int, float):
        raise Mistyped(describe(hint))
    widening: dict[Any, tuple[type, Callable[[Any], Any]]] = {float: (int, float), Path: (str, Path)}
    if hint in widening and isinstance(value, widening[hint][0]):
        return widening[hint][1](value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise Mistyped(describe(hint))
    return value
