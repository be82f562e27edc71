"""The rule generator on the tiny world: blind, repeatable, of every kind, true to what it says about context."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from motacli.contracts import ImageRef, ImageText, Outcome, Triplet
from motacli.errors import UnknownNameError, UsageError
from motacli.tiny import grammar
from motacli.tiny.world import CARDINALITY, sample_scenes
from motacli.triplets.contexts import CONTEXT_SHARES
from motacli.triplets.covered import is_covered
from motacli.triplets.described import CONTEXT_FIELDS, SIMPLE
from motacli.triplets.description import parse
from motacli.triplets.lexicon import load_lexicon
from motacli.triplets.rules import RuleGenerator, RuleOptions

CHANGED = {"negation": "colour", "addition": "noun2", "second": "noun2", "removal": "noun2"}
"""The field of a description that a modification changes, where it has another name."""
CONTEXT_OF = {"count": "position"}
SUBJECT = ("noun", "colour", "texture", "count", "noun2")


@cache
def rows(count: int = 400) -> tuple[ImageText, ...]:
    words = Random(1)
    scenes = sample_scenes(np.random.default_rng(1), count, "train")
    texts = [grammar.describe(scene, words, grammar.THOROUGH).text for scene in scenes]
    return tuple(ImageText(ImageRef(f"{i}.png", Path("nowhere")), text) for i, text in enumerate(texts))


def triplets_of(outcomes: Iterable[Outcome]) -> list[Triplet]:
    return [triplet for outcome in outcomes for triplet in outcome.triplets]


def written(per_image: int = 4, **options: Any) -> list[Triplet]:
    return triplets_of(RuleGenerator(RuleOptions(per_image=per_image, **options)).generate(rows()))


def field(triplet: Triplet) -> str:
    return CHANGED.get(triplet.modification_type, triplet.modification_type)


class Untouchable:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the picture was touched: {name}")


def test_only_captions_are_seen() -> None:
    blind = [ImageText(ImageRef(row.image.id, Untouchable()), row.caption) for row in rows()]  # type: ignore[arg-type]
    assert triplets_of(RuleGenerator().generate(blind)) == written(per_image=1)


def test_the_same_seed_writes_the_same_triplets() -> None:
    assert written(seed=3) == written(seed=3)
    assert [t.relative_caption for t in written(seed=3)] != [t.relative_caption for t in written(seed=4)]


def test_a_row_does_not_depend_on_the_rows_before_it() -> None:
    alone = [t for row in reversed(rows()) for t in triplets_of(RuleGenerator().generate([row]))]
    assert sorted(alone, key=lambda t: t.id) == sorted(written(per_image=1), key=lambda t: t.id)


def test_every_kind_of_modification_occurs() -> None:
    counts = Counter(t.modification_type for t in written(per_image=4))
    assert set(counts) == {*SIMPLE, "negation", "addition", "removal", "second", "conjunction"}


def test_ids_are_unique_and_name_their_picture() -> None:
    triplets = written(per_image=3)
    assert len({t.id for t in triplets}) == len(triplets) <= 3 * len(rows())
    known = {row.image.id: row.caption for row in rows()}
    assert all(t.id.startswith(t.image) and known[t.image] == t.reference_caption for t in triplets)


@pytest.mark.parametrize("context", CONTEXT_SHARES)
def test_the_target_shows_the_change_and_keeps_the_subject(context: str) -> None:
    lexicon = load_lexicon()
    for triplet in written(context=context, conjunctions=0.0, rich=0.0):
        before, after = parse(triplet.reference_caption, lexicon), parse(triplet.target_caption, lexicon)
        changed = field(triplet)
        assert before is not None and after is not None and triplet.context == context
        assert getattr(after, changed) != getattr(before, changed), triplet
        assert (getattr(after, changed) is None) == (triplet.modification_type == "removal"), triplet
        for kept in set(SUBJECT) - {changed}:
            assert getattr(after, kept) == getattr(before, kept), (kept, triplet)


def untouched(triplet: Triplet) -> list[str]:
    return [f for f in CONTEXT_FIELDS if f not in (field(triplet), CONTEXT_OF.get(triplet.modification_type))]


def contexts(context: str) -> list[tuple[str | None, str | None]]:
    """What reference and target caption say about each piece of context that the edit leaves alone."""
    lexicon, pairs = load_lexicon(), []
    for triplet in written(context=context, conjunctions=0.0, rich=0.0):
        before, after = parse(triplet.reference_caption, lexicon), parse(triplet.target_caption, lexicon)
        pairs += [(getattr(before, name), getattr(after, name)) for name in untouched(triplet)]
    return pairs


def test_kept_context_is_the_references() -> None:
    assert all(before == after for before, after in contexts("keep"))


def test_omitted_context_is_not_mentioned() -> None:
    pairs = contexts("omit")
    assert all(after is None for _, after in pairs) and any(before is not None for before, _ in pairs)


def test_changed_context_has_little_to_do_with_the_references() -> None:
    pairs = contexts("change")
    mentioned = [(before, after) for before, after in pairs if before is not None and after is not None]
    assert len(mentioned) > 100
    same = sum(before == after for before, after in mentioned) / len(mentioned)
    assert same < 0.5
    assert any(before is None and after is not None for before, after in pairs)


def test_mixed_context_changes_most_often() -> None:
    counts = Counter(t.context for t in written())
    assert set(counts) == set(CONTEXT_SHARES) and counts.most_common(1)[0][0] == "change"


def test_two_changes_are_both_in_the_text() -> None:
    both = [t for t in written(conjunctions=1.0, rich=0.0) if t.modification_type == "conjunction"]
    assert len(both) > len(rows()) / 2 and all(" and " in t.relative_caption for t in both)


def test_a_restated_change_is_said_twice_and_made_once() -> None:
    plain = {"conjunctions": 0.0, "rich": 0.0, "subject": 0.0}
    once, twice = written(restated=0.0, **plain), written(restated=1.0, **plain)
    assert all(" and " in t.relative_caption for t in twice) and {t.modification_type for t in twice} >= {
        "colour",
        "removal",
    }
    assert sum(" and " in t.relative_caption for t in once) < len(once) / 10  # where a phrase has an "and" of its own
    assert "conjunction" not in {t.modification_type for t in twice}


def test_a_subject_names_what_stays() -> None:
    lexicon = load_lexicon()
    options = {"conjunctions": 0.0, "restated": 0.0, "rich": 0.0}
    named = [t for t in written(subject=1.0, **options) if t.modification_type not in ("noun", "count")]
    for triplet in named:
        noun = parse(triplet.reference_caption, lexicon).noun
        words = re.findall(r"[a-z-]+", triplet.relative_caption)
        assert noun in {lexicon.names["noun"].get(word) or lexicon.names["noun"].get(word[:-1]) for word in words}, (
            triplet
        )


def test_captions_without_a_known_subject_are_rejected() -> None:
    texts = ["a red object on a white background", "a red star", "", "colourful"]
    strange = [ImageText(ImageRef(str(i), Path("x")), text) for i, text in enumerate(texts)]
    outcomes = list(RuleGenerator().generate(strange))
    assert [len(outcome.triplets) for outcome in outcomes] == [0, 1, 0, 0]
    refused = [(r.reason, r.raw) for outcome in outcomes for r in outcome.rejections]
    assert refused == [("no known subject", texts[0]), ("no safe edit", texts[2]), ("no safe edit", texts[3])]


def tiny_captions(count: int, habit: grammar.Habit) -> list[str]:
    """Captions of scenes that do not depend on a version of numpy."""
    words = Random(11)
    scenes = [np.array([words.randrange(size) for size in CARDINALITY.values()], dtype=np.int8) for _ in range(count)]
    return [grammar.describe(scene, words, habit).text for scene in scenes]


@pytest.mark.parametrize("habit", [grammar.THOROUGH, grammar.CASUAL])
def test_every_caption_of_the_tiny_world_is_covered(habit: grammar.Habit) -> None:
    assert [text for text in tiny_captions(2000, habit) if not is_covered(text)] == []


@pytest.mark.parametrize(
    "caption", ["a red star on a beach", "a heart of gold", "a small dog", "two stars and a planet", "a red moon rises"]
)
def test_a_caption_with_another_word_is_not_covered(caption: str) -> None:
    assert not is_covered(caption) and is_covered("A small red star on the left.")


def test_what_is_written_for_the_tiny_world_does_not_move() -> None:
    """The demo's numbers rest on these texts, which were the same before captions of other worlds could be edited."""
    texts = [*tiny_captions(1500, grammar.THOROUGH), *tiny_captions(1500, grammar.CASUAL)]
    rows = [ImageText(ImageRef(f"{i}.png", Path("x")), text) for i, text in enumerate(texts)]
    found = triplets_of(RuleGenerator(RuleOptions(per_image=4)).generate(rows))
    texts = [f"{t.id}|{t.relative_caption}|{t.target_caption}|{t.modification_type}|{t.context}" for t in found]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "165ef941ca9d4ca6"


def test_no_template_is_left_unfilled() -> None:
    assert not [t for t in written(per_image=4) if set("{}") & set(t.relative_caption + t.target_caption)]


@pytest.mark.parametrize("options", [{"context": "other"}, {"per_image": 0}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises((UnknownNameError, UsageError)):
        RuleOptions(**options)
