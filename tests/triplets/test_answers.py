"""Answers of models that ignore what they were asked for, cut off, wrong or hostile."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.llms.errors import LLMError
from motacli.triplets.answers import LONGEST_TEXT, Answer, Written, read_answer
from motacli.triplets.prompts import TYPES

ONE = {"relative_caption": "make it blue", "target_caption": "a blue star", "modification_type": "attribute"}
TWO = {"relative_caption": "two of them", "target_caption": "two red stars", "modification_type": "count"}
FIRST, SECOND = Written(*ONE.values()), Written(*TWO.values())
GOOD = json.dumps({"triplets": [ONE]})
FORM = '{"triplets": [{"relative_caption": "...", "target_caption": "...", "modification_type": "..."}]}'


def refused(text: str, count: int = 1, recaption: bool = False) -> LLMError:
    with pytest.raises(LLMError) as caught:
        read_answer(text, count, recaption)
    assert caught.value.raw == text
    return caught.value


def one(**changes: Any) -> str:
    return json.dumps({"triplets": [{**ONE, **changes}]})


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\ufeff \n{GOOD}\n\n",
        json.dumps({"triplets": [ONE]}, indent=2),
        f"Sure! Here is what you asked for:\n\n{GOOD}\n\nHope it helps!",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n``` {{and so on}}",
        json.dumps([ONE]),
        json.dumps(ONE),
        json.dumps({"triplets": ONE}),
        json.dumps({"note": "x", "triplets": [{"id": 3, **ONE}]}),
        f"I follow the form {FORM}. So:\n{GOOD}",
        f"Not [this], nor {{that}}, nor [1, 2], nor {{}}: {GOOD}",
        f"There is no list [] here, but {GOOD}",
        f"{GOOD}{json.dumps([TWO])}",
        GOOD.replace("blue star", "blue\\nstar").replace("make it", " make  \\t it "),
        GOOD.replace("a blue star", "a blue\n\tstar"),
        GOOD[:-2],
        GOOD[:-1] + ", {",
        GOOD[:-2] + ', {"relative_caption": "cut o',
    ],
)
def test_a_good_triplet_is_found(text: str) -> None:
    assert read_answer(text, 1) == Answer((FIRST,))


@pytest.mark.parametrize(
    "thinking",
    [
        "<think>A draft: {}. No.</think>",
        "<THINKING>\n{}\n</THINKING>",
        "The opening tag is in the prompt. A draft: {} </think>",
        "<think>{}</think> Let me think again. <think>{}</think>",
        "<think>" * 3 + "{}</think>",
    ],
)
def test_what_a_model_thinks_is_no_answer(thinking: str) -> None:
    draft = thinking.replace("{}", json.dumps([TWO]))
    assert read_answer(f"{draft}\n{GOOD}", 1) == Answer((FIRST,))
    assert refused(draft).reason == "not JSON"


def test_as_many_as_were_asked_for() -> None:
    text = json.dumps({"triplets": [ONE, TWO, ONE]})
    assert read_answer(text, 2).triplets == (FIRST, SECOND)
    assert read_answer(text, 5).triplets == (FIRST, SECOND, FIRST)
    assert read_answer(json.dumps({"triplets": [ONE, {"not": "looked at"}]}), 1).triplets == (FIRST,)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *((kind, kind) for kind in TYPES),
        ("Attribute", "attribute"),
        ("COUNT change", "count"),
        ("spatial_relation", "spatial"),
        ("recolouring", "other"),
        ("", "other"),
        (None, "other"),
        (["count"], "other"),
        (3, "other"),
    ],
)
def test_types_are_ours_or_other(written: Any, read: str) -> None:
    assert read_answer(one(modification_type=written), 1).triplets[0].modification_type == read


def test_a_missing_type_is_other() -> None:
    text = json.dumps([{key: value for key, value in ONE.items() if key != "modification_type"}])
    assert read_answer(text, 1).triplets[0].modification_type == "other"


@pytest.mark.parametrize(
    "caption", ["ein blauer Stern", "青い星", "نجمة زرقاء", "🌟 star", "e\u0301toile", "7", '"{}"x']
)
def test_captions_of_any_script(caption: str) -> None:
    assert read_answer(one(target_caption=caption), 1).triplets[0].target_caption == caption


def test_the_reference_caption_is_read_where_it_was_asked_for() -> None:
    both = json.dumps({"reference_caption": " a red\nstar ", "triplets": [ONE]})
    assert read_answer(both, 1, recaption=True) == Answer((FIRST,), "a red star")
    assert read_answer(json.dumps({"reference_caption": "a star", **ONE}), 1, True) == Answer((FIRST,), "a star")
    assert read_answer(both, 1) == Answer((FIRST,))
    for text in (GOOD, json.dumps([ONE]), json.dumps({"reference_caption": 3, "triplets": [ONE]})):
        error = refused(text, recaption=True)
        assert error.detail == "'reference_caption' is missing or no text" and error.remedy == "ask again"


# ---------------------------------------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    "text", ["", "  \n", "I cannot do that.", "}{][", "3", '"a text"', "null", "<think>[", "{" * 300]
)
def test_an_answer_without_json(text: str) -> None:
    error = refused(text)
    assert (error.reason, error.remedy) == ("not JSON", "ask again")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"answer": "a red one"}', "'relative_caption' is missing or no text"),
        ('{"triplets": "none"}', "'triplets' is no list"),
        ('{"triplets": null}', "'triplets' is no list"),
        ('{"triplets": [3]}', "a triplet is no object"),
        ('{"triplets": [[]]}', "a triplet is no object"),
        (one(relative_caption=3), "'relative_caption' is missing or no text"),
        (one(target_caption=["a blue star"]), "'target_caption' is missing or no text"),
        (one(target_caption=None), "'target_caption' is missing or no text"),
        (one(target_caption=" \n\u2028"), "'target_caption' is missing or no text"),
        (one(target_caption="x" * (LONGEST_TEXT + 1)), "'target_caption' has 1001 characters"),
        (one(target_caption="a \x00 star"), "'target_caption' holds control characters"),
        (one(target_caption="a \x1b[31mred star"), "'target_caption' holds control characters"),
        (one(relative_caption="a \x9b star"), "'relative_caption' holds control characters"),
        (one(relative_caption="a \ud800 star"), "'relative_caption' holds control characters"),
        (FORM, "'relative_caption' holds no word"),
        (one(target_caption="?!"), "'target_caption' holds no word"),
    ],
)
def test_an_answer_of_another_form(text: str, said: str) -> None:
    error = refused(text)
    assert (error.reason, error.detail, error.remedy) == ("wrong schema", said, "ask again")


def test_one_bad_triplet_spoils_the_answer() -> None:
    assert refused(json.dumps({"triplets": [ONE, {**TWO, "target_caption": ""}]}), 2).remedy == "ask again"


def test_the_longest_text_is_taken() -> None:
    assert len(read_answer(one(target_caption="x" * LONGEST_TEXT), 1).triplets[0].target_caption) == LONGEST_TEXT


@pytest.mark.parametrize(
    "text", ['{"triplets": []}', "[]", 'It is [1] no picture, so {"triplets": []}', "```json\n[]\n```"]
)
def test_an_empty_list_gives_up(text: str) -> None:
    error = refused(text)
    assert (error.reason, error.remedy) == ("model declined", "give up")


# ---------------------------------------------------------------------------------------------- hostile answers

SIZE = 256 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "[" * SIZE,
        '{"a":' * (SIZE // 5),
        "[" * 200 + "1," * (SIZE // 2),
        "[" * 200 + "{}," * (SIZE // 3),
        '{"' * (SIZE // 2),
        '["\\u0041' * (SIZE // 8),
        "[" + "9" * SIZE,
        "[{}" * (SIZE // 3),
        "<think>" * (SIZE // 7),
        "</think" * (SIZE // 7),
        "</think>" * (SIZE // 8),
        "x" * SIZE,
        " " * SIZE,
        one(target_caption="x " * (SIZE // 2)),
        one(modification_type="x-" * (SIZE // 2)),
        one(target_caption="\x00" * (SIZE // 6)),
    ],
    ids=lambda text: f"{text[:12]!r}",
)
def test_a_hostile_answer_costs_little_time(text: str) -> None:
    begun = time.process_time()
    try:
        read_answer(text, 4)
    except LLMError as error:
        assert error.remedy == "ask again"
    assert time.process_time() - begun < 0.3


def test_a_deeply_nested_answer_is_no_json() -> None:
    assert refused("[" * 100_000 + "]" * 100_000).reason == "not JSON"


KEYS = st.sampled_from([*ONE, "triplets", "reference_caption"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.lists(
    st.sampled_from([*'{}[]",:\\', "<think>", "</think>", "```", GOOD, GOOD[:40], "\ud800", "\x00"]) | st.text()
)


@given(st.text() | PIECES.map("".join) | JSON.map(json.dumps), st.integers(1, 3), st.booleans())
@settings(max_examples=300)
def test_any_answer_is_good_or_an_error_of_a_model(text: str, count: int, recaption: bool) -> None:
    try:
        answer = read_answer(text, count, recaption)
    except LLMError as error:
        assert error.raw == text and error.remedy in ("ask again", "give up")
        return
    assert 1 <= len(answer.triplets) <= count and bool(answer.reference_caption) == recaption
    for triplet in answer.triplets:
        assert triplet.modification_type in (*TYPES, "other")
        for caption in (triplet.relative_caption, triplet.target_caption):
            assert caption == " ".join(caption.split()) and 0 < len(caption) <= LONGEST_TEXT
            assert caption.encode()
