"""Ray itself: a connection to a cluster, the room in it, and what a worker process makes once."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from motacli.cluster.asking import ClusterOptions
from motacli.contracts import Backbone
from motacli.coworkers import available_cores
from motacli.errors import MotaError, UsageError
from motacli.extras import needed
from motacli.models import BackboneChoice, load_backbone
from motacli.plugins import PluginHost, load_plugins

_LOCAL = "local"
_PATIENCE = 10.0
"""Seconds that a cluster has to answer."""


@contextmanager
def connected(options: ClusterOptions) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster; what is started or connected here ends with the block.

    A connection that this process has already is used as it is, and left. What is printed meanwhile goes to stderr: Ray
    tells of dead machines on stdout, which is for data. Raises `UsageError` where Ray is not
    installed, and `MotaError` where no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or every start is told of a coming change
    ray = needed("ray", "ray", "--engine ray")
    if ray.is_initialized():
        yield ray
        return
    with redirect_stdout(sys.stderr):
        _connect(ray, options)
        try:
            yield ray
        finally:
            ray.shutdown()


@dataclass(frozen=True)
class Need:
    """What a worker takes of its machine."""

    cpus: float = 1
    gpus: float = 0

    def room(self, resources: dict[str, float]) -> int:
        """How many workers a machine has room for."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        return int(min(resources.get(name, 0.0) // amount for name, amount in wanted.items() if amount))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")


def pool_size(ray: Any, options: ClusterOptions, need: Need) -> int:
    """How many workers there are to be; `MotaError` where nobody said and the cluster has room for none."""
    if options.workers is not None:
        return options.workers
    found = sum(need.room(node["Resources"]) for node in ray.nodes() if node["Alive"])
    if not found:
        raise MotaError(
            f"the cluster has no room for a worker, which takes {need}",
            "--workers, --gpus-per-worker and, on CPUs, OMP_NUM_THREADS set it; --ray-workers N waits for machines",
        )
    return found


def worker_device(ray: Any, device: str, options: ClusterOptions) -> tuple[str, float]:
    """The device that workers compute on, the same for all, and how many GPUs each of them takes.

    ``auto`` is the GPU where the cluster has any and ``--gpus-per-worker`` is not 0.
    """
    if device.startswith("cuda:"):
        raise UsageError(f"--device {device} does not go with --engine ray", "--device cuda: Ray deals the GPUs out")
    if device not in ("auto", "cuda"):
        return device, options.gpus_per_worker or 0
    found = ray.cluster_resources().get("GPU", 0)
    gpus = (1.0 if found or device == "cuda" else 0.0) if options.gpus_per_worker is None else options.gpus_per_worker
    if device == "cuda" and not gpus:
        raise UsageError("--device cuda needs GPUs", "give --gpus-per-worker 1, or leave it out")
    return ("cuda" if gpus else "cpu"), gpus


# ---------------------------------------------------------------------------------------------- in a worker


@dataclass(frozen=True)
class HostChoice:
    """Which plugins a worker loads: those in use where the command was started."""

    plugins: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: PluginHost) -> HostChoice:
        """The plugins of a host that are installed, and in order."""
        return cls(tuple(row.name for row in host.rows() if row.status == "ok" and row.name != "builtin"))

    def host(self) -> PluginHost:
        """The plugins, loaded once in this process."""
        return _host(self)


@dataclass(frozen=True)
class BackboneMaker:
    """Makes a backbone wherever it is unpickled, once in a process."""

    choice: BackboneChoice
    plugins: HostChoice = HostChoice()

    def on(self, device: str) -> BackboneMaker:
        """The same, of the backbone on another device."""
        return replace(self, choice=replace(self.choice, device=device))

    def __call__(self) -> Backbone:
        """The backbone."""
        return _backbone(self)


@lru_cache(maxsize=1)
def _host(choice: HostChoice) -> PluginHost:
    return load_plugins(only=choice.plugins)


@lru_cache(maxsize=1)
def _backbone(maker: BackboneMaker) -> Backbone:
    return load_backbone(maker.plugins.host(), maker.choice)


# ---------------------------------------------------------------------------------------------- connecting


def _connect(ray: Any, options: ClusterOptions) -> None:
    address = options.address or os.environ.get("RAY_ADDRESS") or _LOCAL
    ClusterOptions(address)  # which refuses what the variable must not say either
    own = {"num_cpus": available_cores(), "include_dashboard": False} if address == _LOCAL else {}
    try:
        _require_answer(address)
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        what = "Ray does not start" if address == _LOCAL else f"no Ray cluster can be reached at {address}"
        raise MotaError(
            f"{what}: {' '.join(str(error).split())}",
            "`ray start --head` starts one; without --ray-address it is started for this command alone",
        ) from error


def _require_answer(address: str) -> None:
    """Raise `OSError` where nothing listens at a host's port, which Ray would try again and again for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
