"""Edits of everyday captions, type by type: the target is English, says the change, and keeps what it should."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from motacli.contracts import ImageRef, ImageText, Outcome
from motacli.triplets.contexts import CONTEXT_SHARES
from motacli.triplets.editing.caption import analyse
from motacli.triplets.editing.context import omission
from motacli.triplets.editing.edit import Edit, compose
from motacli.triplets.editing.editor import MODIFICATION_TYPES
from motacli.triplets.editing.morphology import plural_of, verb_forms, with_article
from motacli.triplets.editing.operations import (
    addition,
    attribute,
    background,
    count,
    light,
    negation,
    removal,
    spatial,
    style,
    substitution,
    viewpoint,
)
from motacli.triplets.editing.vocabulary import vocabulary
from motacli.triplets.rules import RuleGenerator, RuleOptions

SENTENCES = (
    "A man riding a horse on the beach.",
    "a photo of two dogs playing with a ball in the grass",
    "a bowl of soup and a sandwich on a wooden table",
    "An old house next to a lake at sunset",
    "Young woman in a red dress holding an umbrella",
    "The cat is sleeping on a blue sofa.",
    'a street sign that says "Main Street" in front of a brick building',
    "a yellow taxi driving down a busy city street. People are waiting at the corner.",
    "men's blue denim jacket with silver buttons",
    "a small bird perched on a branch",
)


def row(text: str, name: str = "r") -> ImageText:
    return ImageText(ImageRef(f"{name}.png", Path("nowhere")), text, name)


def outcomes(texts: Sequence[str], **options: object) -> list[Outcome]:
    return list(RuleGenerator(RuleOptions(**options)).generate(row(t, str(i)) for i, t in enumerate(texts)))  # type: ignore[arg-type]


def targets(operation: ModuleType, text: str, draws: int = 40) -> set[str]:
    """All that an operation makes of a caption."""
    words = vocabulary()
    caption = analyse(text, words)
    found: set[str] = set()
    for seed in range(draws):
        edits: list[Edit] = operation.edits(caption, words, Random(seed))
        found |= {target for edit in edits if (target := compose(caption, [edit], words))}
    return found


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "an apple"), ("red apple", "a red apple"), ("unicorn", "a unicorn"), ("umbrella", "an umbrella"),
        ("hour", "an hour"), ("SUV", "an SUV"), ("European city", "a European city"),
        ("one-eyed cat", "a one-eyed cat"),
        ("unusual car", "an unusual car"), ("uniform", "a uniform"), ("8-ball", "an 8-ball"),
        ("ugly hat", "an ugly hat"),
    ],
)  # fmt: skip
def test_articles(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("box", "boxes"), ("berry", "berries"), ("toy", "toys"), ("teddy bear", "teddy bears"), ("bench", "benches")],
)
def test_plurals(noun: str, expected: str) -> None:
    assert plural_of(noun, {}) == expected and plural_of("police officer", {"officer": "x"}) == "police x"


@pytest.mark.parametrize(
    ("base", "ing"), [("jump", "jumping"), ("dance", "dancing"), ("hug", "hugging"), ("see", "seeing")]
)
def test_forms_of_verbs(base: str, ing: str) -> None:
    assert verb_forms(base)[3] == ing


def test_colours_change_where_they_stand_and_articles_follow() -> None:
    found = targets(attribute, "a green car beside a house")
    assert {"an orange car beside a house", "a white car beside a house"} <= found
    assert not any("green" in t and t.count(" car") and "green car" not in t for t in found)


def test_a_new_adjective_stands_in_its_place() -> None:
    found = targets(attribute, "a big wooden chair")
    assert "a big blue wooden chair" in found and "a big metal chair" in found
    assert not any(re.search(r"(blue|red|old) big", t) for t in found)


@pytest.mark.parametrize("text", ["the White House in winter", "a glass of red wine", "a Red Cross truck"])
def test_names_and_fixed_expressions_keep_their_colour(text: str) -> None:
    kept = re.search(r"white house|red wine|red cross", text, re.I)
    assert kept and all(kept.group() in target for target in targets(attribute, text))


def test_clothes_have_parts() -> None:
    found = targets(attribute, "a woman in a blue dress")
    assert {"a woman in a blue dress with long sleeves", "a woman in a sleeveless blue dress"} <= found


def test_things_are_replaced_by_their_like() -> None:
    assert targets(substitution, "An apple on a plate") >= {"A banana on a plate", "An orange on a plate"}
    assert targets(substitution, "two dogs on a sofa") >= {"two cats on a sofa", "two dogs on a bench"}
    assert targets(substitution, "the man with his son") == set()


def test_numbers_agree() -> None:
    assert "Three dogs are sitting on a mat" in targets(count, "A dog is sitting on a mat")
    assert "two dogs sit on a mat" in targets(count, "a dog sits on a mat")
    assert "four glasses of water" in targets(count, "a glass of water")
    assert "five cats on a bed" in targets(count, "two cats on a bed")
    assert "two small foxes in a field" in targets(count, "a small fox in a field")
    assert "three women near a lake" in targets(count, "a woman near a lake")


@pytest.mark.parametrize(
    "text", ["a dog chasing its tail", "a woman in a red dress", "the moon", "some water", "both cats"]
)
def test_the_number_is_left_alone_where_more_would_have_to_change(text: str) -> None:
    assert targets(count, text) == set()


def test_things_are_left_out_where_the_rest_stands() -> None:
    assert targets(removal, "a cat next to a lamp") == {"a cat"}
    assert targets(removal, "a yellow t-shirt with a dog on it.") == {"a yellow t-shirt."}
    assert targets(removal, "a woman holding an umbrella in a park") == {"a woman in a park"}
    assert targets(removal, "a cup and a spoon on a table") == {"a cup on a table"}
    assert targets(removal, "a boy playing with a ball") == set()
    assert targets(removal, "a cup and a spoon are on a table") == set()


def test_things_are_added() -> None:
    assert any(
        t.startswith("A man wearing a straw hat sitting") for t in targets(addition, "A man sitting on a bench.")
    )
    assert any("with a tree in the foreground" in t for t in targets(addition, "a castle on a hill"))
    assert not any("wearing" in t for t in targets(addition, "a man in a hat"))


def test_more_is_said_in_a_sentence_of_its_own_after_several() -> None:
    found = targets(addition, "A truck is on the road. It is full of hay.")
    assert any(t.startswith("A truck is on the road. It is full of hay. There ") and t.endswith(".") for t in found)


def test_scenes_are_exchanged_or_added() -> None:
    assert "a dog sitting in a forest" in targets(background, "a dog sitting on the beach")
    assert any("kitchen counter" in t for t in targets(background, "a red mug"))
    assert not any("desert" in t for t in targets(background, "a man surfing in the ocean"))


def test_light_is_exchanged_or_added() -> None:
    assert "a bridge on a rainy day" in targets(light, "a bridge at night")
    assert targets(light, "a dark cave") == set()


def test_styles_stand_before_things_and_after_sentences() -> None:
    assert "an oil painting of a fox" in targets(style, "a fox")
    assert "A cartoon of a dog sitting on a mat" in targets(style, "A dog is sitting on a mat")
    assert "A cartoon of a dog running" in targets(style, "A photo of a dog running")
    assert "A pencil sketch of a young woman" in targets(style, "Young woman")
    assert "A cartoon in which a man sat down and a dog ran" in targets(style, "A man sat down and a dog ran")
    assert all(t == "a city" or " of a city" in t for t in targets(style, "a city, oil on canvas"))


def test_viewpoints() -> None:
    assert {"a close-up of a cup", "a cup seen from above"} <= targets(viewpoint, "a cup")
    assert targets(viewpoint, "a cup seen from below") == set()


def test_relations_are_exchanged_and_things_moved() -> None:
    assert "a lamp behind a chair" in targets(spatial, "a lamp next to a chair")
    assert "a red cube under a blue sphere" in targets(spatial, "a red cube on top of a blue sphere")
    assert "a parrot on the left side of the picture" in targets(spatial, "a parrot")


def test_negation_leaves_out_denies_or_excludes() -> None:
    assert "a woman" in targets(negation, "a woman with an umbrella")
    assert any("no people in sight" in t for t in targets(negation, "a lake in the mountains"))


def test_context_can_be_left_out() -> None:
    words = vocabulary()
    caption = analyse("A photo of a dog sitting on the beach at sunset.", words)
    assert compose(caption, omission(caption, frozenset()), words) == "A dog sitting."


@pytest.mark.parametrize("context", CONTEXT_SHARES)
def test_what_is_recorded_of_the_context_is_true(context: str) -> None:
    found = [t for o in outcomes(SENTENCES * 3, context=context, rich=0.0) for t in o.triplets]
    assert len(found) > 20
    wanted = sum(t.context == context for t in found)
    assert wanted > {"change": 0.6, "keep": 0.99, "omit": 0.2}[context] * len(found)


def test_several_triplets_of_a_row_differ() -> None:
    for outcome in outcomes(SENTENCES, per_image=4):
        kinds = [t.modification_type for t in outcome.triplets]
        assert len(kinds) == 4 and len(set(kinds)) >= 3, outcome
        assert len({t.target_caption for t in outcome.triplets}) == 4 and set(kinds) <= set(MODIFICATION_TYPES)


def test_two_edits_are_a_conjunction() -> None:
    found = [t for o in outcomes(SENTENCES, conjunctions=1.0, rich=0.0) for t in o.triplets]
    both = [t for t in found if t.modification_type == "conjunction"]
    assert len(both) > len(found) / 2 and all(" and " in t.relative_caption for t in both)


def test_a_row_depends_on_its_id_caption_and_seed_only() -> None:
    together = outcomes(SENTENCES, seed=2)
    alone = [next(iter(RuleGenerator(RuleOptions(seed=2)).generate([o.row]))) for o in reversed(together)]
    assert list(reversed(alone)) == together
    assert [o.triplets for o in outcomes(SENTENCES, seed=3)] != [o.triplets for o in together]


def test_the_digest_names_the_rules() -> None:
    info = RuleGenerator().info
    assert info.name == "rules" and re.fullmatch("[0-9a-f]{12}", info.prompt_hash)
    assert {t.generator for o in outcomes(SENTENCES) for t in o.triplets} == {info}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no words"), ("...", "no words"), ("Der Hund und die Katze auf dem Sofa", "not English"),
        ("一只猫", "not English"),
        ("I love my new dog", "speaks to somebody"), ("How to bake a cake", "does not begin with a thing"),
        ("the meaning of life", "no known thing"), ("see more at http://x.org/dog", "code or an address"),
        ("Draw a dog on a chair", "asks for something"), ("the beauty of a rose", "about nothing that can be seen"),
    ],
)  # fmt: skip
def test_captions_that_are_left_alone(text: str, why: str) -> None:
    outcome = outcomes([text])[0]
    assert not outcome.triplets and [(r.reason, r.detail, r.raw) for r in outcome.rejections] == [
        ("no safe edit", why, text)
    ]


def test_what_is_missing_of_a_row_is_told() -> None:
    outcome = outcomes(["the word 'HELLO' on a wall"], per_image=50)[0]
    assert outcome.triplets and outcome.rejections[0].detail == f"{len(outcome.triplets)} of 50 triplets"
