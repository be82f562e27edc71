"""Samples of pictures: the same ones for the same seed, in whatever order and in whichever file they come."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush, nsmallest

from motacli.contracts import Triplet
from motacli.triplets.keys import digest64


def lowest(ids: Iterable[str], size: int, seed: int) -> list[str]:
    """``size`` of the ids, or all: those with the lowest digests, in their order."""
    return nsmallest(size, ids, key=lambda id: (_rank(seed, id), id))


def one_per_picture(triplets: Iterable[Triplet], size: int, seed: int) -> list[Triplet]:
    """One triplet, at random, of each of ``size`` pictures drawn as by `lowest`; never more than those are in memory.

    Several triplets of one picture are not independent, and a picture with many would count more than others.
    """
    kept: dict[str, tuple[int, Triplet]] = {}
    worst: list[tuple[int, str]] = []  # a heap of negative ranks: the first to go is on top
    for triplet in triplets:
        picture, rank = triplet.image, _rank(seed, triplet.image)
        if picture not in kept:
            if len(kept) == size:
                if rank >= -worst[0][0]:
                    continue
                del kept[heappop(worst)[1]]
            heappush(worst, (-rank, picture))
        order = _rank(seed, triplet.id)
        if picture not in kept or order < kept[picture][0]:
            kept[picture] = order, triplet
    return [kept[picture][1] for picture in sorted(kept, key=lambda picture: (_rank(seed, picture), picture))]


def _rank(seed: int, text: str) -> int:
    return digest64(str(seed), text)
