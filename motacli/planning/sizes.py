"""Bytes on disk and in memory of what the toolkit writes, by the layout of its files. Tests hold them to real ones."""

from __future__ import annotations

import math
from pathlib import Path

from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Rejection, Triplet
from motacli.triplets.schema import line_of, reject_line

CHECKSUM_ROWS = 4096
CHUNK_BYTES = 1 << 19
HELD = 1 << 30
FULL_CODES = 256 * 64
HASH = 16
"""Digits of a prompt's digest in a triplet."""
_REFERENCE = 16
"""HDF5's reference to a text: length, address of the heap, number in it."""
_HEAP_ENTRY = 16


def cache_bytes(rows: float, joint_dim: float, number: int, texts: tuple[float, ...]) -> float:
    """A finished cache: features, and text features where ``texts`` holds the lengths of ids and captions.

    Numbers are in chunks of `CHUNK_BYTES` or less, the last of which is whole, too.
    """
    columns, row = len(texts), max(joint_dim * number, 1)
    chunk = max(1, min(rows, CHUNK_BYTES // row))
    numbers = math.ceil(rows / chunk) * chunk * joint_dim * number * columns
    return numbers + rows * sum(map(hdf5_text, texts)) + _checksums(rows, columns)


def _checksums(rows: float, columns: int) -> float:
    return 2 * columns * 32 * math.ceil(rows / CHECKSUM_ROWS)


def hdf5_text(length: float) -> float:
    """A text of variable length in HDF5: a reference, and an entry of a heap, with its NUL, in steps of eight bytes."""
    return _REFERENCE + _HEAP_ENTRY + 8 * math.ceil((length + 1) / 8)


def parts_bytes(rows: float, joint_dim: float, number: int, texts: tuple[float, ...]) -> float:
    """The parts of a cache: the same columns, without checksums in the files."""
    return rows * (joint_dim * number * len(texts) + sum(map(hdf5_text, texts)))


def virtual_bytes(rows: float, texts: tuple[float, ...]) -> float:
    """The small file over parts that stay: texts and checksums."""
    return rows * sum(map(hdf5_text, texts)) + _checksums(rows, len(texts))


def listing_bytes(rows: float, id: float, path: float, caption: float) -> float:
    """The list of a source in SQLite: the row, and its id again in an index; pages are nearly full."""
    return rows * (id + path + caption + 16 + id + 8) / 0.97


def triplet_bytes(id: float, reference: float, relative: float, target: float, generator: str, model: str = "") -> int:
    """A line of triplets; lengths are in bytes."""
    info = GeneratorInfo(generator, model, _text(HASH))
    name = _text(id)
    texts = (_text(reference), _text(relative), _text(target))
    return len(line_of(Triplet(f"{name}#0", name, name, *texts, "attribute", "change", info)))


def reject_bytes(id: float, caption: float, generator: str, model: str = "") -> int:
    """A line of refusals, which quotes the caption again."""
    row = ImageText(ImageRef(_text(id), Path()), _text(caption))
    rejection = Rejection("no safe edit", _text(17), _text(caption))
    return len(reject_line(row, rejection, GeneratorInfo(generator, model, _text(HASH))))


def frozen_bytes(triplets: float, joint_dim: float) -> float:
    """A store of what is frozen: features of two texts a triplet, at most, and its base composed feature.

    Each row has its number in the order it was computed in.
    """
    return 3 * triplets * (joint_dim * 4 + 8)


def held(count: float) -> float:
    """Bytes of features that a training has in memory: of one kind `HELD` at most, more are read from the disk."""
    return min(count, HELD)


def texts_memory(rows: float, length: float) -> float:
    """Texts in a list of Python's: 49 bytes and the letters of each, and its place in the list."""
    return rows * (49 + length + 8)


def vectors_bytes(rows: float, joint_dim: float, number: int) -> float:
    """Features of an index and their lengths."""
    return rows * (joint_dim * number + 4)


def entries_bytes(rows: float, id: float) -> float:
    """The list of an index's pictures in SQLite: id, digest and numbers, and the id again in an index."""
    return rows * ((id + 64 + 30) / 0.97 + (id + 8) / 0.9)


def hnsw_bytes(rows: float, joint_dim: float, links: int = 32) -> float:
    """Faiss' graph over rows in half precision: twice ``links`` on the ground, and ``links`` on each level above."""
    above = 1 / (links - 1)
    return rows * (joint_dim * 2 + 4 * (2 * links + links * above) + 8 + 4)


def ivfpq_lists(rows: float) -> float:
    """Lists of codes for so many rows, as the store `faiss` chooses."""
    return max(min(round(4 * math.sqrt(rows)), rows // 64), 1)


def ivfpq_bytes(rows: float, joint_dim: float) -> float:
    """Faiss' lists of codes, of as many bytes as an eighth of the width, with eight more for the row's number each.

    Where rows are too few to train 256 centroids on, codes have half the bits.
    """
    bits = 8 if rows >= FULL_CODES else 4
    return rows * (joint_dim // 8 * bits / 8 + 8) + (ivfpq_lists(rows) + 2**bits) * joint_dim * 4


def _text(length: float) -> str:
    return "x" * round(length)
