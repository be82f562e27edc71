"""Results as pictures in terminals that can show them, by the protocols of kitty, iTerm2 and sixel."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TextIO

from PIL import Image, ImageDraw

from motacli.search.index import Index
from motacli.search.results import Hit
from motacli.search.sixel import sixel
from motacli.search.small_pictures import small_picture

Encoder = Callable[[Image.Image], str]

SIZE, GAP = 120, 8
"""Pixels of a picture's side, and between two."""
CELL = 8
"""Pixels that a column of text is taken to have: few terminals say, and none has less."""
CHUNK = 4096
"""What kitty's protocol allows in one escape sequence."""
_GREY, _WHITE, _BLACK = (128, 128, 128), (255, 255, 255), (0, 0, 0)


# ---------------------------------------------------------------------------------------------- which


def choose_protocol(wanted: str, stream: TextIO, environment: Mapping[str, str] | None = None) -> Encoder | None:
    """What draws pictures on ``stream``: by name, or for ``auto`` what the terminal is known to understand.

    None for ``none``, and for ``auto`` where the stream is no terminal or nothing tells that it can.
    """
    if wanted != "auto":
        return ENCODERS.get(wanted)
    return ENCODERS.get(_understood(os.environ if environment is None else environment)) if stream.isatty() else None


def _understood(environment: Mapping[str, str]) -> str:
    """The protocol of the terminal that the environment names, or nothing."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or term.startswith(("screen", "tmux", "dumb")):
        return ""  # what lies between would swallow the pictures, or print them as text
    if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "sixel" if "sixel" in term or term.startswith(("foot", "mlterm")) else ""


# ---------------------------------------------------------------------------------------------- what


def picture_rows(index: Index, hits: Sequence[Hit], encode: Encoder, columns: int | None = None) -> str:
    """The results' pictures, side by side with their ranks, in as many rows as ``columns`` of text ask for."""
    width = (columns or shutil.get_terminal_size().columns) * CELL
    per_row = max(1, (width + GAP) // (SIZE + GAP))
    rows = [range(start, min(start + per_row, len(hits))) for start in range(0, len(hits), per_row)]
    return "".join(encode(_strip(index, hits, row)) + "\n" for row in rows)


def _strip(index: Index, hits: Sequence[Hit], row: range) -> Image.Image:
    """One row of pictures; a grey box stands for one that cannot be shown."""
    strip = Image.new("RGB", (len(row) * (SIZE + GAP) - GAP, SIZE), _BLACK)
    draw = ImageDraw.Draw(strip)
    for place, number in enumerate(row):
        left = place * (SIZE + GAP)
        picture = small_picture(index, hits[number].id, SIZE) or Image.new("RGB", (SIZE, SIZE), _GREY)
        strip.paste(picture, (left + (SIZE - picture.width) // 2, (SIZE - picture.height) // 2))
        label = str(number + 1)
        draw.rectangle((left, 0, left + 6 * len(label) + 5, 13), fill=_BLACK)
        draw.text((left + 3, 1), label, fill=_WHITE)
    return strip


# ---------------------------------------------------------------------------------------------- how


def kitty(picture: Image.Image) -> str:
    """kitty's graphics protocol: a PNG in pieces; the terminal is asked not to answer."""
    data = _png(picture)
    pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    last = len(pieces) - 1
    return "".join(
        f"\x1b_G{'a=T,f=100,q=2,' if number == 0 else ''}m={int(number < last)};{piece}\x1b\\"
        for number, piece in enumerate(pieces)
    )


def iterm(picture: Image.Image) -> str:
    """iTerm2's inline pictures: a PNG in one sequence."""
    data = _png(picture)
    size = len(data) * 3 // 4 - data.count("=")
    return f"\x1b]1337;File=inline=1;size={size};width={picture.width}px;height={picture.height}px:{data}\x07"


def _png(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return b64encode(buffer.getvalue()).decode("ascii")


ENCODERS: dict[str, Encoder] = {"kitty": kitty, "iterm": iterm, "sixel": sixel}
