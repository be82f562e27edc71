"""Tiny worlds of a few dozen pictures, for tests of what runs on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from motacli.tiny import make
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis


@contextmanager
def small_worlds() -> Iterator[None]:
    """Inside, `motacli.tiny.make` draws small worlds."""
    writers = {
        "fashioniq": partial(write_fashioniq, queries=3),
        "cirr": partial(write_cirr, sets=2),
        "circo": partial(write_circo, queries=4, others=8),
        "genecis": partial(write_genecis, queries=2, others=30),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "WRITERS", writers)
        patch.setattr(make, "make_pairs", partial(make.make_pairs, count=40))
        yield
