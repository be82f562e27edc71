"""Scores: what they are of a cosine, and that a threshold means the same for every kind of query."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motacli.benchmarks.protocol import find_protocol
from motacli.encoding import encode_pixels
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.query_sources import Composed, ImageOnly, QueryInputs, Sum, TextOnly
from motacli.search.calibration import FEWEST, Sample, scores
from motacli.search.results import Background
from motacli.search.vectors import Vectors
from motacli.tiny import grammar
from motacli.tiny.mini import OPEN
from motacli.tiny.queries import Source, draw_query
from motacli.tiny.renderer import render
from motacli.tiny.world import Attr, sample_scenes, satisfies

QUERIES = 40


def vectors(rows: Any) -> Vectors:
    stored = np.asarray(rows, dtype=np.float32)
    return Vectors(stored, np.linalg.norm(stored, axis=1))


def test_scores_are_deviations_of_the_sample() -> None:
    rng = np.random.default_rng(0)
    known, query = vectors(rng.normal(size=(500, 16))), np.eye(16, dtype=np.float32)[0]
    cosines = known.units(slice(None)) @ query
    found = Sample.of(known).background(query)
    assert found.calibrated and found.rows == 500
    assert (found.mean, found.std) == pytest.approx((cosines.mean(), cosines.std()), abs=1e-6)
    assert scores(cosines, found) == pytest.approx((cosines - cosines.mean()) / cosines.std(), abs=1e-4)


def test_the_sample_is_the_same_each_time_and_close_to_the_whole() -> None:
    rng = np.random.default_rng(1)
    known, query = vectors(rng.normal(size=(9000, 8)) + 0.5), np.ones(8, np.float32) / np.sqrt(8)
    one, other, whole = Sample.of(known), Sample.of(known), Sample.of(known, size=9000)
    assert len(one.units) == 2048 and np.array_equal(one.units, other.units)
    near, exact = one.background(query), whole.background(query)
    assert abs(near.mean - exact.mean) < 0.1 * exact.std and near.std == pytest.approx(exact.std, rel=0.1)


def test_copies_of_the_reference_are_no_background() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(60, 32)) + 3
    alone, twice = vectors(rows), vectors(np.vstack([rows, rows[:1], rows[:1] * 2]))
    query = rows[0].astype(np.float32) / np.linalg.norm(rows[0]).astype(np.float32)
    assert Sample.of(twice).background(query) == Sample.of(alone).background(query)


@pytest.mark.parametrize("rows", [np.zeros((5, 4)), np.ones((1, 4)), np.tile([1.0, 2, 3, 4], (50, 1))])
def test_where_nothing_can_be_told_apart_scores_are_zero(rows: np.ndarray) -> None:
    found = Sample.of(vectors(rows)).background(np.array([1, 0, 0, 0], np.float32))
    assert scores(np.array([0.9, 0.1]), found).tolist() == [0, 0]


def test_a_small_index_says_so() -> None:
    rng = np.random.default_rng(3)
    query = np.eye(8, dtype=np.float32)[0]
    sizes = {size: Sample.of(vectors(rng.normal(size=(size, 8)))).background(query) for size in (FEWEST - 1, FEWEST)}
    assert [found.calibrated for found in sizes.values()] == [False, True]
    assert Sample.of(vectors(np.zeros((0, 8)))).background(query) == Background(0.0, 0.0, 0, calibrated=False)


def test_a_threshold_lets_as_many_unrelated_pictures_pass_whatever_is_asked(
    host: PluginHost, tiny_backbone: Any
) -> None:
    """A cosine that suits texts lets ten times as many pictures pass for pictures; a score does not."""
    features, asked, related = _asked(host, tiny_backbone)
    known = vectors(features)
    units, sample = known.units(slice(None)), Sample.of(known)
    by_cosine, by_score = {}, {}
    for kind, queries in asked.items():
        unrelated = ~related[kind]
        cosines = queries @ units.T
        found = np.stack([scores(row, sample.background(query)) for row, query in zip(cosines, queries, strict=True)])
        by_cosine[kind], by_score[kind] = (np.mean(values[unrelated]) for values in (cosines > 0.4, found > 2.5))
    assert max(by_cosine.values()) > 6 * min(by_cosine.values())
    assert max(by_score.values()) < 2 * min(by_score.values())
    assert min(by_score.values()) > 0.003 and max(by_score.values()) < 0.02


def _asked(host: PluginHost, backbone: Any) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Features of 800 pictures, queries of four kinds, and which pictures each is after."""
    source = Source.seeded(5, "val", 77)
    drawn = [draw_query(OPEN, source) for _ in range(QUERIES)]
    scenes = np.stack([q.reference for q in drawn] + [q.target for q in drawn])
    scenes = np.concatenate([scenes, sample_scenes(source.numbers, 800 - len(scenes), "val")])
    pictures = [backbone.preprocess(Image.fromarray(pixels)) for pixels in render(scenes, source.numbers)]
    features = np.concatenate([encode_pixels(backbone, pictures[i : i + 100]) for i in range(0, 800, 100)])
    rule, references = find_protocol("searle", "circo").prompt, torch.from_numpy(features[:QUERIES])
    captions = [grammar.describe(scene, Random(n)) for n, scene in enumerate(scenes[-QUERIES:])]
    composed = QueryInputs(backbone, references, [rule.render((q.text,)) for q in drawn], [q.text for q in drawn])
    texts = QueryInputs(backbone, references, [], [caption.text for caption in captions])
    subject = np.full_like(scenes[:QUERIES], -1)
    for attr in (Attr.SHAPE, Attr.COLOUR, Attr.TEXTURE):
        subject[:, attr] = scenes[:QUERIES, attr]
    right = satisfies(scenes, np.stack([q.wanted for q in drawn]))
    inversion = load_inversion(host, "lincir", backbone)
    return (
        features,
        {
            "image": ImageOnly().vectors(composed).numpy(),
            "text": TextOnly().vectors(texts).numpy(),
            "sum": Sum().vectors(composed).numpy(),
            "composed": Composed(inversion).vectors(composed).numpy(),
        },
        {
            "image": satisfies(scenes, subject),
            "text": satisfies(scenes, np.stack([caption.facts for caption in captions])),
            "sum": right,
            "composed": right,
        },
    )
