"""How a caption's keywords are taken out, leaving pieces of text around slots for one pseudo-word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal

from motacli.inversions.keywords import Run

Masking = Literal["runs", "stretch", "faithful"]
Pieces = tuple[str, ...]
"""Text before, between and behind the slots: one piece more than slots."""
_SLOT = "\0"


def mask_runs(caption: str, runs: Sequence[Run], rng: Random) -> Pieces:
    """Every keyword run becomes a slot, all for the same pseudo-word, as in the paper; without any a random word does.

    Runs are words, so that no letter inside another word is touched [the authors' code: `mask_faithful`].
    """
    words = caption.split()
    if not words:
        return ("", "")
    if not runs:
        place = rng.randrange(len(words))
        runs = [(place, place + 1)]
    edges = [0, *(edge for run in runs for edge in run), len(words)]
    return tuple(" ".join(words[edges[at] : edges[at + 1]]) for at in range(0, len(edges), 2))


def mask_stretch(caption: str, runs: Sequence[Run], rng: Random) -> Pieces:
    """One slot for the stretch from the first run to a random one [ours].

    It is what a slot sees at retrieval, where a pseudo-word stands once.
    """
    if not runs:
        return mask_runs(caption, runs, rng)
    return mask_runs(caption, [(runs[0][0], rng.choice(runs)[1])], rng)


def mask_faithful(caption: str, runs: Sequence[Run], rng: Random) -> Pieces:
    """As the authors' code does, quirks included.

    A run's text is replaced everywhere it occurs, also inside other words: a lone "a" masks every letter a. A run that
    is no substring of the caption ends the loop, and a random word is masked in its place; so it is where no run is.
    """
    words, masked = caption.split(), caption
    for text in [" ".join(words[start:end]) for start, end in runs] or [""]:
        if text and text in caption:
            masked = masked.replace(text, _SLOT)
            continue
        left = [word for word in masked.split() if _SLOT not in word]
        if left:
            masked = masked.replace(rng.choice(left), _SLOT)
        break
    return tuple(masked.split(_SLOT)) if _SLOT in masked else ("", "")


MASKINGS: dict[str, Callable[[str, Sequence[Run], Random], Pieces]] = {
    "runs": mask_runs,
    "stretch": mask_stretch,
    "faithful": mask_faithful,
}
