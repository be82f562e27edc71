"""What surrounds every test, here and in the packages below ``plugins/``."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see neither the user's MOTA_ variables nor the plugins that happen to be installed."""
    for name in [name for name in os.environ if name.startswith("MOTA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOTA_PLUGINS", "")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks as small as the tests' only get slower when threads fight for busy cores."""
    import torch

    torch.set_num_threads(1)
