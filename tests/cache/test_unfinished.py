"""A reader of what is finished never sees less than whole parts, nor anything that the finished file does not hold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour import Colour, Stopping, paint
from forked import finished, forked
from watching import build_slowly

from motacli.cache import CacheOptions, FeatureCache, FinishedPart, build_cache, encoding, open_finished
from motacli.cache.manifest import read_manifest, replace_manifest
from motacli.cache.repairing import repair_cache
from motacli.cache.work import MANIFEST
from motacli.contracts import ImageRef, ImageText
from motacli.errors import DataError
from motacli.runs import partial_path

BROKEN = (5, 40)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(120):
        paint(folder, f"{number:03}.png", (number, 255 - number, number // 2))
    for number in BROKEN:
        (folder / f"{number:03}.png").write_bytes(b"not found")
    return folder


def watch(pictures: Path, out: Path, layout: str) -> list[FinishedPart]:
    """Run a builder to its end; every view that could be had meanwhile, read while it ran."""
    views: list[FinishedPart] = []
    builder = forked(build_slowly, pictures, out, layout)
    while builder.is_alive():
        time.sleep(0.01)
        try:
            view = open_finished(out)
        except DataError as error:
            assert error.message.startswith("no such") or error.message.endswith("is complete"), error
            continue
        assert len(view.features()) == len(view.ids) == len(view)
        views.append(view)
    finished(builder)
    return views


def require_prefixes(views: list[FinishedPart], whole: FeatureCache, start: int = 0) -> None:
    """All views hold whole parts from the first row on, and what the finished file holds, now that it is there, too."""
    features = whole.features()[start:]
    assert [view.done for view in views] == sorted(view.done for view in views)
    for view in views:
        edges = [(part.start, part.stop) for part in view.parts]
        assert (
            edges == sorted(edges) and [start for start, _ in edges] == [0, *(stop for _, stop in edges)][: len(edges)]
        )
        assert view.ids == whole.ids[start : start + len(view)]
        assert np.array_equal(view.features(), features[: len(view)])


@pytest.mark.parametrize("layout", ["single", pytest.param("parts", marks=pytest.mark.thorough)])
def test_views_while_a_builder_runs(layout: str, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    views = watch(pictures, out, layout)
    whole = FeatureCache(out)
    assert len(whole) == 118 and len({len(view) for view in views}) > 5 and any(view.broken for view in views)
    require_prefixes(views, whole)
    with pytest.raises(DataError, match="is complete"):
        open_finished(out)

    for number in range(120, 160):
        paint(pictures, f"{number:03}.png", (number, 0, 0))
    try:
        views = watch(pictures, out, layout)
    finally:
        for number in range(120, 160):
            (pictures / f"{number:03}.png").unlink()
    assert len(FeatureCache(out)) == 158 and len({len(view) for view in views}) > 2
    require_prefixes(views, FeatureCache(out), start=118)


@pytest.fixture
def stopped(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unfinished cache of 18 pictures of 20, with captions, in parts of four."""
    monkeypatch.setattr(encoding, "PART_ROWS", 4)
    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build(pictures, out, Stopping(Colour(), "encode_image", 9, KeyboardInterrupt()))
    return out


def build(pictures: Path, out: Path, backbone: Any) -> FeatureCache:
    rows = [ImageText(ref, f"a picture: {ref.id}") for ref in map(ref_of, sorted(pictures.iterdir())[20:40])]
    return build_cache(out, backbone, rows, batch_size=2, options=CacheOptions(dtype="float16"))


def ref_of(file: Path) -> ImageRef:
    return ImageRef(file.name, file)


def test_what_is_saved_is_a_cache_that_goes_on(stopped: Path, pictures: Path, tmp_path: Path) -> None:
    view = open_finished(stopped)
    assert len(view) == view.done == 18 and view.captions()[0] == "a picture: 020.png" and view.plan.rows == 20
    saved = view.save(tmp_path / "part.h5")
    assert saved.ids == view.ids and not saved.has_captions and saved.header.dtype == "float16"
    assert np.array_equal(saved.features(), view.features())
    saved.require(Colour())  # type: ignore[arg-type]
    rest = [ref_of(file) for file in sorted(pictures.iterdir())[20:40]]
    grown = build_cache(saved.path, Colour(), rest, options=CacheOptions(append=True))  # type: ignore[arg-type]
    whole = build(pictures, stopped, Colour())
    assert grown.ids == whole.ids and np.array_equal(grown.features(), whole.features())
    assert np.array_equal(view.features(), whole.features()[:18]) and view.captions() == whole.captions()[:18]


def test_damage_and_gaps_are_not_passed_on(stopped: Path) -> None:
    view, manifest = open_finished(stopped), partial_path(stopped) / MANIFEST
    parts = read_manifest(manifest)
    file = partial_path(stopped) / parts[1].file
    data = bytearray(file.read_bytes())
    place = data.find(np.asarray(view.features()[4], np.float16).tobytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="is damaged: it does not match its checksum"):
        view.features()
    repair_cache(stopped)
    assert len(open_finished(stopped)) == parts[0].rows
    replace_manifest(manifest, parts[1:])
    assert len(open_finished(stopped)) == 0
    with pytest.raises(DataError, match="nothing is finished yet"):
        open_finished(stopped).save(stopped.with_name("none.h5"))


def test_a_cache_that_was_built_anew_is_another(stopped: Path, pictures: Path) -> None:
    view = open_finished(stopped)
    build(pictures, stopped, Colour())
    assert len(view.features()) == 18
    stopped.unlink()
    others = [ref_of(file) for file in sorted(pictures.iterdir())[60:100]]
    build_cache(stopped, Colour(), others)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="built anew meanwhile"):
        view.features()
