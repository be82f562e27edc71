"""What becomes of what a relative caption leaves open, in the target caption [ours].

It is free to differ in a real target picture. Captions that copy the reference's context, or drop all of it, train a
worse adapter, so it is mostly changed.
"""

from __future__ import annotations

from random import Random

CONTEXT_SHARES = {"change": 0.75, "keep": 0.1, "omit": 0.15}
"""How often each happens where contexts are mixed."""
MIXED = "mixed"
CONTEXT_MODES = (MIXED, *CONTEXT_SHARES)


def draw_context(mode: str, rng: Random) -> str:
    """The mode itself, or one drawn by its share where they are mixed."""
    return rng.choices(list(CONTEXT_SHARES), weights=list(CONTEXT_SHARES.values()))[0] if mode == MIXED else mode
