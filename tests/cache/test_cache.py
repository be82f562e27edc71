"""Feature files: what they hold, that an interrupted one goes on, and that a damaged or foreign one is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from colour import Colour, Stopping, paint
from forked import forked
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from motacli.cache import FeatureCache, build_cache, encoding
from motacli.cache.manifest import read_manifest
from motacli.cache.work import MANIFEST
from motacli.console import NullProgress
from motacli.contracts import ImageRef, ImageText
from motacli.datasets import open_source
from motacli.errors import DataError, MotaError
from motacli.hdf5 import text_digest
from motacli.runs import partial_path
from motacli.tiny.make import make_pairs


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[ImageText]:
    folder = tmp_path_factory.mktemp("world")
    make_pairs(folder, seed=3, count=40)
    return list(open_source(folder))


@pytest.fixture(scope="module")
def whole(pairs: list[ImageText], tiny_backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A feature file made in one go."""
    return build_cache(tmp_path_factory.mktemp("whole") / "f.h5", tiny_backbone, pairs, batch_size=8)


def same(one: FeatureCache, other: FeatureCache) -> bool:
    return (
        one.ids == other.ids
        and np.array_equal(one.features(), other.features())
        and one.captions() == other.captions()
        and np.array_equal(one.text_features(), other.text_features())
    )


def write_format_1(path: Path, cache: FeatureCache) -> Path:
    """The same as earlier versions of mota wrote it."""
    names = {"ids": cache.ids, "captions": cache.captions()}
    about = {"format": 1, "backbone": cache.backbone, "fingerprint": cache.fingerprint, "joint_dim": cache.joint_dim}
    about |= {"mota": "0.1.0", "created": "2026-01-01T00:00:00+00:00", "rows": cache.header.source}
    digest = text_digest(
        [json.dumps({key: str(value) for key, value in about.items()}, sort_keys=True)], *names.values()
    )
    with h5py.File(path, "w") as file:
        file.attrs.update(about)
        file["done"] = np.array([len(cache), len(cache)])
        for name, texts in names.items():
            file.create_dataset(name, data=list(texts), dtype=h5py.string_dtype())
        for name, values in {"features": cache.features(), "text_features": cache.text_features()}.items():
            file[name] = values
            digest.update(values.tobytes())
        file.attrs["sha256"] = np.bytes_(digest.hexdigest())
    return path


# ---------------------------------------------------------------------------------------------- contents


def test_it_holds_what_the_backbone_says(whole: FeatureCache, pairs: list[ImageText], tiny_backbone: Any) -> None:
    assert whole.ids == tuple(pair.image.id for pair in pairs) and whole.ids[0] == "images/000000.png"
    assert whole.fingerprint == tiny_backbone.fingerprint() and (whole.backbone, whole.joint_dim) == ("tiny", 128)
    picked = [pairs[30], pairs[2], pairs[30]]
    with Image.open(pairs[2].image.path) as image:
        feature = tiny_backbone.encode_image(tiny_backbone.preprocess(image)[None]).numpy()[0]
    found = whole.features([pair.image.id for pair in picked])
    assert found.dtype == np.float32 and np.array_equal(found[0], found[2])
    assert np.allclose(found[1], feature, atol=1e-4) and not np.isclose(np.linalg.norm(feature), 1, atol=0.05)
    assert whole.captions([pair.image.id for pair in picked]) == tuple(pair.caption for pair in picked)
    text = tiny_backbone.encode_text([pairs[2].caption]).numpy()
    assert np.allclose(whole.text_features([pairs[2].image.id]), text, atol=1e-4)
    whole.require(tiny_backbone)


def test_pictures_alone_have_no_captions(tmp_path: Path) -> None:
    refs = [paint(tmp_path, "red.png", (255, 0, 0)), paint(tmp_path, "blue.png", (0, 0, 255))]
    cache = build_cache(tmp_path / "f.h5", Colour(), refs)  # type: ignore[arg-type]
    assert np.array_equal(cache.features(["blue.png"]), [[0, 0, 1]]) and not cache.has_captions
    for ask in (cache.captions, cache.text_features):
        with pytest.raises(DataError, match="holds no captions"):
            ask(["red.png"])


def test_unknown_ids_are_counted(whole: FeatureCache) -> None:
    with pytest.raises(DataError, match=r"no features of 2 of 3 pictures, the first is 'nowhere\.png'"):
        whole.features(["nowhere.png", whole.ids[0], "else.png"])


def test_an_id_that_stands_for_two_pictures_is_refused(tmp_path: Path) -> None:
    red, blue = paint(tmp_path / "a", "x.png", (255, 0, 0)), paint(tmp_path / "b", "x.png", (0, 0, 255))
    with pytest.raises(DataError, match=r"'x\.png' stands for two pictures: .*a/x\.png and .*b/x\.png"):
        build_cache(tmp_path / "f.h5", Colour(), [red, blue])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="stands for two pictures"):
        build_cache(tmp_path / "f.h5", Colour(), [red, replace(red, box=(0.0, 0.0, 1.0, 1.0))])  # type: ignore[arg-type]
    assert not list(tmp_path.glob("f.h5*"))


def test_a_picture_that_occurs_twice_is_one_row_and_lost_captions_are_told(tmp_path: Path) -> None:
    class Listening(NullProgress):
        def warn(self, message: str) -> None:
            said.append(message)

    said: list[str] = []
    red = paint(tmp_path, "red.png", (255, 0, 0))
    rows = [ImageText(red, "first"), ImageText(red, "first"), ImageText(red, "second")]
    cache = build_cache(tmp_path / "f.h5", Colour(), rows, progress=Listening())  # type: ignore[arg-type]
    assert cache.ids == ("red.png",) and cache.captions() == ("first",)
    assert len(said) == 1 and said[0].startswith("1 further caption")


@pytest.mark.parametrize("text", ["nul \0 inside", "half a pair \ud800"])
def test_text_that_cannot_be_stored_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"NUL|surrogate"):
        build_cache(tmp_path / "f.h5", Colour(), [ImageText(paint(tmp_path, "a.png", (0, 0, 0)), text)])  # type: ignore[arg-type]


def test_missing_pictures_are_told_before_anything_is_written(tmp_path: Path) -> None:
    refs = [paint(tmp_path, "a.png", (1, 2, 3)), ImageRef("b", tmp_path / "b.png"), ImageRef("c", tmp_path / "c.png")]
    with pytest.raises(DataError, match=r"2 of 3 pictures are missing, the first is .*b\.png"):
        build_cache(tmp_path / "f.h5", Colour(), refs)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("f.h5*"))


def test_no_pictures_and_a_taken_name_are_refused(tmp_path: Path, whole: FeatureCache, tiny_backbone: Any) -> None:
    with pytest.raises(DataError, match="no pictures"):
        build_cache(tmp_path / "f.h5", tiny_backbone, [])
    with pytest.raises(MotaError, match="exists already"):
        build_cache(whole.path, tiny_backbone, [paint(tmp_path, "a.png", (0, 0, 0))], resume=True)


# ---------------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize(("method", "calls"), [("encode_image", 0), ("encode_image", 3), ("encode_text", 4)])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
def test_an_interrupted_file_goes_on(
    method: str,
    calls: int,
    error: BaseException,
    tmp_path: Path,
    pairs: list[ImageText],
    whole: FeatureCache,
    tiny_backbone: Any,
) -> None:
    out = tmp_path / "f.h5"
    with pytest.raises(type(error)):
        build_cache(out, Stopping(tiny_backbone, method, calls, error), pairs, batch_size=8)  # type: ignore[arg-type]
    assert not out.exists() and partial_path(out).exists()
    with pytest.raises(MotaError, match="--resume"):
        build_cache(out, tiny_backbone, pairs, batch_size=8, resume=False)

    encoded: list[int] = []
    counting = Stopping(tiny_backbone, "encode_image", 99, error)
    counting._count = lambda call, pixels: encoded.append(len(pixels)) or call(pixels)  # type: ignore[method-assign]
    again = build_cache(out, counting, pairs, batch_size=8, resume=True)  # type: ignore[arg-type]
    assert same(again, whole)
    assert sum(encoded) == (40 - 8 * calls if method == "encode_image" else 0)
    assert not partial_path(out).exists()


class Killed(Colour):
    """Ends its own process in its fourth batch."""

    left = 3

    def encode_image(self, pixels):  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left < 0:
            time.sleep(0.5)  # the thread that writes has written by now
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_image(pixels)


def build_killed(data: Path, out: Path) -> None:
    encoding.PART_ROWS = 16
    build_cache(out, Killed(), open_source(data), batch_size=8)  # type: ignore[arg-type]


def test_what_was_written_outlives_kill_9(tmp_path: Path, pairs: list[ImageText]) -> None:
    out = tmp_path / "f.h5"
    builder = forked(build_killed, pairs[0].image.path.parents[1], out)
    builder.join(timeout=120)
    assert builder.exitcode == -signal.SIGKILL
    (part,) = read_manifest(partial_path(out) / MANIFEST)
    assert (part.kind, part.start, part.stop, part.rows) == ("images", 0, 16, 16)
    resumed = build_cache(out, Colour(), pairs, batch_size=8, resume=True)  # type: ignore[arg-type]
    assert same(resumed, build_cache(tmp_path / "whole.h5", Colour(), pairs, batch_size=8))  # type: ignore[arg-type]


def test_half_written_files_and_lines_do_not_count(unfinished: Path, pairs: list[ImageText]) -> None:
    work = partial_path(unfinished)
    (part,) = work.glob("*-images-*.h5")
    half = part.with_name(part.name.replace("0000000000-0000000016", "0000000016-0000000032"))
    half.write_bytes(part.read_bytes()[:1000])
    with (work / MANIFEST).open("ab") as file:
        file.write(b'{"kind": "images", "start": 16, "st')
    cache = build_cache(unfinished, Colour(), pairs, batch_size=8)  # type: ignore[arg-type]
    assert same(cache, build_cache(unfinished.with_name("whole.h5"), Colour(), pairs, batch_size=8))  # type: ignore[arg-type]


def test_a_damaged_part_is_not_put_in(unfinished: Path, pairs: list[ImageText]) -> None:
    (part,) = partial_path(unfinished).glob("*-images-*.h5")
    with h5py.File(part, "r+") as file:
        file["features"][3] = 0.5
    with pytest.raises(DataError, match=r"images.*h5 is damaged.*mota cache repair"):
        build_cache(unfinished, Colour(), pairs, batch_size=8)  # type: ignore[arg-type]
    assert not unfinished.exists()


@pytest.fixture
def unfinished(tmp_path: Path, pairs: list[ImageText]) -> Path:
    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build_cache(out, Stopping(Colour(), "encode_image", 2, KeyboardInterrupt()), pairs, batch_size=8)  # type: ignore[arg-type]
    return out


def test_another_backbone_cannot_go_on(unfinished: Path, pairs: list[ImageText], tiny_backbone: Any) -> None:
    with pytest.raises(DataError, match=r"begun with another backbone, 'colour' \(c0104.*not 'tiny' \(") as raised:
        build_cache(unfinished, tiny_backbone, pairs, resume=True)
    assert tiny_backbone.fingerprint() in raised.value.message


@pytest.mark.parametrize("change", ["order", "caption", "fewer"])
def test_other_rows_cannot_go_on(change: str, unfinished: Path, pairs: list[ImageText]) -> None:
    changed = {
        "order": pairs[::-1],
        "caption": [replace(pairs[0], caption="else"), *pairs[1:]],
        "fewer": pairs[:-1],
    }[change]
    with pytest.raises(DataError, match="begun with other pictures or captions"):
        build_cache(unfinished, Colour(), changed, resume=True)  # type: ignore[arg-type]


def test_an_unfinished_file_is_not_read(unfinished: Path) -> None:
    with pytest.raises(DataError, match=r"unfinished: 16 of 40 .*the same `mota cache`"):
        FeatureCache(unfinished)


# ---------------------------------------------------------------------------------------------- refusals


def test_other_features_are_refused_with_both_fingerprints(whole: FeatureCache) -> None:
    with pytest.raises(DataError) as raised:
        whole.require(Colour())  # type: ignore[arg-type]
    assert whole.fingerprint in raised.value.message and Colour().fingerprint() in raised.value.message
    assert "--model" in raised.value.hint


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not HDF5")
    h5py.File(tmp_path / "foreign.h5", "w").close()
    cases = {
        "none.h5": "no such feature file",
        "text.h5": "not a readable HDF5",
        "foreign.h5": "no feature file of mota",
    }
    for name, said in cases.items():
        with pytest.raises(DataError, match=said):
            FeatureCache(tmp_path / name)
    with pytest.raises(DataError, match="is a folder"):
        FeatureCache(tmp_path)


def test_another_format_is_refused(whole: FeatureCache, tmp_path: Path) -> None:
    copy = shutil.copy(whole.path, tmp_path / "f.h5")
    with h5py.File(copy, "r+") as file:
        file.attrs["format"] = 3
    with pytest.raises(DataError, match="format 3 is not 2"):
        FeatureCache(copy)


def test_a_cut_off_file_is_refused(whole: FeatureCache, tmp_path: Path) -> None:
    data = whole.path.read_bytes()
    for kept in (100, len(data) // 2, len(data) - 1000):
        (tmp_path / "f.h5").write_bytes(data[:kept])
        with pytest.raises(DataError, match=r"f\.h5 is (damaged|not a readable)"):
            FeatureCache(tmp_path / "f.h5")


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_harmless(
    where: float, bit: int, whole: FeatureCache, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(whole.path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    path.write_bytes(data)
    try:
        read = FeatureCache(path)
    except DataError as error:
        assert str(path) in error.message
    else:
        assert same(read, whole) and read.fingerprint == whole.fingerprint


def test_a_file_of_format_1_is_read(whole: FeatureCache, tmp_path: Path) -> None:
    path = write_format_1(tmp_path / "old.h5", whole)
    assert same(FeatureCache(path), whole) and FeatureCache(path).fingerprint == whole.fingerprint
    with h5py.File(path, "r+") as file:
        file["features"][7] = file["features"][8]
    with pytest.raises(DataError, match="checksum"):
        FeatureCache(path)


@pytest.mark.parametrize("name", ["features", "text_features", "captions", "ids"])
def test_a_changed_value_is_noticed(name: str, whole: FeatureCache, tmp_path: Path) -> None:
    copy = shutil.copy(whole.path, tmp_path / "f.h5")
    with h5py.File(copy, "r+") as file:
        file[name][7] = "else" if name in ("captions", "ids") else file[name][8]
    with pytest.raises(DataError, match="checksum"):
        FeatureCache(copy)
