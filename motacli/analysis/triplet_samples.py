"""Triplets to look at, with their pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

from motacli.analysis.sampling import Strata
from motacli.contracts import ImageRef, Triplet
from motacli.datasets import open_source, picture_exists
from motacli.errors import MotaError
from motacli.remote.urls import beside
from motacli.report.pictures import picture_or_gap

SHOWN = 24
PER_TYPE = 4


@dataclass(frozen=True, slots=True)
class Sampled:
    """A triplet and its picture: None where no pictures were asked for."""

    triplet: Triplet
    image: ImageRef | None


class Shown:
    """Collects the triplets to show while they go by: a few of each modification type."""

    def __init__(self, seed: int) -> None:
        self._strata = Strata[Triplet](PER_TYPE, seed)

    def watch(self, triplets: Iterator[Triplet]) -> Iterator[Triplet]:
        """Pass the triplets on."""
        for triplet in triplets:
            self._strata.add(triplet.modification_type, triplet)
            yield triplet

    def chosen(self) -> list[Triplet]:
        """At most `SHOWN` triplets, the commonest types first; every type has one before any has two."""
        counts = self._strata.counts()
        drawn = self._strata.draw(dict.fromkeys(counts, PER_TYPE))
        ranked = sorted(counts, key=lambda kind: (-counts[kind], kind))
        turns = [(turn, place, t) for place, kind in enumerate(ranked) for turn, t in enumerate(drawn[kind])]
        turns.sort(key=lambda item: item[:2])
        kept = sorted(turns[:SHOWN], key=lambda item: (item[1], item[0]))
        return [triplet for _, _, triplet in kept]


def with_pictures(triplets: Sequence[Triplet], images: Path | None) -> list[Sampled]:
    """The triplets with their pictures, below the folder or in the data set ``images``."""
    if images is None:
        return [Sampled(triplet, None) for triplet in triplets]
    found = find_pictures(images, [triplet.image for triplet in triplets])
    return [Sampled(triplet, found[triplet.image]) for triplet in triplets]


def find_pictures(images: Path, ids: Iterable[str]) -> dict[str, ImageRef]:
    """Where pictures are: below ``images`` where it is a folder and they lie there, else where its rows say.

    Ids that are nowhere come with a place where no picture is.
    """
    found = {id: _below(images, id) for id in ids}
    wanted = {id for id, ref in found.items() if not picture_exists(ref)}
    if wanted:
        with suppress(MotaError):  # a folder of nothing but pictures is no data set
            for row in open_source(images):
                if row.image.id in wanted:
                    found[row.image.id] = row.image
                    wanted.remove(row.image.id)
                if not wanted:
                    break
    return found


def _below(root: Path, image: str) -> ImageRef:
    """The picture at that path below ``root``. One that would lie elsewhere, as only a file made to pry has, is not."""
    path = Path(os.path.normpath(beside(root, image)))
    inside = path.is_relative_to(os.path.normpath(root))
    return ImageRef(image, path if inside else root / ".outside")


def missing(samples: Sequence[Sampled]) -> list[str]:
    """The ids of pictures that are asked for and not there."""
    return [s.image.id for s in samples if s.image is not None and not picture_exists(s.image)]


def sample_section(samples: Sequence[Sampled]) -> str:
    """The triplets as cards."""
    if not samples:
        return ""
    gone = len(missing(samples))
    said = f" {gone} of these {len(samples)} pictures are missing." if gone else ""
    cards = "".join(_card(f"triplet-{number}", sample) for number, sample in enumerate(samples, start=1))
    return (
        '<section aria-labelledby="samples"><h2 id="samples">What they say</h2>'
        f'<p class="lead">Triplets drawn at random, up to {PER_TYPE} of each modification type.{said}</p>'
        f"{cards}</section>"
    )


def _card(id: str, sample: Sampled) -> str:
    triplet = sample.triplet
    labels = (triplet.modification_type, f"context: {triplet.context}", triplet.generator.model, triplet.id)
    shown = "".join(f"<span>{escape(text)}</span> " for text in labels if text)
    look = "card" if sample.image else "card textual"
    return (
        f'<article class="{look}" aria-labelledby="{id}">{_figure(sample.image)}'
        f'<div class="asked"><p class="labels">{shown}</p>'
        f'<h3 id="{id}"><q>{escape(triplet.relative_caption)}</q></h3></div>'
        f'<dl class="captions"><dt>reference</dt><dd>{escape(triplet.reference_caption)}</dd>'
        f"<dt>target</dt><dd>{escape(triplet.target_caption)}</dd></dl></article>"
    )


def _figure(image: ImageRef | None) -> str:
    if image is None:
        return ""
    shown = picture_or_gap(image, f"Reference picture {image.id}")
    return f'<figure class="reference">{shown}<figcaption>reference</figcaption></figure>'
