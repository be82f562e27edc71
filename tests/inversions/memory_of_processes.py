"""What processes that train together hold in memory: ``python tests/inversions/memory_of_processes.py FOLDER [ROWS]``.

Trains Pic2Word on a cache of ROWS x 128 features (800,000, as many bytes as 200,000 x 512) in one process and in four,
and prints each process's peak of resident memory beside that of the same training on 1,000 rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from processes import mota, together

from motacli.cache.importing import import_features
from motacli.tiny.clip import load_tiny

WORDS = ("--steps", "8", "--batch-size", "32", "--lr", "0.001", "--device", "cpu", "--quiet")


def made(folder: Path, rows: int) -> Path:
    """A cache of random features."""
    path, array = folder / f"{rows}.h5", folder / f"{rows}.npy"
    if not path.exists():
        np.save(array, np.random.default_rng(0).standard_normal((rows, 128), np.float32))
        ids = array.with_suffix(".txt")
        ids.write_text("\n".join(f"{row:09d}" for row in range(rows)))
        import_features(array, path, load_tiny(), ids)
        array.unlink()
    return path


def peaks(folder: Path, rows: int, size: int) -> list[float]:
    """Each process's peak of resident memory in MB."""
    out = folder / f"{rows}-{size}"
    training = mota("train-inversion", "pic2word", "--features", made(folder, rows), "--out", out, *WORDS)

    def task() -> int:
        code = training()
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print("peak", status["VmHWM"].split()[0])
        return code

    ended = together(folder / f"said-{rows}-{size}", size, task)
    if any(each.code for each in ended):
        raise SystemExit(str(ended))
    return [int(each.out.split()[-1]) / 1000 for each in ended]


def main() -> None:
    folder, rows = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 800_000
    folder.mkdir(parents=True)
    made(folder, 1000), made(folder, rows)
    for size in (1, 4):
        few, many = peaks(folder, 1000, size), peaks(folder, rows, size)
        for rank, (small, large) in enumerate(zip(few, many, strict=True)):
            print(f"{size} processes, number {rank}: {large:.0f} MB, of 1,000 rows {small:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
