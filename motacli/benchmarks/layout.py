"""Why pictures are missing: folders that are absent, half full, elsewhere, or still packed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motacli.benchmarks.images import SUFFIXES, names_in
from motacli.benchmarks.integrity import BrokenPicture
from motacli.contracts import EvalUnit
from motacli.errors import DataError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong with a folder, and what to do; no ``hint`` where its pictures have to be fetched."""

    what: str
    hint: str = ""


def layout_remarks(
    root: Path, units: Sequence[EvalUnit], broken: Sequence[Mapping[str, BrokenPicture]]
) -> list[Remark]:
    """One remark per folder that lacks pictures of the units: how many, where they lie instead, what is still packed.

    ``broken`` is what `motacli.benchmarks.integrity.find_broken` says about each unit. Looked through are the folders
    inside the one that lacks pictures, those above it up to the data root, and the folders beside each of these.
    """
    wanted = _by_folder(image.path for unit in units for image in unit.images.values())
    missing = _by_folder(picture.path for own in broken for picture in own.values() if picture.kind == "missing")
    return [_remark(folder, len(wanted[folder]), names, root) for folder, names in missing.items()]


def _by_folder(paths: Iterable[Path]) -> dict[Path, set[str]]:
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    return names


def _remark(folder: Path, wanted: int, missing: set[str], root: Path) -> Remark:
    if folder.is_dir():
        found = f"{folder} holds {wanted - len(missing)} of {wanted} pictures"
    elif folder.exists():
        found = f"{folder} is a file, and {wanted} pictures belong into a folder of this name"
    else:
        found = f"{folder} does not exist, and {wanted} pictures belong there"
    above = list(_above(folder, root))
    if lying := _elsewhere(folder, missing, above):
        places = ", ".join(f"{count} in {place}" for place, count in lying.items())
        return Remark(f"{found}; of the missing lie {places}", f"move them to {folder}")
    if archives := _archives(folder, above):
        return Remark(f"{found}; {', '.join(map(str, archives))} is there", f"unpack it, pictures go to {folder}")
    return Remark(found)


def _above(folder: Path, root: Path) -> Iterator[Path]:
    """The folders above that exist, up to the data root; one at least, as pictures may lie higher than the root."""
    for path in folder.parents:
        if path.is_dir():
            yield path
            if root not in path.parents:
                return


def _elsewhere(folder: Path, missing: set[str], above: Sequence[Path]) -> dict[Path, int]:
    """How many of the missing pictures other folders hold, under whichever ending."""
    places = dict.fromkeys([*_folders(folder), *above, *(below for path in above for below in _folders(path))])
    places.pop(folder, None)
    stems = _stems(missing)
    counts = {place: len(stems & _stems(_readable(place))) for place in places}
    return {place: count for place, count in counts.items() if count}


def _stems(names: Iterable[str]) -> set[str]:
    return {stem for stem, ending in map(os.path.splitext, names) if ending in SUFFIXES}


def _readable(folder: Path) -> frozenset[str]:
    try:
        return names_in(folder)
    except DataError:  # somebody else's folder beside the data is no fault of the data
        return frozenset()


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(_readable(folder)) if (folder / name).is_dir()]


def _archives(folder: Path, above: Sequence[Path]) -> list[Path]:
    return [
        place / name
        for place in (folder, *above)
        for name in sorted(_readable(place))
        if name.lower().endswith(ARCHIVES)
    ]
