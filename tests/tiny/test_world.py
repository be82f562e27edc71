"""The tiny world's splits and words share nothing that could be learned by heart, and its queries have answers."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

from motacli.tiny import edits, phrases
from motacli.tiny.queries import Rules, Source, draw_query, fits, like_reference, like_text, near_target
from motacli.tiny.world import CONTEXT, SPLITS, Attr, Scenes, allowed, sample_scenes, satisfies, valid

SYNONYMS = {
    "a_noun": "a_shape",
    "nouns": "shapes",
    "noun": "shape",
    "old_shape": "shape",
    "old_noun": "shape",
    "old_noun2": "old_second",
}
"""Slots that the rule generator and the world call by different names."""


def template(phrase: str) -> str:
    return re.sub(r"{(\w+)}", lambda slot: f"{{{SYNONYMS.get(slot[1], slot[1])}}}", phrase)


def banks() -> dict[str, set[str]]:
    rules = tomllib.loads(files("motacli.triplets").joinpath("rules.toml").read_text("utf-8"))["phrases"]
    every = {**phrases.PHRASES, "rules": rules}
    return {name: {template(p) for phrases in bank.values() for p in phrases} for name, bank in every.items()}


@pytest.mark.parametrize(("one", "other"), list(combinations(("pretrain", "val", "test", "rules"), 2)))
def test_no_two_banks_share_a_phrase(one: str, other: str) -> None:
    assert banks()[one] and not banks()[one] & banks()[other]


def test_wordier_captions_differ_between_banks_too() -> None:
    rules = tomllib.loads(files("motacli.triplets").joinpath("rules.toml").read_text("utf-8"))["subject"]["forms"]
    for forms in (phrases.WITH_SUBJECT, phrases.WITH_FACTS):
        assert not set(forms["val"]) & set(forms["test"])
    assert rules and not set(rules) & {*phrases.WITH_SUBJECT["val"], *phrases.WITH_SUBJECT["test"]}


@pytest.mark.parametrize("bank", phrases.PHRASES)
def test_every_bank_words_every_edit(bank: str) -> None:
    assert {kind for kind, phrases in phrases.PHRASES[bank].items() if phrases} == set(edits.TYPES)


def pairs(scenes: Scenes) -> set[tuple[int, int]]:
    first = {(int(s[Attr.SHAPE]), int(s[Attr.COLOUR])) for s in scenes}
    return first | {(int(s[Attr.SHAPE2]) - 1, int(s[Attr.COLOUR2])) for s in scenes if s[Attr.SHAPE2] > 0}


def test_the_splits_deal_out_every_pair_once() -> None:
    assert (sum(allowed(split).astype(int) for split in SPLITS) == 1).all()


def test_no_object_of_a_split_is_seen_in_another() -> None:
    seen = {split: pairs(sample_scenes(np.random.default_rng(0), 600, split)) for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not seen[one] & seen[other]
    assert {shape for shape, _ in seen["test"]} == {shape for shape, _ in seen["train"]}


@pytest.mark.parametrize("split", ["val", "test"])
def test_edits_stay_inside_their_split(split: str) -> None:
    source = Source.seeded(0, split, 0)
    drawn = [draw_query(Rules(), source) for _ in range(60)]
    assert valid(np.stack([query.target for query in drawn]), split).all()
    assert valid(np.stack([query.reference for query in drawn]), split).all()


def queries(count: int = 80) -> tuple[Source, list]:  # type: ignore[type-arg]
    source = Source.seeded(5, "test", 0)
    return source, [draw_query(Rules(), source) for _ in range(count)]


def test_every_target_fits_its_query_and_no_reference_does() -> None:
    for query in queries()[1]:
        assert fits(query.target, query) and not fits(query.reference, query), query.text


def test_what_the_text_leaves_open_may_drift() -> None:
    drawn = queries()[1]
    moved = [a for q in drawn for a in CONTEXT if q.wanted[a] < 0 and q.target[a] != q.reference[a]]
    assert set(moved) == set(CONTEXT)


def test_hard_pictures_are_wrong_answers() -> None:
    source, drawn = queries()
    for query in drawn:
        for wrong in (like_reference(query, source), like_text(query, source), near_target(query, source)):
            assert not fits(wrong, query), query.text
            assert valid(wrong[None], "test")[0]


def test_satisfies_agrees_with_fits() -> None:
    drawn = queries(20)[1]
    scenes = np.stack([query.target for query in drawn])
    table = satisfies(scenes, np.stack([query.wanted for query in drawn]))
    assert table.tolist() == [[fits(scene, query) for scene in scenes] for query in drawn]


def test_queries_repeat_with_their_seed() -> None:
    texts = [query.text for query in queries()[1]]
    assert texts == [query.text for query in queries()[1]]
    other = Source.seeded(6, "test", 0)
    assert texts != [draw_query(Rules(), other).text for _ in range(80)]
