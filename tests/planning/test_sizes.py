"""What a plan says of bytes is what real files have."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from motacli.cache import CacheOptions, build_cache
from motacli.cache.columns import BLOCK_ROWS, CHUNK_BYTES
from motacli.cache.encoding import Pace
from motacli.cache.listing import listed
from motacli.console import NullProgress
from motacli.contracts import ImageRef, ImageText
from motacli.planning import sizes
from motacli.rows_on_disk import HELD
from motacli.search.entries import Entry, write_entries
from motacli.search.faiss_store import FILE, PER_LIST, FaissOptions, FaissStore
from motacli.search.vectors import Vectors
from motacli.triplets.pipeline import generate
from motacli.triplets.rules import RuleGenerator
from motacli.triplets.schema import read_triplets, rejects_path

ROWS, DIM = 4500, 96


class Cheap:
    """A backbone that computes nothing worth waiting for."""

    name, joint_dim, device = "cheap", DIM, torch.device("cpu")

    def preprocess(self, image: Image.Image) -> Tensor:
        return torch.zeros(3, 2, 2)

    def encode_image(self, pixels: Tensor) -> Tensor:
        return torch.ones(len(pixels), DIM)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.ones(len(texts), DIM)

    def tokenize(self, text: str) -> list[int]:
        return [1] * len(text.split())

    def fingerprint(self) -> str:
        return "cheap"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[ImageText]:
    """Rows with captions of several lengths; one file stands for all pictures."""
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    words = ("a red car", "two dogs on a beach", "a photo of an old house near a lake in the evening")
    return [
        ImageText(ImageRef(f"images/{n:06d}.png", path), f"{words[n % 3]}, number {n}", f"row-{n}") for n in range(ROWS)
    ]


def length(texts: Sequence[str]) -> float:
    return mean(len(text.encode()) for text in texts)


@pytest.fixture(scope="module")
def texts(items: list[ImageText]) -> tuple[float, float]:
    return length([item.image.id for item in items]), length([item.caption for item in items])


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.thorough), "float16"])
def test_a_cache_and_its_parts(
    tmp_path: Path, items: list[ImageText], texts: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "is_over", lambda pace, *_: False)  # a slow machine has more parts, each with its header
    number = 4 if dtype == "float32" else 2
    path = tmp_path / "single.h5"
    build_cache(path, Cheap(), items, options=CacheOptions(dtype=dtype), batch_size=256)  # type: ignore[arg-type]
    assert sizes.cache_bytes(ROWS, DIM, number, texts) == pytest.approx(path.stat().st_size, rel=0.03)
    parted = tmp_path / "parts.h5"
    build_cache(parted, Cheap(), items, options=CacheOptions(dtype=dtype, layout="parts"), batch_size=256)  # type: ignore[arg-type]
    assert sizes.parts_bytes(ROWS, DIM, number, texts) == pytest.approx(
        folder_bytes(tmp_path / "parts.h5.parts"), rel=0.05
    )
    assert sizes.virtual_bytes(ROWS, texts) == pytest.approx(parted.stat().st_size, rel=0.07)


def test_the_list_of_a_build(tmp_path: Path, items: list[ImageText], texts: Any) -> None:
    path = tmp_path / "rows.sqlite"
    with listed(path, items) as listing:
        listing._database.commit()  # or part of it is still in memory
        wanted = sizes.listing_bytes(ROWS, texts[0], len(str(items[0].image.path)), texts[1])
        assert wanted == pytest.approx(path.stat().st_size, rel=0.05)


def test_triplets_and_refusals(tmp_path: Path, items: list[ImageText]) -> None:
    out, rows = tmp_path / "triplets.jsonl", items[:400]
    odd = [ImageText(item.image, "zzz", f"odd-{n}") for n, item in enumerate(rows)]
    report = generate([*rows, *odd], RuleGenerator(), out)
    triplets = read_triplets(out)
    told = [length([getattr(t, name) for t in triplets]) for name in ("reference_caption", "relative_caption")]
    line = sizes.triplet_bytes(
        length([t.image for t in triplets]), *told, length([t.target_caption for t in triplets]), "rules"
    )
    assert line * report.triplets == pytest.approx(out.stat().st_size, rel=0.08)
    refused = sizes.reject_bytes(length([item.image.id for item in rows]), 3, "rules")
    assert refused * sum(report.rejected.values()) == pytest.approx(rejects_path(out).stat().st_size, rel=0.1)


def test_an_index(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((ROWS, DIM), dtype=np.float32)
    vectors = Vectors.write(tmp_path, [rows], ROWS, DIM, "float16")
    assert sizes.vectors_bytes(ROWS, DIM, 2) == pytest.approx(folder_bytes(tmp_path), rel=0.02)
    entries = [Entry(n, f"images/{n:06d}.png", "", 9000 + n, 1 << 60, f"{n:064x}", 640, 480) for n in range(ROWS)]
    write_entries(tmp_path / "entries.sqlite", entries, {})
    found = (tmp_path / "entries.sqlite").stat().st_size
    assert sizes.entries_bytes(ROWS, len(entries[0].id)) == pytest.approx(found, rel=0.05)
    pytest.importorskip("faiss")
    for kind, told in (("hnsw", sizes.hnsw_bytes(ROWS, DIM)), ("ivfpq", sizes.ivfpq_bytes(ROWS, DIM))):
        options = FaissOptions(kind=kind, build_effort=8)  # type: ignore[arg-type]
        FaissStore.build(tmp_path, vectors, options, NullProgress())
        assert told == pytest.approx((tmp_path / FILE).stat().st_size, rel=0.05), kind
        (tmp_path / FILE).unlink()


def test_constants_are_those_of_the_code() -> None:
    assert sizes.CHECKSUM_ROWS == BLOCK_ROWS and sizes.CHUNK_BYTES == CHUNK_BYTES and sizes.HELD == HELD
    assert sizes.FULL_CODES == 256 * PER_LIST and sizes.ivfpq_lists(1e6) == 4000


def test_texts_in_memory() -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    held = [f"images/{n:08d}.png" for n in range(20_000)]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert sizes.texts_memory(len(held), 19) == pytest.approx(taken, rel=0.05)
