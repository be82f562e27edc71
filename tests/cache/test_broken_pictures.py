"""Pictures of every kind: what can be decoded is, the rest is listed, and no good picture suffers."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli.cache import CacheOptions, build_cache
from motacli.cache.broken import errors_file
from motacli.datasets import open_pictures
from motacli.errors import DataError

LENIENT = CacheOptions(strict=False)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(pixels.squeeze(), mode)


def huge_header() -> bytes:
    """A PNG that says it is 60,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def flipped(data: bytes) -> bytes:
    return data[:40] + bytes(255 - byte for byte in data[40:80]) + data[80:]


JPEG, PNG = saved(noise(), "JPEG"), saved(noise(), "PNG")
GIF = saved(noise("L"), "GIF")

BROKEN: dict[str, bytes] = {
    "empty.jpg": b"",
    "truncated.jpg": JPEG[: len(JPEG) // 2],
    "header-only.jpg": JPEG[:20],
    "truncated.png": PNG[: len(PNG) // 2],
    "flipped.png": flipped(PNG),
    "bomb.png": huge_header(),
    "text.jpg": b"not found",
    "page.png": b"<!doctype html><html><body>403</body></html>",
    "zeros.jpg": bytes(5000),
    "truncated.gif": GIF[:15],
    "truncated.webp": saved(noise(), "WEBP")[:60],
    "truncated.tif": saved(noise(), "TIFF")[:100],
    "truncated.bmp": saved(noise(), "BMP")[:200],
    "riff.webp": b"RIFF" + bytes(8) + b"WEBP",
    "ratio.png": saved(Image.new("RGB", (5000, 1)), "PNG"),
    "archive.jpg": b"PK\x03\x04" + bytes(100),
}

SANE: dict[str, Callable[[], bytes]] = {
    "wrong-ending.jpg": lambda: PNG,
    "animated.gif": lambda: saved(noise("L"), "GIF", save_all=True, append_images=[noise("L"), noise("L")]),
    "cmyk.jpg": lambda: saved(noise("CMYK"), "JPEG"),
    "palette.png": lambda: saved(noise().quantize(16), "PNG"),
    "alpha.png": lambda: saved(noise("RGBA"), "PNG"),
    "grey16.png": lambda: saved(Image.fromarray(np.full((8, 8), 40_000, np.uint16)), "PNG"),
    "exif.jpg": lambda: saved(
        noise(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    ),
    "one-pixel.png": lambda: saved(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG"),
    "large.png": lambda: saved(Image.new("L", (6000, 6000)), "PNG"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(1)
    for number in range(250):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number:04}.png")
    for name, make in SANE.items():
        (folder / f"0125-{name}").write_bytes(make())
    return folder


def test_exactly_the_broken_ones_are_listed(good: Path, tmp_path: Path, tiny_backbone: Any) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in good.iterdir():
        (mixed / file.name).symlink_to(file)
    for number, (name, data) in enumerate(BROKEN.items()):
        (mixed / f"{number * 15:04}-{name}").write_bytes(data)
    clean = build_cache(tmp_path / "clean.h5", tiny_backbone, open_pictures(good), workers=2)
    found = build_cache(tmp_path / "mixed.h5", tiny_backbone, open_pictures(mixed), workers=2, options=LENIENT)
    records = [json.loads(line) for line in errors_file(found.path).read_text().splitlines()]
    assert [record["id"] for record in records] == sorted(
        f"{number * 15:04}-{name}" for number, name in enumerate(BROKEN)
    )
    assert all(record["reason"] and record["path"].endswith(record["id"]) for record in records)
    assert found.skipped == len(BROKEN) == 16 and not errors_file(clean.path).exists()
    assert found.ids == clean.ids == tuple(sorted(clean.ids)) and len(found) == 250 + len(SANE)
    # Within rounding: a broken picture moves the batches of its window.
    assert np.allclose(found.features(), clean.features(), atol=1e-5)


def test_strict_stops_at_the_first(tmp_path: Path, tiny_backbone: Any) -> None:
    (tmp_path / "in").mkdir()
    for name, data in {"a.png": PNG, "b.png": BROKEN["truncated.png"], "c.jpg": b""}.items():
        (tmp_path / "in" / name).write_bytes(data)
    with pytest.raises(DataError, match=r"cannot decode .*b\.png"):
        build_cache(tmp_path / "f.h5", tiny_backbone, open_pictures(tmp_path / "in"))
    found = build_cache(tmp_path / "f.h5", tiny_backbone, open_pictures(tmp_path / "in"), options=LENIENT)
    assert found.ids == ("a.png",) and found.skipped == 2


def test_only_broken_pictures_are_an_error(tmp_path: Path, tiny_backbone: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 1 pictures could be read; the first: .*a\.png: the file is empty"):
        build_cache(tmp_path / "f.h5", tiny_backbone, open_pictures(tmp_path / "in"), options=LENIENT)


def test_a_picture_that_was_mended_is_added(tmp_path: Path, tiny_backbone: Any) -> None:
    (tmp_path / "in").mkdir()
    for name, data in {"a.png": b"", "b.png": PNG, "c.png": b""}.items():
        (tmp_path / "in" / name).write_bytes(data)
    out = tmp_path / "f.h5"
    build_cache(out, tiny_backbone, open_pictures(tmp_path / "in"), options=LENIENT)
    (tmp_path / "in" / "a.png").write_bytes(JPEG)
    append = CacheOptions(strict=False, append=True)
    found = build_cache(out, tiny_backbone, open_pictures(tmp_path / "in"), options=append)
    assert found.ids == ("b.png", "a.png") and found.skipped == 1
    assert [json.loads(line)["id"] for line in errors_file(out).read_text().splitlines()] == ["c.png"]
