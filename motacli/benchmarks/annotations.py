"""Reading annotation files so that every mistake in them is named: the file, the entry and what to do about it."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from motacli.errors import DataError

T = TypeVar("T")
KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a string", int: "an integer", float: "a number"}
CUT_HINT = "the file looks cut or edited; download it again"


def locate(root: Path, candidates: Iterable[str], hint: str) -> Path:
    """The first of the relative paths ``candidates`` that is a file below ``root``."""
    names = list(candidates)
    for name in names:
        if (root / name).is_file():
            return root / name
    others = f" (nor {', '.join(names[1:])})" if names[1:] else ""
    raise DataError(f"{root / names[0]} not found{others}", hint)


def read_json(path: Path, hint: str = CUT_HINT) -> Any:
    """The JSON value in ``path``; a key repeated in an object is refused, where `json.loads` would drop one of them."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} not found", hint) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text at byte {error.start}", CUT_HINT) from error

    def refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise DataError(f"{path}: {_repeated(key for key, _ in pairs)!r} appears twice in one object", CUT_HINT)
        return values

    try:
        return json.loads(text, object_pairs_hook=refuse_repeated)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON at line {error.lineno}: {error.msg}", CUT_HINT) from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, brackets nested as deep
        raise DataError(f"{path}: not valid JSON: {error}", CUT_HINT) from error


def read_entries(path: Path, hint: str = CUT_HINT) -> list[Entry]:
    """A file that holds a list of objects, at least one."""
    values = read_json(path, hint)
    if not isinstance(values, list) or not values:
        raise DataError(f"{path}: expected a list of entries, found {_kind(values)}", CUT_HINT)
    return [Entry.of(value, path, f"entry {index}") for index, value in enumerate(values)]


def unique(ids: Sequence[str], path: Path, what: str) -> tuple[str, ...]:
    """``ids`` as a tuple, refused when one of them appears twice: a repeated row would count twice in every metric."""
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: {what} {_repeated(ids)!r} appears twice", "remove one of the two entries")
    return tuple(ids)


@dataclass(frozen=True, slots=True)
class Entry:
    """One JSON object of an annotation file, with accessors that check what they return."""

    path: Path
    where: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, value: Any, path: Path, where: str) -> Entry:
        if not isinstance(value, dict):
            raise DataError(f"{path}: {where}: expected an object, found {_kind(value)}", CUT_HINT)
        return cls(path, where, value)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def error(self, problem: str, hint: str = CUT_HINT) -> DataError:
        """The error to raise about this entry."""
        return DataError(f"{self.path}: {self.where}: {problem}", hint)

    def only(self, known: Collection[str]) -> Entry:
        """Itself, refused when it has a key outside ``known``."""
        for key in self.values:
            if key not in known:
                close = difflib.get_close_matches(key, sorted(known), n=1)
                raise self.error(f"unknown key {key!r}", f"did you mean {close[0]!r}?" if close else "remove it")
        return self

    def get(self, key: str) -> Any:
        """The value of a key that has to be there."""
        if key not in self.values:
            raise self.error(f"no key {key!r}", f"the entry has: {', '.join(sorted(self.values)) or 'no keys'}")
        return self.values[key]

    def text(self, key: str) -> str:
        """A string, which may be empty: the published files hold empty captions."""
        return self._typed(key, self.get(key), str, "a string")

    def integer(self, key: str) -> int:
        return self._typed(key, self.get(key), int, "an integer")

    def id(self, key: str) -> str:
        """An identifier, annotated as a string or an integer, as a string."""
        return self._identifier(key, self.get(key))

    def ids(self, key: str) -> tuple[str, ...]:
        return tuple(self._identifier(key, value) for value in self._list(key))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._typed(key, value, str, "a list of strings") for value in self._list(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self._list(key)
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise self.error(f"{key!r} must be a list of numbers")
        return tuple(float(value) for value in values)

    def child(self, key: str) -> Entry:
        return Entry.of(self.get(key), self.path, f"{self.where}, {key!r}")

    def children(self, key: str) -> list[Entry]:
        return [Entry.of(v, self.path, f"{self.where}, {key!r} {i}") for i, v in enumerate(self._list(key))]

    def among(self, key: str, ids: Sequence[str], gallery: Collection[str], gallery_path: Path) -> tuple[str, ...]:
        """``ids``, found under ``key``, refused when one is missing from the gallery or appears twice."""
        for id in ids:
            if id not in gallery:
                raise self.error(
                    f"{key!r} names {id!r}, which is not in the gallery of {gallery_path}",
                    "both files have to come from the same release",
                )
        if len(set(ids)) < len(ids):
            raise self.error(f"{key!r} names {_repeated(ids)!r} twice")
        return tuple(ids)

    def _list(self, key: str) -> list[Any]:
        return self._typed(key, self.get(key), list, "a list")

    def _identifier(self, key: str, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise self.error(f"{key!r} must hold an id, found {_kind(value)}")
        return str(value)

    def _typed(self, key: str, value: Any, kind: type[T], wanted: str) -> T:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(f"{key!r} must be {wanted}, found {_kind(value)}")
        return value


def _repeated(ids: Iterable[str]) -> str:
    return Counter(ids).most_common(1)[0][0]


def _kind(value: Any) -> str:
    if value in ([], {}, ""):
        return "nothing in it"
    return KINDS.get(type(value), str(value))
