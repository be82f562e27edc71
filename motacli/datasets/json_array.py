"""Files that hold one JSON array of objects, such as LLaVA's ``chat.json`` and ``metadata.json``, read bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from motacli.contracts import ImageText
from motacli.datasets.columns import USUAL, Columns, image_at, image_text
from motacli.datasets.places import is_file, is_folder, open_text
from motacli.datasets.tables import cells
from motacli.errors import DataError
from motacli.remote.urls import beside, folder_of, shown

TURNS = "conversations"
CHUNK = 1 << 16
LONGEST = 1 << 24
"""Characters of an entry at most: a file that breaks off must not be taken in whole while its end is looked for."""
_SPACE = " \t\n\r"
_CUT_OFF = "the file is cut off"
_AGAIN = "download or write it again"


@dataclass(frozen=True, slots=True)
class JsonArraySource:
    """The entries of the array. A row's caption is what ``gpt`` says first where it is a conversation of LLaVA's.

    Image paths are relative to the file's folder, or to ``images/`` in it where the first picture is not in the former.
    """

    path: Path
    columns: Columns = USUAL

    def __iter__(self) -> Iterator[ImageText]:
        names: list[str] = []
        for where, record in json_entries(self.path):
            if not names:
                names = self._columns_of(record, where)
                folder = _picture_folder(folder_of(self.path), record[names[0]])
            image, caption, *own = cells(record, names, where)
            if names[1] == TURNS:
                caption = _answer(caption, where)
            yield image_text(image_at(folder, image, where), caption, where, *own)
        if not names:
            raise DataError(f"{shown(self.path)}: an empty array", "it should hold one object per picture")

    def _columns_of(self, record: dict[str, Any], where: str) -> list[str]:
        columns = self.columns
        if columns.caption is None and TURNS in record:
            columns = replace(columns, caption=TURNS)
        return columns.names_in(list(record), where)


def json_entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file's array in order, each with where it stands; entries count from 0."""
    name = shown(path)
    with open_text(path) as file:
        text = _Window(file, path)
        first = text.skip_space()
        if first != "[":
            raise DataError(f"{name}: {'not a JSON array' if first else 'empty file'}", _AGAIN)
        text.advance(1)
        number = 0
        mark = "]" if text.skip_space() == "]" else ","
        while mark == ",":
            where = f"{name}: entry {number}"
            yield where, text.entry(where)
            number += 1
            mark = text.skip_space()
            if mark not in (",", "]"):
                raise text.broken(where, f"{mark!r} follows it, not a comma" if mark else _CUT_OFF)
            text.advance(mark == ",")
        text.advance(1)
        if after := text.skip_space():
            raise DataError(f"{name}: {after!r} follows the array", _AGAIN)


class _Window:
    """The part of a file that is being looked at."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._text = ""
        self._at = 0
        self._line = 1
        self._decoder = json.JSONDecoder()

    def skip_space(self) -> str:
        """Go to the next character that is no white space; "" at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def advance(self, count: int) -> None:
        """Go past so many characters."""
        self._at += count

    def entry(self, where: str) -> dict[str, Any]:
        """Go past the object that comes next, and give it."""
        first = self.skip_space()
        if first != "{":
            raise self.broken(where, f"{first!r} is no JSON object" if first else _CUT_OFF)
        while True:
            try:
                record: dict[str, Any]
                record, self._at = self._decoder.raw_decode(self._text, self._at)
                return record
            except json.JSONDecodeError as error:
                if self._is_wrong(error):
                    raise self.broken(where, f"not valid JSON: {error.msg}", error.pos) from error
            except (ValueError, RecursionError) as error:
                raise self.broken(where, f"not valid JSON: {error}") from error
            if len(self._text) - self._at > LONGEST:
                raise self.broken(where, f"no end within {LONGEST} characters")
            if not self._more():
                raise self.broken(where, _CUT_OFF)

    def broken(self, where: str, reason: str, at: int | None = None) -> DataError:
        """The error about this entry, with the line where it starts, or where ``at`` is."""
        line = self._line + self._text.count("\n", 0, self._at if at is None else at)
        return DataError(f"{where}, line {line}: {reason}", _AGAIN)

    def _is_wrong(self, error: json.JSONDecodeError) -> bool:
        """Whether more text cannot mend it: strings run to the end then, and words or escapes break off close to it."""
        return not error.msg.startswith("Unterminated string") and error.pos < len(self._text) - len("-Infinity")

    def _more(self) -> bool:
        """Take in more of the file, twice as much each time while an entry does not end."""
        try:
            chunk = self._file.read(max(CHUNK, len(self._text) - self._at))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{shown(self._path)}: not UTF-8 text in line {self._line} or further on", _AGAIN
            ) from error
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def _answer(turns: object, where: str) -> str:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise DataError(f"{where}: {TURNS!r} is no list of turns")
    said = next((turn.get("value") for turn in turns if turn.get("from") == "gpt"), None)
    if not isinstance(said, str) or not said.strip():
        raise DataError(f"{where}: no text from 'gpt' in {TURNS!r}", "take it out, or name a caption column")
    return said


def _picture_folder(folder: Path, first: object) -> Path:
    there = isinstance(first, str) and "\0" not in first and is_file(beside(folder, first))
    return folder / "images" if not there and is_folder(folder / "images") else folder
