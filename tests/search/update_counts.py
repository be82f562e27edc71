"""Updates a large index and counts what is encoded: ``python tests/search/update_counts.py --pictures 10000``.

Random JPEGs are indexed; then some are changed, as many deleted and as many added. Prints a JSON object with the rows
that ``encode_image`` was given and the seconds of each build; exit code 1 if it was not exactly the new contents, or a
picture has another feature than an index of the same folder that is built at once.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from picture_folders import counting, draw, draw_all

from motacli.plugins import load_plugins
from motacli.search.building import index_folder, update_index
from motacli.search.index import Index
from motacli.tiny.clip import load_tiny

HOST = load_plugins(entry_points=[])


def count_run(folder: Path, pictures: int, changes: int) -> dict[str, Any]:
    """Index, change, update, update again, index the folder as it is then; tell what was encoded, and the seconds."""
    files = draw_all(folder / "pictures", pictures)
    long_ago = time.time_ns() - 3600 * 10**9
    for file in files:
        os.utime(file, ns=(long_ago, long_ago))
    found: dict[str, Any] = {}

    def counted(name: str, run: Any) -> None:
        with counting(load_tiny()) as rows:
            report = run()
        told = ("kept", "changed", "added", "deleted", "encoded", "rows", "seconds")
        found[name] = {"encode_image": sum(rows), **{one: getattr(report, one) for one in told}}

    mine, anew = folder / "my.mota", folder / "anew.mota"
    counted("built", lambda: index_folder(mine, folder / "pictures", host=HOST, workers=1))
    for number in range(changes):
        draw(files[number * 7 % pictures], pictures + number)
        files[(number * 7 + 3) % pictures].unlink()
        draw(folder / f"pictures/new/{number}.jpg", 2 * pictures + number)
    counted("updated", lambda: update_index(mine, host=HOST, workers=1))
    counted("nothing new", lambda: update_index(mine, host=HOST, workers=1))
    counted("built anew", lambda: index_folder(anew, folder / "pictures", host=HOST, workers=1))
    return {**found, "largest difference": _difference(mine, anew)}


def _difference(one: Path, other: Path) -> float:
    """How much the features of two indexes of a folder differ, as unit vectors: other batches may round otherwise."""
    with Index.open(one) as mine, Index.open(other) as anew:
        if [entry.digest for entry in mine.entries] != [entry.digest for entry in anew.entries]:
            return float("inf")
        blocks = zip(mine.vectors.blocks(), anew.vectors.blocks(), strict=True)
        return max(float(np.abs(mine - anew).max()) for (_, mine), (_, anew) in blocks)


def is_right(found: dict[str, Any], pictures: int, changes: int) -> bool:
    """Whether just the new contents were encoded, and to the same features."""
    encoded = [found[name]["encode_image"] for name in ("built", "updated", "nothing new", "built anew")]
    return encoded == [pictures, 2 * changes, 0, pictures] and found["largest difference"] < 1e-3


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = count_run(Path(folder), options.pictures, options.changes)
    print(json.dumps(found, indent=2))
    return int(not is_right(found, options.pictures, options.changes))


if __name__ == "__main__":
    raise SystemExit(main())
