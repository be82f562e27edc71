"""Pictures are decoded as the index decodes them, in a process that may die of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hostile_pictures import BAD, JPEG, png
from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.serve import decoder as child
from motacli.serve.decoding import SERVED, Decoder, Decoders
from motacli.serve.problems import Refused
from motacli.serve.settings import Settings


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(most=10**6, seconds=20)
    yield made
    made.close()


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def pid(decoder: Decoder) -> int:
    assert decoder._process is not None
    return decoder._process.pid


def noise(mode: str) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (50, 70, 4), dtype=np.uint8), "RGBA").convert(mode)


FILES = {
    **{f"{kind} {mode}": saved(noise(mode), kind) for kind in ("PNG", "TIFF") for mode in ("RGB", "RGBA", "L", "P")},
    "JPEG": JPEG,
    "JPEG CMYK": saved(noise("CMYK"), "JPEG"),
    "PNG 16 bit": saved(Image.fromarray(np.arange(3500, dtype=np.uint16).reshape(50, 70) * 18), "PNG"),
    "GIF": saved(noise("P"), "GIF", save_all=True, append_images=[noise("P")]),
    "WEBP": saved(noise("RGBA"), "WEBP"),
    "BMP": saved(noise("RGB"), "BMP"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_are_those_that_an_index_sees(decoder: Decoder, tmp_path: Path, name: str) -> None:
    (tmp_path / "picture").write_bytes(FILES[name])
    ours = open_image(ImageRef("picture", tmp_path / "picture"))
    theirs = decoder.pixels(FILES[name])
    assert theirs.mode == ours.mode == "RGB" and np.array_equal(np.asarray(theirs), np.asarray(ours))


def test_what_a_decoder_says_holds_no_word_of_its_own(decoder: Decoder) -> None:
    for name, data in BAD.items():
        if "bomb of a" in name:
            continue
        with pytest.raises(Refused) as refused:
            decoder.pixels(data)
        said = refused.value.message
        assert refused.value.status_code == 422 and "0x" not in said and "BytesIO" not in said, name


def test_a_process_that_dies_costs_one_picture(decoder: Decoder) -> None:
    decoder.pixels(JPEG)
    first = pid(decoder)
    os.kill(first, signal.SIGSTOP)  # it dies in the middle of a picture
    os.kill(first, signal.SIGKILL)
    with pytest.raises(Refused, match="422"):
        decoder.pixels(JPEG)
    assert decoder.pixels(JPEG).size == (48, 48) and pid(decoder) != first


def test_a_process_that_hangs_is_replaced() -> None:
    decoder = Decoder(most=10**6, seconds=30)
    decoder.pixels(JPEG)
    hung = pid(decoder)
    os.kill(hung, signal.SIGSTOP)
    decoder._seconds = 0.5
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        decoder.pixels(JPEG)
    assert "too long" in refused.value.message and time.monotonic() - began < 5
    decoder._seconds = 30
    assert decoder.pixels(JPEG).size == (48, 48) and pid(decoder) != hung
    decoder.close()


def test_memory_is_limited(decoder: Decoder) -> None:
    """A picture within the limit of pixels whose decoding takes more memory than any such picture needs."""
    hungry = "from motacli.serve import decoder as d; d.restrict(10); x = bytearray(2 * 10**9)"
    done = subprocess.run([sys.executable, "-c", hungry], capture_output=True, check=False)
    assert done.returncode and b"MemoryError" in done.stderr
    large = Decoder(most=30_000_000, seconds=60)
    picture = saved(Image.new("RGBA", (6000, 4900)), "PNG")
    assert large.pixels(picture).size == (6000, 4900)
    large.close()


def test_a_decoder_writes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = (
        f"import os; from motacli.serve.decoder import restrict as r; r(9); os.write(os.open({str(path)!r}, 66), b'a')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"File too large" in done.stderr and path.stat().st_size == 0


def test_processes_are_replaced_in_time(decoder: Decoder) -> None:
    decoder.pixels(JPEG)
    first, decoder._served = pid(decoder), SERVED
    decoder.pixels(JPEG)
    assert pid(decoder) != first


def test_sizes_are_looked_at_before_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    head = child.answer(png(50_000, 50_000), {"task": "pixels", "most": 10**6})
    assert head == ({"error": "it has 50000×50000 pixels, and 1000000 are allowed"}, b"")


def test_a_decoder_ends_with_the_server() -> None:
    code = (
        "from motacli.serve.decoding import Decoder; d = Decoder(10**6, 60); d.start();"
        "print(d._process.pid, flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        number = int(server.stdout.readline())
        server.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{number}").exists() and "Z" not in Path(f"/proc/{number}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_decoders_are_shared() -> None:
    decoders = Decoders(Settings(decoders=2))
    with decoders.one() as one, decoders.one() as other:
        assert one is not other and decoders._free.empty()
    decoders.close()
