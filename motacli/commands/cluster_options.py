"""Options of the commands that can hand their work to a cluster, in one panel of their help."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.cluster import ClusterOptions

_PANEL = "Cluster"


class Engine(StrEnum):
    """Who does the work: this process, or workers on a Ray cluster."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="local, or ray: workers on a Ray cluster.", rich_help_panel=_PANEL)
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="A running cluster. Default: one of this machine.",
        rich_help_panel=_PANEL,
    ),
]
RayWorkers = Annotated[
    int | None,
    typer.Option(
        "--ray-workers", min=1, help="Workers. Default: as many as there is room for.", rich_help_panel=_PANEL
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker", min=0.0, help="GPUs of a worker. Default: 1 on CUDA, else 0.", rich_help_panel=_PANEL
    ),
]


def cluster_options(
    engine: Engine, address: str | None, workers: int | None, gpus_per_worker: float | None
) -> ClusterOptions | None:
    """What is asked of the cluster, None where none is; `UsageError` for options that want one."""
    if engine is Engine.ray:
        from motacli.cluster import ClusterOptions

        return ClusterOptions(address, workers, gpus_per_worker)
    given = {"--ray-address": address, "--ray-workers": workers, "--gpus-per-worker": gpus_per_worker}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} needs --engine ray")
    return None
