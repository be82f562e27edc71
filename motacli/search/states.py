"""A state of an index: written aside, switched to by one rename, and removed when another has taken its place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from motacli.console import Progress
from motacli.errors import DataError, MotaError
from motacli.plugins import PluginHost
from motacli.runs import explained, replace_file
from motacli.search.config import BUILDING, CONFIG, STATES, IndexConfig, state_folder
from motacli.search.contents import Contents
from motacli.search.entries import ENTRIES, Entry, write_entries
from motacli.search.index import Index
from motacli.search.scanning import Problem
from motacli.search.stores import STORE, StoreChoice
from motacli.search.vectors import BLOCK, Vectors

ERRORS = "errors.jsonl"


def write_state(
    path: Path,
    config: IndexConfig,
    entries: Sequence[Entry],
    problems: Sequence[Problem],
    features: Iterator[np.ndarray],
    host: PluginHost,
    progress: Progress,
) -> None:
    """Write the state that ``config`` is about, all of it on the disk in the end; nobody reads it yet."""
    folder = state_folder(path, config.state)
    with explained(folder):
        (folder / STORE).mkdir(parents=True)
        vectors = Vectors.write(folder, features, len(entries), config.joint_dim, config.dtype)
        write_entries(folder / ENTRIES, entries, config.columns)
        write_problems(folder, problems)
        config.store_choice.build(folder / STORE, vectors, host, progress)
        for file in sorted(folder.rglob("*")):
            _sync(file)
        _sync(folder.parent)


def features_of(
    entries: Sequence[Entry], known: Mapping[str, int], index: Index | None, contents: Contents, width: int
) -> Iterator[np.ndarray]:
    """Features ``(n, d)`` of pictures, in their order: as they were encoded now, else from the row of the index that
    ``known`` gives for the content."""
    for start in range(0, len(entries), BLOCK):
        digests = [entry.digest for entry in entries[start : start + BLOCK]]
        block = np.empty((len(digests), width), np.float32)
        new = [place for place, digest in enumerate(digests) if digest in contents.caches]
        block[new] = contents.features([digests[place] for place in new], width)
        if index is not None:
            old = [place for place, digest in enumerate(digests) if digest not in contents.caches]
            block[old] = index.vectors.stored[[known[digests[place]] for place in old]]
        yield block


def write_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """List what is not in the index and why, one JSON object a line."""
    lines = (json.dumps(asdict(problem)) + "\n" for problem in problems)
    replace_file(folder / ERRORS, "".join(lines).encode())


def read_problems(folder: Path) -> dict[str, Problem]:
    """What is not in a state, by id."""
    file = folder / ERRORS
    try:
        with explained(file):
            found = [Problem(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} is damaged: {error}", "copy the index again, or build it again") from error
    return {problem.id: problem for problem in found}


def drop_other_states(path: Path, config: IndexConfig, host: PluginHost, progress: Progress) -> None:
    """Remove all states but the current one: older ones, and what builds left that were killed."""
    with explained(path / STATES):
        for folder in sorted((path / STATES).glob("*")):
            if folder != state_folder(path, config.state):
                forget_store(folder / STORE, config.store_choice, host, progress)
                shutil.rmtree(folder)


def forget_store(folder: Path, choice: StoreChoice, host: PluginHost, progress: Progress) -> None:
    """Let a store that keeps rows elsewhere remove those of ``folder``; a warning where it cannot."""
    try:
        choice.forget(folder, host)
    except MotaError as error:
        progress.warn(f"store {choice.name!r} keeps what is not needed any more: {error}")


def work_folder(path: Path, state: int) -> Path:
    """Where a build of a state keeps what it goes on from, made if need be; that of other states is removed."""
    folder = path / BUILDING / f"{state:06d}"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for other in sorted((path / BUILDING).glob("*")):
            if other != folder:
                shutil.rmtree(other)
    return folder


def drop_work(path: Path) -> None:
    """Remove what builds kept to go on from, and what a kill left of a new ``index.json``."""
    with explained(path):
        for file in path.glob(f".{CONFIG}.*.tmp"):
            file.unlink()
        if (path / BUILDING).is_dir():
            shutil.rmtree(path / BUILDING)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
