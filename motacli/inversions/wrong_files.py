"""What a file is that holds no inversion network, for errors that say so: pages, pictures, archives, other weights."""

from __future__ import annotations

import zipfile
from codecs import getincrementaldecoder
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from motacli.runs import explained

_READ = 512
_SHOWN = 40


@dataclass(frozen=True)
class WrongFile:
    """What a file is, as in "it is ...", and what to do about it."""

    what: str
    hint: str


_DOWNLOAD = "delete it and download it again; where a page asks to confirm, use a browser"
_DAMAGED = WrongFile("damaged or cut short", "copy it again")
_UNKNOWN = WrongFile("damaged, or no file that torch or safetensors wrote", "copy it again, or give another")
_PICTURE = WrongFile("a picture", "give a file of weights")
_MAGIC = {
    b"version https://git-lfs": WrongFile("a pointer of git-lfs, not the file it stands for", "run `git lfs pull`"),
    b"\x89PNG": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"GIF8": _PICTURE,
    b"RIFF": WrongFile("a WebP picture or another RIFF file", "give a file of weights"),
    b"%PDF": WrongFile("a PDF document", "give a file of weights"),
    b"\x89HDF": WrongFile("an HDF5 file", "features go to --features; give a file of weights"),
    b"\x93NUMPY": WrongFile("a NumPy array", "give a file of weights"),
    b"\x1f\x8b": WrongFile("a gzip archive", "unpack it and give the file of weights in it"),
}
"""First bytes of files that are taken for weights now and then."""
_PAGES = (b"<!doctype html", b"<html", b"<head")


def sniff(path: Path) -> WrongFile:
    """What a file that cannot be read is, by its first bytes and, for a zip archive, by the names in it."""
    with explained(path), path.open("rb") as file:
        start = file.read(_READ)
    if not start:
        return WrongFile("empty", _DOWNLOAD)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return WrongFile("a web page, as a failed download leaves it", _DOWNLOAD)
    known = next((found for magic, found in _MAGIC.items() if start.startswith(magic)), None)
    return known or _archive(path, start) or _text(start) or _UNKNOWN


def _archive(path: Path, start: bytes) -> WrongFile | None:
    if not start.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return _DAMAGED
    if any(name.endswith("/constants.pkl") for name in names):
        hint = "OpenAI's CLIP comes as one: --pretrained openai loads it; an inversion network is a state dict"
        return WrongFile("a TorchScript program", hint)
    if any(name.endswith("data.pkl") for name in names):
        renamed = path.suffix == ".safetensors"
        return WrongFile("a checkpoint of torch by another name", "let it end in .pt") if renamed else _DAMAGED
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return WrongFile(f"a zip archive of {shown or 'nothing'}", "unpack it and give the file of weights in it")


def _text(start: bytes) -> WrongFile | None:
    try:
        words = getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut in two
    except UnicodeDecodeError:
        return None
    if not all(letter.isprintable() or letter.isspace() for letter in words):
        return None
    line = words.strip().split("\n")[0].strip()
    return WrongFile(f"text that begins with {line[:_SHOWN]!r}", "give a file of weights")


# ---------------------------------------------------------------------------------------------- weights of other things


_MODELS = {
    "a whole CLIP of the transformers library": ("text_model.", "vision_model."),
    "a CLIP text tower of the transformers library, as RTD trains it": ("text_model.",),
    "a whole CLIP": ("token_embedding.", "visual."),
    "a whole CLIP with a text tower of its own": ("text.token_embedding.", "visual."),
    "a CLIP text tower": ("token_embedding.",),
}
"""Models and what keys of their weights begin with, the most particular first."""


def what_weights(keys: Collection[str]) -> str:
    """Whose weights have such keys, in words; the first keys themselves where that is not known."""
    for name, starts in _MODELS.items():
        if all(any(key.startswith(start) for key in keys) for start in starts):
            return f"the weights of {name}"
    shown = ", ".join(list(keys)[:3]) or "nothing"
    return f"weights called {shown}" + (", ..." if len(keys) > 3 else "")
