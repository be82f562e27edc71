"""A disk that is full, and one that is read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from colour import Colour, paint

from motacli.cache import FeatureCache, build_cache, encoding, finishing, parts
from motacli.cache.manifest import read_manifest
from motacli.cache.work import MANIFEST
from motacli.contracts import ImageRef
from motacli.errors import MotaError
from motacli.runs import partial_path


@pytest.fixture
def refs(tmp_path: Path) -> list[ImageRef]:
    return [paint(tmp_path / "pictures", f"{number:02}.png", (number, 100, 255 - number)) for number in range(24)]


def test_a_full_disk_is_told_and_finished_parts_stay(
    refs: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 4)
    room = iter(range(2))

    def sync(handle: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)

    out = tmp_path / "f.h5"
    with monkeypatch.context() as patch:
        patch.setattr(parts, "sync", sync)
        with pytest.raises(MotaError, match=r"no space left for .*MB free"):
            build_cache(out, Colour(), refs, batch_size=4)  # type: ignore[arg-type]
    kept = read_manifest(partial_path(out) / MANIFEST)
    assert [(part.start, part.stop) for part in kept] == [(0, 4), (4, 8)] and not out.exists()
    made = build_cache(out, Colour(), refs, batch_size=4)  # type: ignore[arg-type]
    assert np.array_equal(made.features(), build_cache(tmp_path / "g.h5", Colour(), refs).features())  # type: ignore[arg-type]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class Wide(Colour):
    """Features that fill a disk."""

    joint_dim = 5400

    def encode_image(self, pixels):  # type: ignore[no-untyped-def]
        return super().encode_image(pixels).repeat(1, 1800)


def test_a_small_disk(refs: list[ImageRef], small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 4)
    (small_disk / "else").write_bytes(bytes(800_000))
    out = small_disk / "f.h5"
    with pytest.raises(MotaError, match="no space left"):
        build_cache(out, Wide(), refs, batch_size=4)  # type: ignore[arg-type]
    kept = read_manifest(partial_path(out) / MANIFEST)
    assert 1 <= len(kept) < 6 and not out.exists()
    (small_disk / "else").unlink()
    with pytest.raises(MotaError, match=r"no space left for .*f\.h5: it takes"):  # parts and the whole do not fit
        build_cache(out, Wide(), refs, batch_size=4)  # type: ignore[arg-type]
    assert len(read_manifest(partial_path(out) / MANIFEST)) == 6 and not out.exists()
    monkeypatch.setattr(finishing, "_require_space", lambda *_: None)  # as if it filled up just then
    with pytest.raises(MotaError, match=r"no space left for"):
        build_cache(out, Wide(), refs, batch_size=4)  # type: ignore[arg-type]
    assert len(read_manifest(partial_path(out) / MANIFEST)) == 6 and not out.exists()


def test_a_read_only_disk(refs: list[ImageRef], small_disk: Path) -> None:
    build_cache(small_disk / "old.h5", Colour(), refs)  # type: ignore[arg-type]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(MotaError, match="read-only"):
        build_cache(small_disk / "f.h5", Colour(), refs)  # type: ignore[arg-type]
    assert len(FeatureCache(small_disk / "old.h5")) == 24
