"""`mota ablate`: variants of the method side by side, several seeds each, on the tiny world or one's own data."""

from motacli.ablation.data import OwnBenchmark, OwnData, TinyWorld
from motacli.ablation.grid import Grid, make_grid, union
from motacli.ablation.grid_file import preset_names, read_grid, read_preset
from motacli.ablation.rows import Row
from motacli.ablation.run import Ablation, list_jobs, run_ablation
from motacli.ablation.vary import vary_spec

__all__ = [
    "Ablation",
    "Grid",
    "OwnBenchmark",
    "OwnData",
    "Row",
    "TinyWorld",
    "list_jobs",
    "make_grid",
    "preset_names",
    "read_grid",
    "read_preset",
    "run_ablation",
    "union",
    "vary_spec",
]
