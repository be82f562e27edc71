"""Data sets on the Hugging Face hub: ``hf-hub:OWNER/NAME?split=train&config=...&revision=...``.

Rows are streamed. A picture that they hold is a row of the split: the first one that is opened downloads the split into
the library's own cache. ``hf://`` does for ``hf-hub:``, and a local folder for the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.arrow import missing, place_of
from motacli.datasets.columns import USUAL, Columns, image_at, image_text
from motacli.datasets.tables import cells
from motacli.errors import DataError, MotaError, did_you_mean, first_line
from motacli.extras import needed

EXTRA = "hf-data"
# A `Path` made of hf:// has lost one of its slashes.
_ADDRESS = re.compile(r"(?:hf-hub:|hf://?)(?:datasets/)?([^?]*)(?:\?(.*))?")


class Address(NamedTuple):
    """A data set of the hub, and which part of it."""

    name: str
    split: str = "train"
    config: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        more = f"&config={self.config}" if self.config else ""
        return f"hf-hub:{self.name}?split={self.split}{more}{f'&revision={self.revision}' if self.revision else ''}"


@dataclass(frozen=True)
class HubSource:
    """The rows of a data set of the hub, streamed; the id of a picture that they hold is ``split/number``."""

    address: str
    columns: Columns = USUAL

    def __post_init__(self) -> None:
        parse_address(self.address)
        needed("datasets", EXTRA, self.address)

    def __iter__(self) -> Iterator[ImageText]:
        address = parse_address(self.address)
        names: list[str] = []
        for number, record in enumerate(_records(address, self.columns)):
            where = f"{address}: row {number}"
            names = names or self.columns.names_in(list(record), where)
            picture, caption, *own = cells(record, names, where)
            if isinstance(picture, (dict, bytes)):
                ref = ImageRef(f"{address.split}/{number}", Path(str(address)), member=f"{names[0]}/{number}")
            else:
                ref = image_at(Path(), picture, where)
            yield image_text(ref, caption, where, *own)
        if not names:
            raise DataError(f"{address} has no rows", "is it the right split?")


def is_hub(path: Path | str) -> bool:
    """Whether this is an address on the hub."""
    return _ADDRESS.fullmatch(str(path)) is not None


def parse_address(text: str) -> Address:
    """The parts of an address; `DataError` for one that is not of the form above."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not match[1]:
        raise DataError(f"{text!r} names no data set", "expected hf-hub:OWNER/NAME?split=train")
    asked = dict(parse_qsl(match[2] or "", keep_blank_values=True))
    known = Address._fields[1:]
    for key, value in asked.items():
        if key not in known:
            raise DataError(f"{text!r}: unknown part {key!r}", did_you_mean(key, known))
        if not value:
            raise DataError(f"{text!r}: {key!r} is empty", "leave it out, or give it a value")
    return Address(match[1], **asked)


def read_picture(path: Path, member: str) -> bytes:
    """The bytes of the picture at ``column/number`` of a split, which is downloaded if it is not yet there."""
    name, number = place_of(path, member)
    rows = _downloaded(parse_address(str(path)))
    if name not in rows.column_names or number >= len(rows):
        raise missing(path, member)
    cell = rows.select_columns([name])[number][name]
    if isinstance(cell, Mapping) and cell.get("bytes") is None and cell.get("path"):
        return Path(cell["path"]).read_bytes()
    found = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if not isinstance(found, bytes):
        raise missing(path, member)
    return found


def _records(address: Address, columns: Columns) -> Iterator[dict[str, Any]]:
    """The rows, pictures as they are stored, without other columns if the data set says which it has."""
    with _explained(address):
        stream = _load(address, streaming=True)
        if stream.column_names:
            stream = stream.select_columns(columns.names_in(stream.column_names, str(address)))
        rows = iter(_undecoded(stream))
    while True:
        with _explained(address):
            record = next(rows, None)
        if record is None:
            return
        yield record


@lru_cache(maxsize=4)
def _downloaded(address: Address) -> Any:
    with _explained(address):
        return _undecoded(_load(address, streaming=False))


def _load(address: Address, streaming: bool) -> Any:
    datasets = needed("datasets", EXTRA, str(address))
    how = {"split": address.split, "revision": address.revision, "streaming": streaming}
    return datasets.load_dataset(address.name, address.config, **how)


def _undecoded(rows: Any) -> Any:
    """The same rows with pictures as stored: looking at ids and captions decodes none."""
    image = needed("datasets", EXTRA, "a data set of the hub").Image
    for name, feature in (rows.features or {}).items():
        if isinstance(feature, image):
            rows = rows.cast_column(name, image(decode=False))
    return rows


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    try:
        yield
    except MotaError:
        raise
    except Exception as error:  # the library raises those of whichever client and format it uses
        reason = first_line(error)
        raise MotaError(f"could not read {address}: {reason}", "is its name right, and the network there?") from error
