"""What one may ask of a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.errors import UsageError


@dataclass(frozen=True)
class ClusterOptions:
    """Where the cluster is, and how much of it is taken.

    ``address`` is that of a running cluster; without one, that of ``RAY_ADDRESS``, or else Ray is started on this
    machine for as long as it is needed. ``workers`` None means as many as there is room for, and ``gpus_per_worker``
    None one where workers compute on GPUs. Raises `UsageError` for what no cluster can give.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers cannot work", "give --ray-workers 1 or more")
        if self.gpus_per_worker is not None and self.gpus_per_worker < 0:
            raise UsageError(f"a worker cannot have {self.gpus_per_worker:g} GPUs", "give --gpus-per-worker 0 or more")
        if self.address is not None and self.address.startswith("ray://"):
            raise UsageError(
                f"{self.address} is the address of a Ray client, which has no part in its cluster",
                "run the command on a machine of the cluster, with --ray-address auto or HOST:6379",
            )
