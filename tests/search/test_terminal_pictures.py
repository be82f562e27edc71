"""Pictures in the terminal: what is written is decoded again, by the protocols' own rules."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from picture_folders import draw_all
from PIL import Image

from motacli.plugins import PluginHost
from motacli.search.building import index_folder
from motacli.search.index import Index
from motacli.search.results import Hit
from motacli.search.sixel import sixel
from motacli.search.terminal_pictures import CHUNK, GAP, SIZE, choose_protocol, iterm, kitty, picture_rows


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def picture(width: int, height: int, colours: int = 4, seed: int = 0) -> Image.Image:
    """Blocks of a few colours."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    blocks = rng.integers(0, colours, (-(-height // 5), -(-width // 5))).repeat(5, axis=0).repeat(5, axis=1)
    return Image.fromarray(palette[blocks[:height, :width]])


# ---------------------------------------------------------------------------------------------- decoders


def decode_kitty(text: str) -> Image.Image:
    pieces = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in pieces) == text
    keys = [dict(pair.split("=") for pair in piece.split(",")) for piece, _ in pieces]
    assert keys[0] | {"m": ""} == {"a": "T", "f": "100", "q": "2", "m": ""}
    assert [key["m"] for key in keys] == ["1"] * (len(pieces) - 1) + ["0"]
    assert all(len(data) <= CHUNK and (len(data) % 4 == 0) for _, data in pieces)
    return Image.open(io.BytesIO(b64decode("".join(data for _, data in pieces))))


def decode_iterm(text: str) -> Image.Image:
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", text)
    assert found
    keys = dict(pair.split("=") for pair in found[1].split(";"))
    data = b64decode(found[2])
    shown = Image.open(io.BytesIO(data))
    assert keys == {"inline": "1", "size": str(len(data)), "width": f"{shown.width}px", "height": f"{shown.height}px"}
    return shown


def decode_sixel(text: str) -> np.ndarray:
    """What a terminal draws, pixel by pixel ``(H, W, 3)``; -1 where nothing was drawn."""
    found = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert found
    width, height = int(found[1]), int(found[2])
    canvas, palette = np.full((-(-height // 6) * 6, width, 3), -1.0), {}
    x = top = colour = 0
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+[?-~]|[?-~$-]", found[3]):
        if token.startswith("#") and ";" in token:
            number, _, *parts = (int(part) for part in token[1:].split(";"))
            palette[number] = np.array(parts) * 255 / 100
        elif token.startswith("#"):
            colour = int(token[1:])
        elif token == "$":
            x = 0
        elif token == "-":
            x, top = 0, top + 6
        else:
            count = int(token[1:-1]) if token[0] == "!" else 1
            bits = ord(token[-1]) - 63
            for row in range(6):
                if bits >> row & 1:
                    assert (canvas[top + row, x : x + count] == -1).all(), "a pixel is drawn twice"
                    canvas[top + row, x : x + count] = palette[colour]
            x += count
            assert x <= width
    assert (canvas[height:] == -1).all()
    return canvas[:height]


# ---------------------------------------------------------------------------------------------- protocols


@pytest.mark.parametrize(("width", "height"), [(1, 1), (40, 6), (37, 23), (200, 120)])
def test_kitty_and_iterm_hold_the_picture(width: int, height: int) -> None:
    shown = picture(width, height)
    for encode, decode in ((kitty, decode_kitty), (iterm, decode_iterm)):
        assert np.array_equal(np.asarray(decode(encode(shown)).convert("RGB")), np.asarray(shown))


def test_a_large_picture_comes_in_pieces() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 300, 3), dtype=np.uint8))
    text = kitty(noise)
    assert text.count("\x1b_G") > 10
    assert np.array_equal(np.asarray(decode_kitty(text).convert("RGB")), np.asarray(noise))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 6), (37, 23), (64, 60)])
def test_sixels_draw_every_pixel_once_in_its_colour(width: int, height: int) -> None:
    shown = picture(width, height)
    drawn = decode_sixel(sixel(shown))
    assert drawn.min() >= 0
    assert np.abs(drawn - np.asarray(shown, dtype=np.float64)).max() <= 2  # percent are coarser than bytes


def test_sixels_of_many_colours_are_close() -> None:
    steps = np.linspace(0, 255, 96)
    smooth = np.stack([*np.meshgrid(steps, steps), np.full((96, 96), 90)], axis=2).astype(np.uint8)
    drawn = decode_sixel(sixel(Image.fromarray(smooth)))
    assert drawn.min() >= 0 and np.abs(drawn - smooth).mean() < 10


# ---------------------------------------------------------------------------------------------- terminals


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm"}, "sixel"),
        ({"TERM": "xterm-sixel"}, "sixel"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
        ({"TERM": "dumb"}, None),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({}, None),
    ],
)
def test_terminals_are_known_by_their_environment(environment: dict[str, str], protocol: str | None) -> None:
    known = {"kitty": kitty, "iterm": iterm, "sixel": sixel, None: None}
    assert choose_protocol("auto", Terminal(), environment) is known[protocol]
    assert choose_protocol("auto", io.StringIO(), environment) is None
    assert choose_protocol("none", Terminal(), environment) is None
    assert choose_protocol("sixel", io.StringIO(), environment) is sixel


def test_results_are_drawn_in_rows(tmp_path: Path, host: PluginHost) -> None:
    draw_all(tmp_path / "pictures", 5)
    index_folder(tmp_path / "my.mota", tmp_path / "pictures", host=host)
    with Index.open(tmp_path / "my.mota") as index:
        hits = [Hit(entry.id, entry.path, 0.0, 0.0) for entry in index.entries]
        (tmp_path / "pictures" / hits[1].id).unlink()
        lines = picture_rows(index, hits, kitty, columns=50).splitlines()
        assert picture_rows(index, [], kitty) == ""
    strips = [decode_kitty(line) for line in lines]
    assert [strip.size for strip in strips] == [(3 * SIZE + 2 * GAP, SIZE), (2 * SIZE + GAP, SIZE)]
    gone, there = (np.asarray(strips[0])[SIZE // 2, left + SIZE // 2] for left in (SIZE + GAP, 0))
    assert gone.tolist() == [128, 128, 128] and there.tolist() != [128, 128, 128]
