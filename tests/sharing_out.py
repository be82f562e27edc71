"""How tests are shared out among processes, so that none waits for another at the end, and nothing is made twice."""

from __future__ import annotations

import gc
from typing import Any

import pytest

LONGEST = (
    "tests/cluster/",
    "tests/serve/",
    "tests/demo/",
    "tests/ablation/",
    "tests/cache/",
    "tests/test_skeleton.py",
    "tests/testing/",
    "tests/test_text_parity.py",
    "tests/search/",
    "tests/adapters/",
    "tests/inversions/",
)
"""Where the files are that take longest."""
TOGETHER = ("tests/serve/", "tests/ablation/", "tests/test_golden_")
"""Files that share what is slow to make: a server, a drawn world, the reference's features."""


def pytest_collectstart() -> None:
    """What is imported and collected stays: to look at it again and again for garbage takes a fifth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for what tests leave behind, among nothing that was there before."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first: else it would be waited for at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out files as ever, but those of `TOGETHER` as if they were one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return next((start for start in TOGETHER if file.startswith(start)), file)

    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False
    return Scheduling(config, log)
