"""Several files in one word: ``a-{000..127}.tar``, ``{train,val}.csv``, ``part-*.tar``, and lists of these."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from motacli.datasets import places
from motacli.errors import DataError
from motacli.remote.redaction import without_secrets
from motacli.remote.urls import is_remote, is_web, path_of, shown

_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
_LIST = re.compile(r",(?![^{}]*\})")
_MAGIC = re.compile(r"[*?[]")
_MAGIC_OF_WEB = re.compile(r"[*[]")  # a question mark begins a query there
AT_ONCE = 32
"""Remote files that are looked for at the same time."""


def expanded(word: str) -> tuple[Path, ...]:
    """The paths that a word stands for, each once, in its order; what ``*``, ``?`` and ``**`` match, alphabetically.

    A path that exists is itself, whatever characters it is made of. `DataError` where a file of several is missing, or
    nothing matches a pattern; a single path need not exist.
    """
    whole = _at_home(word)
    if os.path.lexists(whole) or not _stands_for_several(word):
        return (path_of(whole),)
    words = [name for part in _LIST.split(word) if part.strip() for name in _alternatives(part.strip())]
    paths = list(dict.fromkeys(chain.from_iterable(map(_matches, words))))
    missing = _missing([path_of(_at_home(name)) for name in words if not _is_pattern(name)])
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} files are missing, the first is {shown(missing[0])}",
            f"from {without_secrets(word)}",
        )
    if not paths:
        raise DataError(f"{word!r} names no file", "give a folder, a file or a pattern")
    return tuple(paths)


def _stands_for_several(word: str) -> bool:
    return bool(_LIST.search(word) or _BRACES.search(word) or _has_magic(word))


def _is_pattern(name: str) -> bool:
    return _has_magic(name) and not os.path.lexists(_at_home(name))


def _has_magic(name: str) -> bool:
    return (_MAGIC_OF_WEB if is_web(Path(name)) else _MAGIC).search(name) is not None


def _missing(paths: Sequence[Path]) -> list[Path]:
    """Those that are not there; remote ones are asked for `AT_ONCE`."""
    remote = [path for path in paths if is_remote(path)]
    if not remote:
        return [path for path in paths if not path.exists()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        there = dict(zip(remote, pool.map(places.exists, remote), strict=True))
    return [path for path in paths if not (there[path] if path in there else path.exists())]


def _alternatives(word: str) -> list[str]:
    """The word with every brace expression written out, the first one varying slowest."""
    match = _BRACES.search(word)
    if match is None:
        return [word]
    first, last, listed = match.groups()
    inside = listed.split(",") if listed is not None else _numbers(first, last)
    return [name for one in inside for name in _alternatives(word[: match.start()] + one + word[match.end() :])]


def _numbers(first: str, last: str) -> list[str]:
    width = max(len(first), len(last)) if "0" in (first[: len(first) > 1], last[: len(last) > 1]) else 0
    step = 1 if int(first) <= int(last) else -1
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + step, step)]


def _matches(name: str) -> list[Path]:
    path = _at_home(name)
    if not _is_pattern(name):
        return [path_of(path)]
    if is_remote(path):
        from motacli.remote.files import matches

        found = [path_of(match) for match in matches(path_of(path))]
    else:
        found = sorted(Path(match) for match in glob.glob(path, recursive=True))
    if not found:
        raise DataError(f"nothing matches {name}", "is the pattern quoted, and the folder the right one?")
    return found


def _at_home(name: str) -> str:
    return os.path.expanduser(name)
