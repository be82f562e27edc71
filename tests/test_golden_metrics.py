"""Metrics, prompts and rankings that the published reference code gives on the real annotation files."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.genecis import GeneCIS
from motacli.benchmarks.submission import write_submissions
from motacli.contracts import EvalUnit
from motacli.evaluation import UnitResult, report_units, score_unit
from motacli.metrics import average_precision_at_k, ranks_in

UNITS = (
    *("fashioniq_dress", "fashioniq_shirt", "fashioniq_toptee", "cirr_val", "circo_val"),
    *("genecis_change_object", "genecis_focus_object"),
)
TOLERANCE = 1e-4
BENCHMARKS = {"fashioniq": FashionIQ(), "cirr": CIRR(), "circo": CIRCO(), "genecis": GeneCIS()}


class Golden:
    """The reference's features and answers, with units loaded and scored once."""

    def __init__(self, shared: Path, features: Path, work: Path) -> None:
        self.folder, self.features = shared / "golden", features
        self.roots = {name: shared / "benchmarks" / name for name in BENCHMARKS}
        self.roots["circo"] = self._stand_in_for_coco(shared, work)
        self.metrics = self.read("metrics.json")
        self.unit = cache(self._unit)
        self.result = cache(self._result)

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def _stand_in_for_coco(self, shared: Path, work: Path) -> Path:
        shutil.copytree(shared / "benchmarks/circo/annotations", work / "annotations")
        ids = np.load(self.features / "circo_val.npz")["names"].tolist()
        images = [{"id": id, "file_name": f"{id:012d}.jpg"} for id in ids]
        target = work / "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"
        target.parent.mkdir(parents=True)
        target.write_text(json.dumps({"images": images}), encoding="utf-8")
        return work

    def _unit(self, name: str) -> EvalUnit:
        benchmark, _, rest = name.partition("_")
        parted = benchmark in ("fashioniq", "genecis")
        options = {"parts": [rest]} if parted else {"split": rest}
        (unit,) = BENCHMARKS[benchmark].load(self.roots[benchmark], **options)
        return unit

    def _result(self, name: str, **how: int) -> UnitResult:
        unit = self.unit(name)
        arrays = np.load(self.features / f"{name}{'_val' if name.startswith('fashioniq') else ''}.npz")
        row = {str(id): index for index, id in enumerate(arrays["names"].tolist())}
        gallery = arrays["gallery"][[row[id] for id in unit.gallery]]
        return score_unit(unit, gallery, arrays["query"], keep_top=50, **how)


@pytest.fixture(scope="module")
def golden(shared: Path, golden_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return Golden(shared, golden_features, tmp_path_factory.mktemp("circo"))


@pytest.mark.parametrize("name", UNITS)
def test_every_hit_count_is_the_references(golden, name):
    result = golden.result(name)
    expected = golden.metrics["integer_hits"][name]
    assert result.n == expected["n"]
    assert result.hits == {metric: expected[metric] for metric in result.hits}
    assert result.hits


@pytest.mark.parametrize("name", UNITS)
def test_every_metric_is_the_references(golden, name):
    expected = golden.metrics["expected"][name]
    assert {key: golden.result(name).metrics[key] for key in expected} == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        *((name, block) for name in ("cirr_val", "fashioniq_dress", "circo_val") for block in (1024, 10**6)),
        *((name, 7) for name in ("fashioniq_dress", "genecis_focus_object")),
        *(pytest.param(name, 7, marks=pytest.mark.thorough) for name in ("cirr_val", "circo_val")),
        pytest.param("circo_val", 1, marks=pytest.mark.thorough),
    ],
)
def test_blocks_change_nothing(golden, name, block):
    expected, found = golden.result(name), golden.result(name, block_size=block)
    assert (found.hits, found.ranks, found.ties) == (expected.hits, expected.ranks, expected.ties)
    assert found.top.ids == expected.top.ids and np.array_equal(found.top.scores, expected.top.scores)


def test_derived_values_are_the_references(golden):
    expected = golden.metrics["expected"]
    fashion = report_units(BENCHMARKS["fashioniq"], [golden.result(name) for name in UNITS[:3]])["units"]
    assert fashion["fashioniq_average"]["metrics"] == pytest.approx(expected["fashioniq_average"], abs=TOLERANCE)
    mean = golden.result("cirr_val").metrics["mean_of_R@5_and_Rsubset@1"]
    assert mean == pytest.approx(expected["cirr_val_mean_of_R@5_and_Rsubset@1"], abs=TOLERANCE)
    circo = report_units(BENCHMARKS["circo"], [golden.result("circo_val")])["units"]
    by_aspect = circo["circo_val_semantic_mAP@10"]["metrics"]
    assert by_aspect == pytest.approx(expected["circo_val_semantic_mAP@10"], abs=TOLERANCE)


@pytest.mark.parametrize("name", UNITS)
def test_only_the_known_duplicate_ties(golden, name):
    tied = golden.metrics["integer_hits"][name].get("tied_duplicate_templates", [])
    assert golden.result(name).ties == len(tied)


@pytest.mark.parametrize("name", [*UNITS, "cirr_test1", "circo_test"])
def test_every_prompt_is_the_references(golden, name):
    benchmark, unit = BENCHMARKS[name.split("_")[0]], golden.unit(name)
    ours = [benchmark.protocol("searle").prompts(query) for query in unit.queries]
    files = [f"{name}_val_forward", f"{name}_val_reversed"] if name.startswith("fashioniq") else [name]
    for index, file in enumerate(files):
        texts = [f"{prompts[index].prefix}${prompts[index].suffix}" for prompts in ours]
        assert texts == golden.read(f"prompts/{file}.json")


@pytest.mark.parametrize(
    ("name", "file", "near_ties"),
    [
        ("cirr_test1", "cirr_test1_recall.first400", "cirr_test1_recall_first400"),
        ("cirr_test1", "cirr_test1_recall_subset", "cirr_test1_recall_subset"),
        ("circo_val", "circo_val", "circo_val"),
        ("circo_test", "circo_test", "circo_test"),
    ],
)
def test_every_ranking_is_the_references(golden, name, file, near_ties):
    result = golden.result(name)
    ranking = result.subset_top if "subset" in file else result.top
    assert ranking is not None
    ours = dict(zip(ranking.query_ids, ranking.ids, strict=True))
    may_swap = set(golden.read("submissions/near_ties.json")[near_ties])
    for id, best in golden.read(f"submissions/{file}.json").items():
        if id not in ("version", "metric"):
            expected = [str(image) for image in best]
            found = list(ours[id][: len(expected)])
            assert found == expected or (id in may_swap and sorted(found) == sorted(expected)), id


@pytest.mark.parametrize(
    ("name", "files", "near_ties"),
    [
        (
            "cirr_test1",
            ["cirr_test1_recall.first400", "cirr_test1_recall_subset"],
            ["cirr_test1_recall_first400", "cirr_test1_recall_subset"],
        ),
        ("circo_val", ["circo_val"], ["circo_val"]),
        ("circo_test", ["circo_test"], ["circo_test"]),
    ],
)
def test_every_file_to_submit_is_the_references(golden, tmp_path, name, files, near_ties):
    result, form = golden.result(name), BENCHMARKS[name.split("_")[0]].submission
    paths = write_submissions(tmp_path, form, golden.unit(name), result.top, result.subset_top)
    for path, file, known in zip(paths, files, near_ties, strict=True):
        written, expected = json.loads(path.read_text(encoding="utf-8")), golden.read(f"submissions/{file}.json")
        may_swap = set(golden.read("submissions/near_ties.json")[known])
        assert list(written)[: len(expected)] == list(expected)
        assert len(written) == len(form.files[0].header) + result.n
        for key, best in expected.items():
            found = written[key]
            assert found == best or (key in may_swap and sorted(found) == sorted(best)), key
        if not may_swap:
            assert path.read_bytes() == (golden.folder / f"submissions/{file}.json").read_bytes()


def test_circos_example_submission_scores_as_its_server_says(golden):
    queries = golden.unit("circo_val").queries
    file = golden.folder.parent / "benchmarks/circo/submission_examples/submission_val.json"
    ranked = {id: [str(image) for image in best] for id, best in json.loads(file.read_text()).items()}
    for k in (5, 10, 25, 50):
        values = [average_precision_at_k(ranks_in(ranked[query.id], query.targets), k) for query in queries]
        expected = golden.metrics["circo_official_example_submission_val"][f"map_at{k}"]
        assert 100 * sum(values) / len(values) == pytest.approx(expected, abs=TOLERANCE)
