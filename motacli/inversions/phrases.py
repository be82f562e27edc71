"""Phrases around concepts, whose meaning a pseudo-word in the concept's place has to keep (SEARLE, ICCV 2023)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from motacli.compose import TokenPrompt, tokenize_pieces
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.inversions.data import PairFeatures
from motacli.inversions.keywords import Run, light_runs
from motacli.processes.sharing import encode_texts_shared

_AT_ONCE = 32
"""Phrases that are encoded together: few, so that several processes get some of a batch's."""
_CONTINUATIONS = """
is in a room
is outdoors on a sunny day
is next to a window
is lying on a table
is seen from above
is seen from the side
is very large
is quite small
is in the foreground
is far away
is surrounded by people
is in front of a wall
is standing on the grass
is wet from the rain
is old and worn
is brand new
is painted in bright colours
is black and white
is partly hidden
is held in a hand
is one of several
is all alone
was taken at night
was taken in the snow
""".strip().splitlines()


class PhraseBook(Protocol):
    """Phrases for pictures, drawn at random."""

    def draw(self, rows: Sequence[int], rng: Random) -> tuple[list[TokenPrompt], Tensor]:
        """For each picture a phrase with a slot in its concept's place, and the whole phrase's feature ``(B, d)``."""


class CaptionBook:
    """One phrase per picture, its own caption; the concept is the caption's first run of content words [ours]."""

    def __init__(self, backbone: Backbone, data: PairFeatures) -> None:
        self._prompts = [caption_prompt(backbone, caption, first_concept(caption)) for caption in data.captions]
        self._features = data.text

    def draw(self, rows: Sequence[int], rng: Random) -> tuple[list[TokenPrompt], Tensor]:
        """The pictures' captions; nothing is drawn."""
        return [self._prompts[row] for row in rows], self._features[list(rows)]


class ConceptBook:
    """Phrases about the concepts of each picture; every phrase is encoded once, when it is first drawn.

    ``concepts`` ``(N, K)`` are each picture's, as names; ``phrases`` maps names to phrases that contain them verbatim.
    A name of which some phrase does not contain it is left out, as by the authors.
    """

    def __init__(
        self, backbone: Backbone, concepts: Sequence[Sequence[str]], phrases: Mapping[str, Sequence[str]]
    ) -> None:
        usable = {name for name, texts in phrases.items() if texts and all(name in text for text in texts)}
        self._concepts = [[name for name in names if name in usable] for names in concepts]
        lost = next((row for row, names in enumerate(self._concepts) if not names), None)
        if lost is not None:
            raise DataError(f"picture {lost} has no concept with phrases", "give phrases of more concepts")
        self._backbone, self._phrases = backbone, phrases
        self._known: dict[str, int] = {}
        self._features: list[Tensor] = []

    def draw(self, rows: Sequence[int], rng: Random) -> tuple[list[TokenPrompt], Tensor]:
        """A random phrase of a random concept of each picture."""
        names = [rng.choice(self._concepts[row]) for row in rows]
        texts = [rng.choice(self._phrases[name]) for name in names]
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            features = torch.from_numpy(encode_texts_shared(self._backbone, new, _AT_ONCE)).to(self._backbone.device)
            for text, feature in zip(new, features, strict=True):
                self._known[text] = len(self._features)
                self._features.append(feature)
        prompts = [concept_prompt(self._backbone, text, name) for text, name in zip(texts, names, strict=True)]
        return prompts, torch.stack([self._features[self._known[text]] for text in texts])


def first_concept(caption: str) -> Run:
    """The words ``(start, end)`` of a caption's first run of content words; the first word where it has none."""
    return next(iter(light_runs(caption)), (0, 1))


def caption_prompt(backbone: Backbone, caption: str, concept: Run) -> TokenPrompt:
    """A caption with a slot in the place of its words ``concept``."""
    words, (start, end) = caption.split(), concept
    return tokenize_pieces(backbone, (" ".join(words[:start]), " ".join(words[end:])))


def concept_prompt(backbone: Backbone, phrase: str, concept: str) -> TokenPrompt:
    """A phrase with a slot in the place of the first occurrence of a concept."""
    before, _, after = phrase.partition(concept)
    return tokenize_pieces(backbone, (before, after))


# ---------------------------------------------------------------------------------------------- where they come from


def rule_phrases(names: Iterable[str]) -> dict[str, list[str]]:
    """A few everyday continuations of "a photo of {concept} that", the same for every concept: the offline default."""
    return {name: [f"a photo of {name} that {text}" for text in _CONTINUATIONS] for name in names}


def read_phrases(path: Path) -> dict[str, list[str]]:
    """Phrases from JSON ``{concept: [phrases]}``; `DataError` otherwise. Pickles are not read: convert them first."""
    if path.suffix in (".pkl", ".pickle"):
        raise DataError(f"{path} is a pickle, which can run code when read", "write it as JSON: {concept: [phrases]}")
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"no such file of phrases: {path}", "JSON: {concept: [phrases]}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON of phrases: {error}", "JSON: {concept: [phrases]}") from error
    if not isinstance(found, dict) or not all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in found.values()
    ):
        raise DataError(f"{path} is no JSON of phrases", "JSON: {concept: [phrases]}")
    return found


def names_of(associations: np.ndarray, names: Sequence[str]) -> list[list[str]]:
    """Rows of concepts ``(N, K)`` as names."""
    return [[names[row] for row in own] for own in associations.tolist()]
