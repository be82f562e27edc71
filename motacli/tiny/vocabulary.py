"""The tiny CLIP's byte-pair vocabulary: learned from the world's own words, in the file format of CLIP's tokenizer."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import regex
from open_clip.tokenizer import bytes_to_unicode

from motacli.tiny import edits, grammar, phrases, world

HEADER = "#version: mota-tiny"
EVERYDAY = [
    "the", "same", "but", "rest", "of", "and", "is", "it", "that", "this", "with", "without", "on", "in", "at", "to",
    "as", "not", "no", "should", "be", "make", "change", "replace", "replaced", "remove", "add", "added", "instead",
    "place", "placed", "move", "moved", "put", "take", "away", "show", "shows", "shown", "see", "seen", "turn", "look",
    "looks", "like", "person", "dog", "cat", "car", "house", "tree", "dress", "shirt", "top", "sleeve", "longer",
    "shorter", "more", "less", "colour", "color", "background", "behind", "front", "left", "right", "above", "below",
    "many", "few", "some", "other", "another", "new", "old", "different", "picture", "photo", "image", "object",
    "shape", "thing", "one", "two", "three", "four", "five",
]  # fmt: skip
"""Words of other people's captions, so that plain English does not fall apart into bytes."""


def corpus(n: int = 12_000, seed: int = 0) -> Counter[str]:
    """How often each word occurs in sampled captions and edit phrases, every word of every bank included."""
    rng, numbers = Random(seed), np.random.default_rng(seed)
    words: Counter[str] = Counter({word: 3 for word in EVERYDAY})
    for split in world.SPLITS:
        for scene in world.sample_scenes(numbers, n // 3, split):
            words.update(_split(grammar.describe(scene, rng).text))
            edited = edits.edited_caption(scene, rng, numbers, split)
            if edited is not None:
                words.update(_split(edited.text))
    for bank in phrases.PHRASES.values():
        for texts in bank.values():
            words.update(word for text in texts for word in _split(text) if word.isalpha())
    return words


def _split(text: str) -> list[str]:
    return [
        str(word) for word in regex.findall(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", text.lower())
    ]


def learn_merges(words: Counter[str], limit: int) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is one token or ``limit`` is reached."""
    alphabet = bytes_to_unicode()
    pieces = {word: _pieces(word, alphabet) for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in pieces.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        pieces = {word: _merge(parts, best) for word, parts in pieces.items()}
    return merges


def _pieces(word: str, alphabet: dict[int, str]) -> list[str]:
    letters = [alphabet[byte] for byte in word.encode()]
    return [*letters[:-1], letters[-1] + "</w>"]


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def write_merges(merges: Iterable[tuple[str, str]], path: Path) -> None:
    """Write merges as CLIP's tokenizer reads them: a header that it skips, and no newline at the end."""
    text = "\n".join([HEADER, *(" ".join(pair) for pair in merges)])
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
