"""An index takes features that caches have: nothing is encoded that is there already, and nothing that does not fit."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from picture_folders import counting, draw, draw_all

from motacli.cache import CacheOptions, build_cache
from motacli.datasets import open_pictures
from motacli.errors import DataError
from motacli.plugins import PluginHost
from motacli.search.building import index_folder, update_index
from motacli.search.given import Given, _require_alike
from motacli.search.index import Index


class Case:
    """A folder of ten pictures and their features, in two files: of the first six, and of the others in parts."""

    def __init__(self, tmp_path: Path, host: PluginHost, backbone: Any) -> None:
        self.folder, self.path, self.host, self.backbone = tmp_path / "pictures", tmp_path / "my.mota", host, backbone
        draw_all(self.folder, 10)
        (self.folder / "broken.jpg").write_bytes(b"no picture")
        long_ago = time.time_ns() - 3600 * 10**9
        for file in self.folder.rglob("*.jpg"):
            os.utime(file, ns=(long_ago, long_ago))
        refs = list(open_pictures(self.folder))
        self.files = [tmp_path / "one.h5", tmp_path / "two.h5"]
        for file, own, layout in ((self.files[0], refs[:6], "single"), (self.files[1], refs[6:], "parts")):
            options = CacheOptions(layout=layout, strict=False)
            build_cache(file, backbone, own, batch_size=4, options=options)

    def build(self, path: Path, **how: Any) -> tuple[Any, int]:
        """The report, and how many pictures were encoded."""
        with counting(self.backbone) as rows:
            report = index_folder(path, self.folder, host=self.host, **how)
        return report, sum(rows)


@pytest.fixture
def case(tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> Case:
    return Case(tmp_path, host, tiny_backbone)


def test_nothing_is_encoded_that_is_there(case: Case, tmp_path: Path) -> None:
    report, encoded = case.build(case.path, features=case.files, thumbnails=8)
    assert (report.rows, report.taken, report.encoded, report.broken, encoded) == (10, 10, 0, 1, 0)
    case.build(tmp_path / "plain.mota")
    with Index.open(case.path) as mine, Index.open(tmp_path / "plain.mota") as plain:
        assert list(mine.entries) == list(plain.entries)
        np.testing.assert_allclose(mine.vectors.stored, plain.vectors.stored, rtol=1e-3, atol=1e-3)
        assert mine.thumbnail(mine.entries.get([7])[0]) is not None
    with counting(case.backbone) as rows:
        assert update_index(case.path, host=case.host).kept == 10 and not rows


def test_what_is_not_there_is_encoded(case: Case) -> None:
    changed = draw(case.folder / "00/00002.jpg", 100)
    os.utime(changed, ns=(time.time_ns() + 3600 * 10**9,) * 2)
    report, encoded = case.build(case.path, features=case.files[:1])
    assert (report.taken, report.encoded, encoded) == (5, 5, 5)
    draw(case.folder / "new.jpg", 101)
    later = case.files[0].with_name("later.h5")
    build_cache(later, case.backbone, list(open_pictures(case.folder))[-1:], options=CacheOptions())
    with counting(case.backbone) as rows:
        report = update_index(case.path, host=case.host, features=[later])
    assert (report.added, report.taken, report.encoded, rows) == (1, 1, 0, [])


def test_what_does_not_fit_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"both have '00/00000\.jpg'"):
        case.build(case.path, features=[case.files[0]] * 2)
    elsewhere = tmp_path / "elsewhere.h5"
    refs = [replace(ref, id=f"x/{ref.id}") for ref in list(open_pictures(case.folder))[:2]]
    build_cache(elsewhere, case.backbone, refs, options=CacheOptions(dtype="float16"))
    with pytest.raises(DataError, match=r"its first id is 'x/00/00000\.jpg', the folder has '00/00000\.jpg'"):
        case.build(case.path, features=[elsewhere])
    with pytest.raises(DataError, match="are float16"):
        case.build(case.path, features=[elsewhere], dtype="float32")
    case.build(case.path, features=case.files)
    with Index.open(case.path) as index:
        [cache] = Given.open(case.files[:1], index.config).caches
        for said, other in (
            ("another backbone", replace(cache.header, fingerprint="0" * 16)),
            ("lost their lengths", replace(cache.header, normalised=True)),
            ("autocast", replace(cache.header, computed={"autocast": "bf16"})),
        ):
            cache.header, cache.fingerprint, cache.normalised = other, other.fingerprint, other.normalised
            with pytest.raises(DataError, match=said):
                _require_alike(cache, index.config)
    with h5py.File(case.files[0], "r+") as file:
        file["features"][0, 0] += 1
    with pytest.raises(DataError, match="do not match their checksum"):
        update_index(case.path, host=case.host, features=case.files)
