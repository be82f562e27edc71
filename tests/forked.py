"""Processes of their own that start with torch imported already: a server that has it forks them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELOADED = ["motacli.ablation", "motacli.inversions.lincir", "matplotlib.figure"]


def server() -> Any:
    """What starts such processes: a context of `multiprocessing`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def forked(work: Callable[..., object], *arguments: Any) -> Any:
    """A process that has begun to do ``work(*arguments)``."""
    process = server().Process(target=work, args=arguments)
    process.start()
    return process


def forked_mota(words: list[str], said: Path) -> Any:
    """A process that runs ``mota``; what it logs goes to ``said``."""
    return forked(_mota, words, said)


def finished(process: Any) -> None:
    """Wait for a process, which has to end well."""
    process.join(timeout=300)
    assert process.exitcode == 0


def _mota(words: list[str], said: Path) -> None:
    import torch

    from motacli.cli import main

    os.environ["MOTA_PLUGINS"] = ""
    torch.set_num_threads(1)
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.exit(main(words))
