"""Anything that may happen to a folder, at random, and the index says what is there after each update."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from picture_folders import counting, draw

from motacli.plugins import PluginHost
from motacli.search.building import index_folder, update_index
from motacli.search.index import Index


class Folder:
    """Pictures to which things happen; every content is drawn with a seed of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.seed = folder, random.Random(seed), seed * 1000
        for _ in range(6):
            self.add()

    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.rglob("*.png"))

    def disturb(self) -> None:
        for _ in range(self.rng.randint(1, 8)):
            happen = self.rng.choice([self.add, self.change, self.remove, self.move, self.copy, self.touch, self.spoil])
            if len(self.files()) > 3 or happen == self.add:
                happen()

    def one(self) -> Path:
        return self.rng.choice(self.files())

    def place(self) -> Path:
        place = self.folder / self.rng.choice([".", "a", "a/b", "ü"]) / f"{self.rng.randint(0, 30)}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def add(self) -> None:
        self.seed += 1
        draw(self.place(), self.seed)

    def change(self) -> None:
        self.seed += 1
        draw(self.one(), self.seed)

    def remove(self) -> None:
        self.one().unlink()

    def move(self) -> None:
        self.one().replace(self.place())

    def copy(self) -> None:
        one, place = self.one(), self.place()
        if one != place:
            shutil.copy(one, place)

    def touch(self) -> None:
        os.utime(self.one())

    def spoil(self) -> None:
        self.one().write_bytes(b"broken " + bytes([self.rng.randint(0, 3)]))


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(more, marks=pytest.mark.thorough) for more in (2, 3))])
def test_the_index_says_what_is_there(seed: int, tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> None:
    folder, path = Folder(tmp_path / "pictures", seed), tmp_path / "my.mota"
    index_folder(path, folder.folder, host=host, thumbnails=4)
    for _ in range(5):
        with Index.open(path) as index:
            before = {entry.digest: index.vectors.stored[entry.row].tobytes() for entry in index.entries}
        folder.disturb()
        with counting(tiny_backbone) as rows:
            report = update_index(path, host=host)
        there = {file.relative_to(folder.folder).as_posix(): file for file in folder.files()}
        good = {id: file for id, file in there.items() if not file.read_bytes().startswith(b"broken")}
        digests = {id: hashlib.sha256(file.read_bytes()).hexdigest() for id, file in good.items()}
        assert (report.rows, report.broken) == (len(good), len(there) - len(good))
        assert sum(rows) == report.encoded == len(set(digests.values()) - set(before))
        with Index.open(path) as index:
            assert [(entry.id, entry.digest) for entry in index.entries] == sorted(digests.items())
            for entry in index.entries:
                stored, stat = index.vectors.stored[entry.row].tobytes(), good[entry.id].stat()
                assert stored == before.get(entry.digest, stored)
                assert (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
                assert index.thumbnail(entry) is not None
            assert len(list(path.glob("thumbnails/*/*"))) == len(set(digests.values()))
        assert update_index(path, host=host).kept == report.rows
