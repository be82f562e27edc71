"""Keywords and what is put in their place."""

from __future__ import annotations

import importlib.util
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motacli.errors import UsageError
from motacli.inversions.data import PairFeatures
from motacli.inversions.keywords import find_tagger, light_runs
from motacli.inversions.lincir import LinCIR, LinCIRObjective, LinCIROptions, clean_caption, draw_noise
from motacli.inversions.masking import MASKINGS, mask_faithful, mask_runs, mask_stretch

CAPTION = "a man riding a horse on the beach"
RUNS = [(0, 2), (3, 5), (6, 8)]


def test_every_run_becomes_a_slot_and_words_stay_whole() -> None:
    assert light_runs(CAPTION) == RUNS
    assert mask_runs(CAPTION, RUNS, Random(0)) == ("", "riding", "on", "")
    assert mask_runs("", [], Random(0)) == ("", "") and mask_runs("riding on", [], Random(1)) in {
        ("", "on"),
        ("riding", ""),
    }


def test_a_stretch_is_one_slot_from_the_first_run_to_a_random_one() -> None:
    seen = {mask_stretch(CAPTION, RUNS, Random(seed)) for seed in range(20)}
    assert seen == {("", "riding a horse on the beach"), ("", "on the beach"), ("", "")}


def test_the_authors_masking_reaches_into_words() -> None:
    assert mask_faithful("a man on a sofa", [(0, 2), (3, 5)], Random(0)) == ("", " on ", "")
    assert mask_faithful("a cat", [(0, 1)], Random(0)) == ("", " c", "t")  # a lone determiner masks letters
    assert mask_faithful("it is here", [], Random(1)) in {("", " is here"), ("it ", " here"), ("it is ", "")}
    assert mask_faithful("", [], Random(0)) == ("", "")


@given(
    st.text(st.characters(categories=["L", "Z", "P"]), max_size=40),
    st.sampled_from(sorted(MASKINGS)),
    st.integers(0, 9),
)
def test_whatever_the_caption_there_is_a_slot_and_the_rest_stays(caption: str, masking: str, seed: int) -> None:
    caption = clean_caption(caption)
    pieces = MASKINGS[masking](caption, light_runs(caption), Random(seed))
    assert len(pieces) >= 2
    left = caption.split()
    if masking != "faithful":
        for word in " ".join(pieces).split():
            assert word in left


def test_captions_are_cleaned_as_the_authors_do() -> None:
    assert clean_caption(" A <PERSON> pays $5 ") == "a person pays 5"


@pytest.mark.skipif(
    importlib.util.find_spec("spacy") is None or importlib.util.find_spec("en_core_web_sm") is None,
    reason="spaCy and its English model are not installed",
)
def test_spacys_tagger_finds_nouns_with_their_adjectives() -> None:
    (runs,) = find_tagger("spacy").runs([CAPTION])
    assert runs == RUNS


def test_a_tagger_that_is_not_there_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert find_tagger("auto").name == "light"
    with pytest.raises(UsageError, match=r"en_core_web_sm is not installed.*keywords=light"):
        find_tagger("spacy")


def test_noise_families() -> None:
    def draw(family: Any) -> torch.Tensor:
        return draw_noise(family, torch.Size([4000, 8]), torch.Generator().manual_seed(0))

    assert torch.equal(draw("none"), torch.zeros(4000, 8))
    assert abs(float(draw("gaussian").std()) - 1) < 0.02
    uniform = draw("uniform")
    assert -1 <= float(uniform.min()) < -0.99 and 0.99 < float(uniform.max()) <= 1
    norms = draw("scaled gaussian").norm(dim=1) / 8**0.5  # u times a length of about one
    assert abs(float(norms.mean()) - 0.5) < 0.03 and float(norms.std()) > 0.25


def test_prompts_are_the_same_whenever_they_are_asked_for(tiny_backbone: Any) -> None:
    captions = ("a red star near a dot", "two dots on a wall", "")
    data = PairFeatures(torch.zeros(0, 128), captions, tiny_backbone.encode_text(captions))
    options = LinCIROptions(masking="stretch", variants=4, keywords="light", seed=3)
    one, other = (LinCIRObjective(tiny_backbone, data, options).prompts for _ in range(2))
    forwards = [one.of(row, variant, 3) for row in range(3) for variant in range(4)]
    backwards = [other.of(row, variant, 3) for row in reversed(range(3)) for variant in reversed(range(4))]
    assert forwards == backwards[::-1] and len({one.of(0, variant, 3) for variant in range(4)}) > 1
    assert one.of(2, 0, 3).suffix == ()


@pytest.mark.parametrize("masking", ["runs", "faithful"])
def test_captions_alone_are_enough(masking: Any, tiny_backbone: Any) -> None:
    captions = tuple(f"a red star {row} near a dot" for row in range(12))
    data = PairFeatures(torch.zeros(0, 128), captions, tiny_backbone.encode_text(captions))
    options = LinCIROptions(steps=4, batch_size=6, masking=masking, keywords="light", noise=0.1)
    phi, record = LinCIR.fit(tiny_backbone, data, options)
    assert record["recall_at_1"] is None and record["keywords"] == "light" and record["rows"] == 12
    assert phi(torch.zeros(2, 128)).shape == (2, 1, 160)
