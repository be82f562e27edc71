"""Folders that Hugging Face's ``save_to_disk`` wrote; their ``.arrow`` files are read without its library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motacli.datasets.places import is_file, read_text
from motacli.errors import DataError
from motacli.remote.urls import beside, shown

STATE = "state.json"
SPLITS = "dataset_dict.json"


def saved_files(folder: Path) -> list[Path]:
    """The ``.arrow`` files of a saved data set in order; none if the folder is no such thing.

    Raises `DataError` for one of several splits, and where files are missing or unreadable.
    """
    if is_file(folder / SPLITS):
        return saved_files(_only_split(folder))
    if not is_file(folder / STATE):
        return []
    state = _read(folder / STATE)
    listed = state.get("_data_files")
    if not isinstance(listed, list) or not all(isinstance(_name(file), str) for file in listed):
        raise DataError(f"{shown(folder / STATE)}: no list of '_data_files'", "was it written by save_to_disk?")
    if state.get("_indices_data_files"):
        raise DataError(
            f"{shown(folder)} is a selection of rows in an old format", "load and save it with a newer `datasets`"
        )
    files = [beside(folder, _name(file)) for file in listed]
    missing = [file for file in files if not is_file(file)]
    if missing or not files:
        which = f"the first is {shown(missing[0])}" if missing else f"{STATE} lists none"
        raise DataError(f"{len(missing)} of {len(files)} files of {shown(folder)} are missing, {which}")
    return files


def _only_split(folder: Path) -> Path:
    splits = _read(folder / SPLITS).get("splits")
    if not isinstance(splits, list) or not splits or not all(isinstance(name, str) for name in splits):
        raise DataError(f"{shown(folder / SPLITS)}: no list of 'splits'", "was it written by save_to_disk?")
    if len(splits) > 1:
        raise DataError(
            f"{shown(folder)} holds the splits {', '.join(splits)}",
            f"give one, such as {shown(beside(folder, splits[0]))}",
        )
    only = beside(folder, splits[0])
    if not is_file(only / STATE):
        raise DataError(f"{shown(only)} is no data set that save_to_disk wrote", f"{STATE} is missing")
    return only


def _name(file: Any) -> Any:
    return file.get("filename") if isinstance(file, dict) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{shown(path)}: not valid JSON: {error}", "save the data set again") from error
    if not isinstance(found, dict):
        raise DataError(f"{shown(path)}: not a JSON object", "save the data set again")
    return found
