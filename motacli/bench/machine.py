"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from motacli.coworkers import available_cores

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer and the software. ``cores`` are those this process may use, ``ram_gb`` is in 10^9 bytes."""

    cpu: str
    cores: int
    threads: int
    ram_gb: float | None
    platform: str
    versions: dict[str, str]

    def __str__(self) -> str:
        """One line for people."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        ram = "" if self.ram_gb is None else f", {self.ram_gb:.0f} GB"
        return f"{self.cpu}, {self.cores} cores, {self.threads} threads{ram}; {self.platform}; {versions}"


def this_machine() -> Machine:
    """The machine we are on; ``threads`` are torch's."""
    import numpy
    import torch

    from motacli import __version__

    versions = {"python": platform.python_version(), "numpy": numpy.__version__, "torch": str(torch.__version__)}
    return Machine(
        cpu=_cpu(),
        cores=available_cores(),
        threads=torch.get_num_threads(),
        ram_gb=_ram_gb(),
        platform=platform.platform(),
        versions={"mota": __version__, **versions},
    )


def _cpu() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _ram_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError):
        return None  # Windows has no sysconf, other systems lack these names
