"""The stages of a plan, in the order they are run in, each with the command it stands for and what makes its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from motacli.errors import UnknownNameError, UsageError
from motacli.planning.caching import cache_steps, draw_steps
from motacli.planning.generating import triplets_steps
from motacli.planning.learning import inversion_steps, train_steps
from motacli.planning.searching import eval_steps, index_steps
from motacli.planning.situation import Situation
from motacli.planning.steps import Step


@dataclass(frozen=True)
class Stage:
    """``of_triplets`` stages are left out of plans without triplets, those not ``usual`` unless they are asked for."""

    command: str
    steps: Callable[[Situation], list[Step]]
    of_triplets: bool = False
    usual: bool = True


STAGES: Mapping[str, Stage] = {
    "draw": Stage("mota tiny make", draw_steps, usual=False),
    "cache": Stage("mota cache", cache_steps),
    "triplets": Stage("mota gen-triplets", triplets_steps, of_triplets=True),
    "inversion": Stage("mota train-inversion", inversion_steps),
    "train": Stage("mota train", train_steps, of_triplets=True),
    "index": Stage("mota index", index_steps),
    "eval": Stage("mota eval", eval_steps),
}


def chosen_stages(names: Sequence[str], triplets: int) -> list[str]:
    """The stages of a plan; all usual ones unless some are named. `UsageError` for what there is nothing to do in."""
    for name in names:
        if name not in STAGES:
            raise UnknownNameError("stage", name, STAGES)
        if STAGES[name].of_triplets and not triplets:
            raise UsageError(f"the stage {name!r} has no triplets", "give --triplets")
    if names:
        return [name for name in STAGES if name in names]
    return [name for name, stage in STAGES.items() if stage.usual and (triplets or not stage.of_triplets)]
