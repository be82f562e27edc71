"""Caches that mota wrote before format 2: float32, one checksum over everything. They can be read, not added to."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from motacli.cache.header import FILE, Header
from motacli.errors import DataError
from motacli.hdf5 import digest_rows, text_digest

_NAMES = ("format", "backbone", "fingerprint", "joint_dim", "mota", "created", "rows")


def is_old(file: h5py.File) -> bool:
    """Whether a file says that it is of format 1."""
    return bool(file.attrs.get("format") == 1)


def read_old(file: h5py.File, path: Path) -> Header:
    """Its header; `DataError` where it is damaged or was never finished."""
    with FILE.explaining_damage(path):
        if not all(name in file.attrs for name in (*_NAMES, "sha256")):
            raise DataError(f"{path} is no feature file of mota", FILE.again)
        width, count = int(file.attrs["joint_dim"]), len(file["ids"])
        names = ("features", "text_features") if "captions" in file else ("features",)
        for name in names:
            if file[name].shape != (count, width) or file[name].dtype != np.float32:
                raise DataError(f"{path} is damaged: {name!r} is {file[name].dtype} {file[name].shape}", FILE.again)
        if any(int(done) < count for done in file["done"][: len(names)]):
            raise DataError(f"{path} is unfinished: {int(file['done'][0])} of {count} pictures", FILE.again)
        return Header(
            backbone=str(file.attrs["backbone"]),
            fingerprint=str(file.attrs["fingerprint"]),
            joint_dim=width,
            source=str(file.attrs["rows"]),
            count=count,
            created=str(file.attrs["created"]),
            mota=str(file.attrs["mota"]),
            format=1,
        )


def require_intact(file: h5py.File, path: Path) -> None:
    """Raise `DataError` unless attributes, ids, captions and features match the checksum."""
    attributes = {name: str(file.attrs[name]) for name in _NAMES}
    captions = file["captions"].asstr()[:] if "captions" in file else ()
    digest = text_digest([json.dumps(attributes, sort_keys=True)], file["ids"].asstr()[:], captions)
    for name in ("features", "text_features") if "captions" in file else ("features",):
        digest_rows(digest, file[name])
    if file.attrs["sha256"] != np.bytes_(digest.hexdigest()):
        raise DataError(f"{path} is damaged: its contents do not match its checksum", FILE.again)
