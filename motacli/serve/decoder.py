"""A process that decodes pictures for the server, one after the other, and may die of one: ``python -m`` this module.

It reads requests on stdin and answers on stdout, each a line of JSON and as many bytes as that says. It has little
memory and time, writes no file, and starts no program.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

from PIL import Image, ImageOps, UnidentifiedImageError

from motacli.datasets.pixels import BROKEN, as_rgb

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""Pillow knows many more; some of them start programs, and none of them is what people search with."""
PER_PIXEL = 20
ROOM = 400 * 10**6
"""Bytes of memory that a pixel may cost on the way to RGB, and those that are needed anyway."""
QUALITY = 85


class Unfit(Exception):
    """A picture that is refused, and why, in words for people."""


def pixels(data: bytes, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The picture as the index would see it: RGB bytes, row by row."""
    picture = as_rgb(_opened(data, request["most"]))
    return {"width": picture.width, "height": picture.height}, picture.tobytes()


def thumbnail(data: bytes, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """A WebP file for people to look at, ``side`` pixels at most; with the size of the picture itself."""
    side, image = request["side"], _opened(data, request["most"])
    size = image.size
    image.draft("RGB", (2 * side, 2 * side))
    picture = as_rgb(ImageOps.exif_transpose(image))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = BytesIO()
    picture.save(out, "WEBP", quality=QUALITY)
    return {"width": size[0], "height": size[1]}, out.getvalue()


TASKS: dict[str, Callable[[bytes, dict[str, Any]], tuple[dict[str, Any], bytes]]] = {
    "pixels": pixels,
    "thumbnail": thumbnail,
}


def answer(data: bytes, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What a task makes of a picture, or ``{"error": ...}`` with the reason and nothing else."""
    try:
        return TASKS[request["task"]](data, request)
    except Unfit as unfit:
        return {"error": str(unfit)}, b""
    except UnidentifiedImageError:
        return {"error": f"it is no picture of a kind known here: {', '.join(FORMATS)}"}, b""
    except MemoryError:
        return {"error": "it takes more memory than a picture may"}, b""
    except BROKEN:
        return {"error": "it is damaged or cut off"}, b""


def _opened(data: bytes, most: int) -> Image.Image:
    Image.init()
    image = Image.open(BytesIO(data), formats=[kind for kind in FORMATS if kind in Image.OPEN])
    width, height = image.size
    if width * height > most:
        raise Unfit(f"it has {width}×{height} pixels, and {most} are allowed")
    return image


def restrict(most: int) -> None:
    """Give this process limits that a picture with at most ``most`` pixels has no need to reach."""
    Image.init()  # while files may still be opened
    Image.MAX_IMAGE_PIXELS = None  # its guard speaks at twice the limit only; ours has spoken before
    try:
        import resource
    except ImportError:  # Windows, where a hang is all that is guarded against
        return
    for name, limit in (("AS", ROOM + PER_PIXEL * most), ("FSIZE", 0), ("CORE", 0), ("NOFILE", 16)):
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            resource.setrlimit(number, (limit, limit))


def allow_cpu(seconds: float) -> None:
    """So much more computing before the system ends this process, should the server not be there to do it."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime + seconds) + 1, hard))


def read_message(source: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """A line of JSON and the bytes it announces; None at the end of the stream or in the middle of a message."""
    line = source.readline()
    if not line.endswith(b"\n"):
        return None
    head: dict[str, Any] = json.loads(line)
    data = source.read(head["size"])
    return (head, data) if len(data) == head["size"] else None


def write_message(target: IO[bytes], head: dict[str, Any], data: bytes) -> None:
    """The same in the other direction."""
    target.write(json.dumps({**head, "size": len(data)}).encode() + b"\n")
    target.write(data)
    target.flush()


def main(most: int, seconds: float) -> None:
    """Answer until stdin ends."""
    restrict(most)
    write_message(sys.stdout.buffer, {"ready": True}, b"")
    while (message := read_message(sys.stdin.buffer)) is not None:
        allow_cpu(seconds)
        request, data = message
        write_message(sys.stdout.buffer, *answer(data, request))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
