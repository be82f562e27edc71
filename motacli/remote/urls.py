"""URLs as paths: a record that names a file has a `Path` for it, wherever it is.

A `Path` made of a URL has one slash behind the scheme, and ``_EMPTY`` for what it would drop: an empty part, or ``.``.
What a name, an ending or a folder is depends on the scheme: ``?`` and ``%20`` are nothing special in the keys of S3.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from motacli.remote.redaction import without_secrets

_SCHEME = re.compile(r"(?!hf(?:-hub)?:)[A-Za-z][A-Za-z0-9+.-]+:/")  # of two letters or more: C:/ is a drive
_EMPTY = "\x1f"


def is_remote(place: Path | str) -> bool:
    """Whether this is a URL, or a path made of one; addresses on the Hugging Face hub are none."""
    text = str(place)
    return ":/" in text and _SCHEME.match(text) is not None


def path_of(place: Path | str) -> Path:
    """A URL as a path, which `url_of` turns back; what is no URL is a path already."""
    text = str(place)
    if text.startswith("file:/"):
        return Path(unquote(urlsplit(text).path))
    if isinstance(place, Path) or not is_remote(text):
        return Path(place)
    scheme, rest = text.split(":/", 1)
    parts = rest.removeprefix("/").rstrip("/").split("/")
    return Path(f"{scheme}:", *(_EMPTY + part if part in ("", ".") else part for part in parts))


def url_of(path: Path | str) -> str:
    """The URL that a path was made of, secrets included: for whoever opens it, and nobody else."""
    scheme, rest = str(path).split(":/", 1)
    return f"{scheme}://{rest.removeprefix('/').replace(_EMPTY, '')}"


def shown(place: Path | str) -> str:
    """A path or URL for people and records: a URL as they write it, without what is secret in it."""
    return without_secrets(url_of(place)) if is_remote(place) else str(place)


def is_web(path: Path) -> bool:
    """Whether it is of HTTP, where names are quoted and a query may follow."""
    return str(path).startswith(("http:/", "https:/"))


def name_of(path: Path) -> str:
    """The name of a file, the same wherever the file is."""
    return unquote(_without_query(path).name) if is_web(path) else path.name


def stem_of(path: Path) -> str:
    """The name of a file without its ending."""
    return PurePosixPath(name_of(path)).stem if is_web(path) else path.stem


def suffix_of(path: Path) -> str:
    """The ending of a file's name, in lower case."""
    return PurePosixPath(name_of(path)).suffix.lower()


def folder_of(path: Path) -> Path:
    """The folder that a file is in."""
    return _without_query(path).parent


def beside(folder: Path, text: str) -> Path:
    """The file that a text names which stands in a file of ``folder``: a URL, an absolute path, or a relative one."""
    if "://" in text and is_remote(text):
        return path_of(text)
    if not is_remote(folder) or text.startswith("/"):
        return folder / text
    name = posixpath.normpath(text)
    while name.startswith("../"):
        folder, name = folder.parent, name[3:]
    return folder / (quote(name) if is_web(folder) else name)


def _without_query(path: Path) -> Path:
    return Path(re.split(r"[?#]", str(path), maxsplit=1)[0]) if is_web(path) else path
