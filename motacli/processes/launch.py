"""What ``torchrun``, or whatever else starts several processes, tells each of them in its environment."""

from __future__ import annotations

import os


def process_count() -> int:
    """How many processes work together: one where nothing says otherwise."""
    told = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
    return int(os.environ["WORLD_SIZE"]) if told else 1


def is_another_process() -> bool:
    """Whether it is another process that speaks for all."""
    return process_count() > 1 and os.environ["RANK"] != "0"


def is_first_here() -> bool:
    """Whether this is the first of the processes on its machine."""
    return process_count() == 1 or os.environ.get("LOCAL_RANK", "0") == "0"


def processes_here() -> int:
    """How many of the processes are on this machine, this one included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", process_count())) if process_count() > 1 else 1


def agent() -> str:
    """Who starts this process again when one of them ends badly: a host and a process on it; empty where nobody does.

    It is the parent, and the same after every restart; another call of ``torchrun`` is another agent.
    """
    import socket

    return f"{socket.gethostname()} {os.getppid()}" if "TORCHELASTIC_RUN_ID" in os.environ else ""
