"""A backbone on small benchmarks: features from pictures or files, scores, averages, intervals, and the record."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.genecis import GeneCIS
from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.errors import DataError, MotaError, UnknownNameError
from motacli.evaluating import (
    UnitData,
    build_unit_caches,
    evaluate,
    load_units,
    unit_cache,
)
from motacli.inversions.pic2word import Pic2Word
from motacli.query_sources import Composed, ImageOnly, QueryInputs, Sum, TextOnly
from motacli.results import Evaluation, Setup, Weights, headline, summary, unit_digest, write_evaluation
from motacli.runs import RunDir, partial_path
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis

QUERIES = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    write_fashioniq(folder / "fashioniq", 1, "val", queries=QUERIES)
    return folder


@pytest.fixture(scope="module")
def units(root: Path, tiny_backbone: Any) -> list[UnitData]:
    return load_units(FashionIQ(), root / "fashioniq", tiny_backbone)


@pytest.fixture(scope="module")
def caches(root: Path, tiny_backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "fashioniq"
    build_unit_caches(folder, tiny_backbone, FashionIQ().load(root / "fashioniq"))
    return folder


@dataclass(frozen=True)
class Oracle:
    """Answers with the target's own feature, and with the reference's for every other query."""

    data: UnitData
    every: int = 1
    name: str = "oracle"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        unit = self.data.unit
        row = {id: i for i, id in enumerate(unit.gallery)}
        right = [query.targets[0] if i % self.every == 0 else query.reference for i, query in enumerate(unit.queries)]
        return torch.from_numpy(self.data.gallery[[row[id] for id in right]])


# ---------------------------------------------------------------------------------------------- features


def test_units_hold_unit_features_in_the_order_of_gallery_and_queries(
    units: list[UnitData], tiny_backbone: Any
) -> None:
    assert [data.unit.name for data in units] == ["fashioniq_dress", "fashioniq_shirt", "fashioniq_toptee"]
    data = units[1]
    assert data.gallery.shape == (len(data.unit.gallery), 128) and data.gallery.dtype == np.float32
    assert np.allclose(np.linalg.norm(data.gallery, axis=1), 1, atol=1e-5)
    row = {id: i for i, id in enumerate(data.unit.gallery)}
    references = F.normalize(data.inputs.references, dim=1).numpy()
    assert np.allclose(references, data.gallery[[row[query.reference] for query in data.unit.queries]], atol=1e-5)
    query = data.unit.queries[3]
    assert data.inputs.prompts[3] == FashionIQ().protocol().prompts(query) and len(data.inputs.prompts[3]) == 2
    assert data.inputs.texts[3] == FashionIQ().protocol().text(query)


def test_a_picture_that_units_share_is_encoded_once(
    tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_genecis(tmp_path, 1, "val", queries=2, others=30)
    seen: list[int] = []
    encode = tiny_backbone.encode_image
    monkeypatch.setattr(tiny_backbone, "encode_image", lambda pixels: seen.append(len(pixels)) or encode(pixels))
    found = load_units(GeneCIS(), tmp_path, tiny_backbone)
    touched = [(ref.path, ref.box) for data in found for ref in data.unit.images.values()]
    assert sum(seen) == len(set(touched))


def test_cached_features_give_the_same_scores(
    root: Path, caches: Path, units: list[UnitData], tiny_backbone: Any
) -> None:
    assert sorted(path.name for path in caches.iterdir()) == [f"fashioniq_{c}.h5" for c in ("dress", "shirt", "toptee")]
    cached = load_units(FashionIQ(), root / "fashioniq", tiny_backbone, cache_dir=caches)
    for one, other in zip(cached, units, strict=True):
        assert np.allclose(one.gallery, other.gallery, atol=1e-5)
        assert torch.allclose(one.inputs.references, other.inputs.references, atol=1e-4)
    first, second = (evaluate(FashionIQ(), data, Sum(), resamples=0) for data in (cached, units))
    assert first.report == second.report


def test_pictures_are_not_needed_where_features_are(
    caches: Path, root: Path, tmp_path: Path, tiny_backbone: Any
) -> None:
    bare = tmp_path / "bare"
    for name in ("captions", "image_splits"):
        shutil.copytree(root / "fashioniq" / name, bare / name)
    assert len(load_units(FashionIQ(), bare, tiny_backbone, cache_dir=caches)) == 3
    with pytest.raises(DataError, match=r"fashioniq_dress: \d+ of \d+ pictures are missing"):
        load_units(FashionIQ(), bare, tiny_backbone)


def test_features_of_another_backbone_are_refused(
    root: Path, caches: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tiny_backbone.fingerprint()
    monkeypatch.setattr(tiny_backbone, "fingerprint", lambda: "0123456789abcdef")
    with pytest.raises(DataError, match=f"{own}.*0123456789abcdef"):
        load_units(FashionIQ(), root / "fashioniq", tiny_backbone, cache_dir=caches)


def test_features_of_other_pictures_are_refused(root: Path, tmp_path: Path, tiny_backbone: Any) -> None:
    dress = FashionIQ().load(root / "fashioniq", parts=["dress"])[0]
    few = dict(list(dress.images.items())[3:])
    build_unit_caches(tmp_path / "few", tiny_backbone, [replace(dress, images=few)])
    with pytest.raises(DataError, match="no features of 3 of"):
        load_units(FashionIQ(), root / "fashioniq", tiny_backbone, parts=["dress"], cache_dir=tmp_path / "few")
    with pytest.raises(DataError, match=r"no features of fashioniq_shirt: .*mota cache --benchmark fashioniq"):
        load_units(FashionIQ(), root / "fashioniq", tiny_backbone, parts=["shirt"], cache_dir=tmp_path / "few")


def test_an_unknown_protocol_is_refused_before_anything_is_encoded(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="searle"):
        load_units(FashionIQ(), root / "fashioniq", None, protocol="sear")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- writing features


def test_unit_files_go_on_where_they_stopped(root: Path, tmp_path: Path, caches: Path, tiny_backbone: Any) -> None:
    found = FashionIQ().load(root / "fashioniq")
    out = tmp_path / "features"
    work = partial_path(out)
    build_cache(unit_cache(work, found[0]), tiny_backbone, found[0].images.values())
    kept = unit_cache(work, found[0]).stat().st_mtime_ns
    with pytest.raises(MotaError, match="--resume"):
        build_unit_caches(out, tiny_backbone, found)
    done = build_unit_caches(out, tiny_backbone, found, resume=True)
    assert [cache.path for cache in done] == [unit_cache(out, unit) for unit in found] and not work.exists()
    assert unit_cache(out, found[0]).stat().st_mtime_ns == kept
    for cache in done:
        assert np.array_equal(cache.features(), FeatureCache(caches / cache.path.name).features())


def test_broken_pictures_are_left_out_of_unit_files_where_that_is_asked_for(
    root: Path, tmp_path: Path, tiny_backbone: Any
) -> None:
    found = FashionIQ().load(root / "fashioniq")[:2]
    id, ref = list(found[0].images.items())[3]
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    found[0] = replace(found[0], images={**found[0].images, id: replace(ref, path=tmp_path / "broken.png")})
    with pytest.raises(DataError, match=r"cannot decode .*broken\.png"):
        build_unit_caches(tmp_path / "strict", tiny_backbone, found)
    out, lenient = tmp_path / "features", CacheOptions(strict=False)
    build_cache(unit_cache(partial_path(out), found[0]), tiny_backbone, found[0].images.values(), options=lenient)
    done = build_unit_caches(out, tiny_backbone, found, resume=True, options=lenient)
    assert list(done[0].ids) == [other for other in found[0].images if other != id]
    assert (done[0].skipped, done[1].skipped) == (1, 0)


def test_unit_files_of_other_data_do_not_go_on(root: Path, tmp_path: Path, tiny_backbone: Any) -> None:
    found = FashionIQ().load(root / "fashioniq")
    out = tmp_path / "features"
    build_cache(unit_cache(partial_path(out), found[0]), tiny_backbone, list(found[0].images.values())[:4])
    with pytest.raises(DataError, match="holds other pictures"):
        build_unit_caches(out, tiny_backbone, found, resume=True)
    with pytest.raises(DataError, match=r"begun for other units: it holds fashioniq_dress\.h5"):
        build_unit_caches(out, tiny_backbone, found[1:], resume=True)


def test_missing_pictures_leave_nothing_behind(root: Path, tmp_path: Path, tiny_backbone: Any) -> None:
    unit = FashionIQ().load(root / "fashioniq", parts=["dress"])[0]
    id, ref = next(iter(unit.images.items()))
    broken = replace(unit, images={**unit.images, id: replace(ref, path=tmp_path / "gone.png")})
    with pytest.raises(DataError, match=r"1 of \d+ pictures are missing.*gone\.png"):
        build_unit_caches(tmp_path / "f", tiny_backbone, [broken])
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- scores


def evaluated(units: list[UnitData], every: int = 1) -> Evaluation:
    """Each unit scored by its own oracle."""
    results = [evaluate(FashionIQ(), [data], Oracle(data, every), resamples=0).results[0] for data in units]
    report = {"units": {}}  # type: ignore[var-annotated]
    return Evaluation("oracle", tuple(data.unit for data in units), tuple(results), report)


def test_scores_average_and_headline(units: list[UnitData]) -> None:
    found = evaluate(FashionIQ(), units, Sum(), resamples=0)
    assert found.source == "image + text" and [result.n for result in found.results] == [QUERIES] * 3
    rows = found.report["units"]
    assert list(rows)[-1] == "fashioniq_average" and rows["fashioniq_average"]["n"] == 3 * QUERIES
    for metric in ("R@10", "R@50"):
        mean = sum(100 * np.mean(result.per_query[metric]) for result in found.results) / 3
        assert (
            headline(FashionIQ(), found)[metric] == pytest.approx(mean) == rows["fashioniq_average"]["metrics"][metric]
        )
    assert list(headline(FashionIQ(), found)) == ["R@10", "R@50"]


def test_a_source_that_knows_the_answer_scores_everything(units: list[UnitData]) -> None:
    assert headline(FashionIQ(), evaluated(units)) == {"R@10": 100.0, "R@50": 100.0}
    half = evaluated(units, every=2)
    for result in half.results:
        assert result.per_query["R@10"][::2] == [1.0] * (QUERIES // 2)


def test_no_headline_for_some_of_the_parts(units: list[UnitData]) -> None:
    assert headline(FashionIQ(), evaluate(FashionIQ(), units[:1], ImageOnly(), resamples=0)) == {}
    assert headline(FashionIQ(), evaluate(FashionIQ(), units[:2], ImageOnly(), resamples=0)) == {}


def test_intervals_hold_the_mean_and_shrink_to_it_where_all_queries_agree(units: list[UnitData]) -> None:
    found = evaluate(FashionIQ(), units, Sum(), resamples=200)
    again = evaluate(FashionIQ(), units, Sum(), resamples=200)
    assert found.report == again.report
    widths = []
    for row in found.report["units"].values():
        assert row["ci"].keys() == row["metrics"].keys()
        for metric, (low, high) in row["ci"].items():
            assert 0 <= low <= row["metrics"][metric] <= high <= 100
            widths.append(high - low)
    assert max(widths) > 0
    sure = evaluate(FashionIQ(), units[:1], Oracle(units[0]), resamples=20).report["units"]["fashioniq_dress"]
    assert sure["ci"]["R@10"] == (100.0, 100.0)


def test_the_interval_of_an_average_draws_within_units(units: list[UnitData], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three units whose values are all right, all right and all wrong: no drawing of queries changes the average."""
    made = evaluated(units)
    fixed = tuple(
        replace(
            result,
            per_query={m: [v] * QUERIES for m in result.per_query},
            metrics=dict.fromkeys(result.metrics, 100 * v),
        )
        for result, v in zip(made.results, (1.0, 1.0, 0.0), strict=True)
    )
    results = iter(fixed)
    monkeypatch.setattr("motacli.evaluating.score_unit", lambda *given, **how: next(results))
    found = evaluate(FashionIQ(), units, Sum(), resamples=50).report["units"]["fashioniq_average"]
    assert found["ci"]["R@10"] == pytest.approx((200 / 3, 200 / 3))


def test_a_composed_query_and_kept_rankings(units: list[UnitData]) -> None:
    torch.manual_seed(0)
    inversion = Pic2Word(joint_dim=128, text_width=160).eval()
    found = evaluate(FashionIQ(), units, Composed(inversion), keep_top=5, resamples=0)
    assert found.source == "pic2word"
    for data, result in zip(units, found.results, strict=True):
        assert result.top is not None and result.top.query_ids == tuple(query.id for query in data.unit.queries)
        for query, ids, value in zip(data.unit.queries, result.top.ids, result.per_query["R@10"], strict=True):
            assert len(ids) == 5 and (value == 1 or query.targets[0] not in ids)


def test_the_other_benchmarks_have_headlines(tmp_path: Path, tiny_backbone: Any) -> None:
    write_cirr(tmp_path / "cirr", 1, "val", sets=3)
    write_circo(tmp_path / "circo", 1, "val", queries=4, others=10)
    write_genecis(tmp_path / "genecis", 1, "val", queries=2, others=30)
    wanted = {"cirr": ["R@1", "R@10", "Rsubset@1"], "circo": ["mAP@10"], "genecis": ["R@1"]}
    for benchmark in (CIRR(), CIRCO(), GeneCIS()):
        found = load_units(benchmark, tmp_path / benchmark.name, tiny_backbone)
        result = evaluate(benchmark, found, TextOnly(), keep_top=2, resamples=10)
        numbers = headline(benchmark, result)
        assert list(numbers) == wanted[benchmark.name] and all(0 <= value <= 100 for value in numbers.values())
        assert (result.results[0].subset_top is not None) == (benchmark.name == "cirr")
        if benchmark.name == "genecis":
            assert numbers["R@1"] == pytest.approx(np.mean([one.metrics["R@1"] for one in result.results]))


# ---------------------------------------------------------------------------------------------- record


def test_the_record_keeps_the_values_of_every_query(units: list[UnitData], tmp_path: Path) -> None:
    found = evaluate(FashionIQ(), units, Sum(), keep_top=3, resamples=10)
    setup = Setup(FashionIQ().protocol("pic2word"), "targetpad", {"backbone": Weights("tiny", "0123")})
    with RunDir.create(tmp_path / "run") as run:
        write_evaluation(run, FashionIQ(), found, setup)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    per_query = metrics.pop("per_query")
    assert metrics == json.loads(json.dumps(summary(FashionIQ(), found, setup)))
    assert (metrics["benchmark"], metrics["split"], metrics["query"]) == ("fashioniq", "val", "image + text")
    assert metrics["protocol"]["prompt"]["template"] == "a photo of * , {caption}"
    assert metrics["preprocess"] == "targetpad" and metrics["weights"]["backbone"] == {"name": "tiny", "digest": "0123"}
    for data in units:
        kept = per_query[data.unit.name]
        for ranks, hit in zip(kept["ranks"], kept["values"]["R@10"], strict=True):
            assert (ranks[0] <= 10) == bool(hit)
        assert kept["ids"] == [query.id for query in data.unit.queries]
        row = metrics["units"][data.unit.name]["metrics"]
        assert 100 * np.mean(kept["values"]["R@10"]) == pytest.approx(row["R@10"])
        ranking = json.loads((tmp_path / "run" / "rankings" / f"{data.unit.name}.json").read_text())
        assert ranking["query_ids"] == kept["ids"] and {len(ids) for ids in ranking["ids"]} == {3}
        assert np.shape(ranking["scores"]) == (QUERIES, 3)


def test_the_digest_of_a_unit_is_of_what_is_asked(units: list[UnitData], tmp_path: Path) -> None:
    unit = units[0].unit
    moved = replace(unit, images={id: replace(ref, path=tmp_path / "x") for id, ref in unit.images.items()})
    other = replace(unit, queries=(replace(unit.queries[0], captions=("else", "else")), *unit.queries[1:]))
    assert unit_digest(moved) == unit_digest(unit) != unit_digest(other)
