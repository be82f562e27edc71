"""Whatever the caption is, the rule generator answers, and what it writes is new, whole and named after its row."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.contracts import ImageRef, ImageText, Outcome
from motacli.triplets.editing.vocabulary import vocabulary
from motacli.triplets.rules import RuleGenerator, RuleOptions

GENERATOR = RuleGenerator(RuleOptions(per_image=3))
FUNCTION = (
    "a",
    "the",
    "two",
    "on",
    "with",
    "and",
    "of",
    "in",
    "next to",
    "is",
    "sitting",
    ",",
    ".",
    "that",
    "red",
    "old",
    "'s",
    '"',
    "at night",
)
KNOWN = sorted(vocabulary().nouns)[::7] + sorted(vocabulary().adjectives)[::7] + sorted(vocabulary().verbs)[::9]


def answer(text: str, generator: RuleGenerator = GENERATOR) -> Outcome:
    found = list(generator.generate([ImageText(ImageRef("p.png", Path("nowhere")), text, "row")]))
    assert len(found) == 1
    return found[0]


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def check(text: str) -> None:
    outcome = answer(text)
    assert outcome == answer(text) and (outcome.triplets or outcome.rejections)
    assert [t.id for t in outcome.triplets] == [f"row#{n}" for n in range(len(outcome.triplets))]
    for triplet in outcome.triplets:
        assert triplet.reference_caption == text and triplet.source_id == "row" and triplet.image == "p.png"
        texts = {plain(text), plain(triplet.relative_caption), plain(triplet.target_caption)}
        assert len(texts) == 3 and "" not in texts, triplet
        assert not {"{", "}"} & set(triplet.relative_caption + triplet.target_caption)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    check(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(FUNCTION), st.sampled_from(KNOWN)), max_size=18))
def test_any_words(words: list[str]) -> None:
    check(" ".join(words))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a cat", "a photo of", "\ud800", "“", "é", "\x00", "on", "12", "mat", "\n", "\u2019s"]),
        max_size=9,
    )
)
def test_broken_text(words: list[str]) -> None:
    check(" ".join(words))


def prompts(shared: Path) -> list[str]:
    path = shared / "captions" / "PartiPrompts-half.tsv"
    if not path.is_file():
        pytest.skip(f"no captions to measure on: {path.name} is not in {path.parent.name}/")
    with path.open(encoding="utf-8", newline="") as lines:
        texts = [line["Prompt"] for line in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [text for text in texts if len(text.split()) >= 4]


def test_most_prompts_are_edited_in_many_ways(shared: Path) -> None:
    texts = prompts(shared)
    rows = [ImageText(ImageRef(f"{i}.png", Path("nowhere")), text) for i, text in enumerate(texts)]
    start = time.process_time()
    found = [t for outcome in RuleGenerator().generate(rows) for t in outcome.triplets]
    seconds = time.process_time() - start
    assert len(found) >= 0.85 * len(rows)
    types = Counter(t.modification_type for t in found)
    assert sum(n > 0.03 * len(found) for n in types.values()) >= 8, types
    assert all(plain(t.target_caption) != plain(t.reference_caption) for t in found)
    assert len(rows) / seconds > 300, "it should be thousands a second on an idle core"
