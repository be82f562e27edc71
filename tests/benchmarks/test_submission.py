"""Files for the test servers: what is written, and what is found wrong with files from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.benchmarks.submission import write_submissions
from motacli.benchmarks.submission_check import check, check_submission
from motacli.benchmarks.submission_format import (
    SubmissionFile,
    SubmissionFormat,
    submission_format,
    submission_formats,
)
from motacli.benchmarks.submission_read import matching_unit, read_submission
from motacli.console import NullProgress
from motacli.contracts import EvalUnit, Ranking
from motacli.errors import DataError, MotaError, UnknownNameError, UsageError
from motacli.plugins import load_plugins

# The published formats, for three published queries a split instead of thousands.
FORMS = {
    "cirr": replace(CIRR.submission, queries={"test1": 3, "val": 4}, max_bytes=10_000),
    "circo": replace(CIRCO.submission, queries={"test": 3, "val": 2}),
}
RECALL, SUBSET, CIRCO_FILE = "recall.json", "recall_subset.json", "circo.json"


def names(number: int) -> list[str]:
    return [f"test1-{index}-img{number}" for index in range(number)]


def sound() -> dict[str, dict[str, Any]]:
    """A file of each kind that any server would take."""
    pairs = ("12063", "12064", "39059")
    return {
        RECALL: {"version": "rc2", "metric": "recall", **{pair: names(50) for pair in pairs}},
        SUBSET: {"version": "rc2", "metric": "recall_subset", **{pair: names(3) for pair in pairs}},
        CIRCO_FILE: {str(query): list(range(query, query + 50)) for query in range(3)},
    }


def small_cirr(root: Path, split: str = "val") -> tuple[EvalUnit, SubmissionFormat]:
    """The miniature CIRR, whose queries ``5`` and ``9`` list four images, and two within their set."""
    files = tuple(replace(file, length=2 if file.of_subset else 4) for file in CIRR.submission.files)
    return CIRR().load(root, split)[0], replace(CIRR.submission, files=files)


def ranking(**ids: list[str]) -> Ranking:
    keys = tuple(key.removeprefix("q") for key in ids)
    return Ranking(keys, tuple(map(tuple, ids.values())), np.zeros((len(ids), 1)))


# ---------------------------------------------------------------------------------------------- writing


def test_cirr_gets_two_files_as_in_its_official_examples(cirr_root, tmp_path):
    unit, form = small_cirr(cirr_root)
    best = [f"dev-{index}" for index in (4, 2, 1, 3, 5)]
    subset = ["dev-2", "dev-1", "dev-3"]
    top, within = ranking(q9=best, q5=best[::-1]), ranking(q9=subset, q5=subset[::-1])
    paths = write_submissions(tmp_path / "out", form, unit, top, within)
    assert [path.name for path in paths] == ["cirr_val_recall.json", "cirr_val_recall_subset.json"]
    assert paths[0].read_bytes() == (
        b'{"version": "rc2", "metric": "recall", "5": ["dev-5", "dev-3", "dev-1", "dev-2"], '
        b'"9": ["dev-4", "dev-2", "dev-1", "dev-3"]}'
    )
    assert paths[1].read_text() == (
        '{"version": "rc2", "metric": "recall_subset", "5": ["dev-3", "dev-1"], "9": ["dev-2", "dev-1"]}'
    )
    assert [check_submission(path, {"cirr": form}, unit).problems for path in paths] == [(), ()]


def test_circo_gets_integers_in_numeric_order_of_its_queries(tmp_path):
    ids = tuple(map(str, range(100, 160)))
    asked = tuple(SimpleNamespace(id=str(number), reference="100", subset=()) for number in range(12))
    unit: Any = SimpleNamespace(name="circo_test", benchmark="circo", split="test", queries=asked, gallery=ids)
    order = sorted(str(number) for number in range(12))  # "10" before "2", as some writers leave it
    top = Ranking(tuple(order), tuple(ids for _ in order), np.zeros((12, 60)))
    (path,) = write_submissions(tmp_path, CIRCO.submission, unit, top)
    written = json.loads(path.read_text())
    assert path.name == "circo_test.json" and list(written) == [str(number) for number in range(12)]
    assert all(images == list(range(100, 150)) for images in written.values())


@pytest.mark.parametrize(
    ("top", "within", "message"),
    [
        ({"q5": ["dev-1"] * 4}, {}, "'dev-1' twice"),
        ({"q5": ["dev-0", "dev-1", "dev-2", "dev-3"]}, {}, "key '5' lists 'dev-0', its own reference"),
        ({"q5": ["dev-1", "dev-2", "dev-3", "tset-4"]}, {}, "key '5' lists 'tset-4'; it is not in the gallery"),
        ({"q5": ["dev-1", "dev-2", "dev-3"]}, {}, "the ranking of query '5' holds 3 images .4 are needed"),
        ({"q5": None}, {}, "key '5' is missing; answer every query of cirr_val"),
        ({"q12": ["dev-1", "dev-2", "dev-3", "dev-4"]}, {}, "key '12' is not asked"),
        ({}, {"q5": ["dev-1", "dev-5"]}, "key '5' lists 'dev-5'; it is not in the query's image set"),
        ({}, {"q5": ["dev-0", "dev-1"]}, "recall_subset.json: key '5' lists 'dev-0', its own reference"),
        ({}, None, "cirr_val_recall_subset.json: no ranking within the queries' subsets of cirr_val"),
    ],
)
def test_rankings_against_the_servers_rules_are_not_written(cirr_root, tmp_path, top, within, message):
    unit, form = small_cirr(cirr_root)
    fine, subset = ["dev-4", "dev-1", "dev-2", "dev-3"], ["dev-1", "dev-2"]
    rows = {key: ids for key, ids in ({"q5": fine, "q9": fine} | top).items() if ids is not None}
    inner = None if within is None else ranking(**({"q5": subset, "q9": subset} | within))
    with pytest.raises(MotaError, match=message):
        write_submissions(tmp_path / "out", form, unit, ranking(**rows), inner)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_nor_half_written(cirr_root, tmp_path):
    unit, form = small_cirr(cirr_root)
    best, subset = ["dev-4", "dev-1", "dev-2", "dev-3"], ["dev-1", "dev-2"]
    top, within = ranking(q5=best, q9=best), ranking(q5=subset, q9=subset)
    out = tmp_path / "out"
    out.mkdir()
    (out / "cirr_val_recall_subset.json").write_text("mine")
    with pytest.raises(MotaError, match=r"recall_subset\.json exists already"):
        write_submissions(out, form, unit, top, within)
    assert [path.name for path in out.iterdir()] == ["cirr_val_recall_subset.json"]


def test_benchmarks_without_a_server_have_no_files():
    assert submission_format(CIRR()).depth == 50
    with pytest.raises(UsageError, match="'fashioniq' has no submission files"):
        submission_format(FashionIQ())


def test_a_plugins_benchmark_brings_its_own_format():
    class Fruit:
        name = "fruit"
        submission = SubmissionFormat((SubmissionFile("fruit ranks", 2),), {"test": 1}, "fruit.example", "names")

    plugin = load_plugins(entry_points=[])
    module = SimpleNamespace(__name__="fruit")
    from motacli import hookimpl

    def register_benchmarks(register: Any) -> None:
        register("fruit", Fruit)
        register("rotten", "motacli.nowhere:Rotten")

    module.register_benchmarks = hookimpl(register_benchmarks)
    plugin.add("fruit", lambda: module)
    warned: list[str] = []
    progress = NullProgress()
    progress.warn = warned.append  # type: ignore[method-assign]
    assert sorted(submission_formats(plugin, progress)) == ["circo", "cirr", "fruit"]
    assert len(warned) == 1 and "'rotten'" in warned[0]


# ---------------------------------------------------------------------------------------------- checking


@pytest.mark.parametrize("name", [RECALL, SUBSET, CIRCO_FILE])
def test_sound_files_pass_and_are_recognised_by_content(tmp_path, name):
    path = tmp_path / "anything.txt"
    path.write_text(json.dumps(sound()[name], sort_keys=True))  # some writers put the header last
    report = check_submission(path, FORMS)
    assert report.valid and report.warnings == ()
    assert report.kind == {RECALL: "cirr recall", SUBSET: "cirr recall_subset", CIRCO_FILE: "circo"}[name]
    assert (report.split, report.queries) == ("test" if name == CIRCO_FILE else "test1", 3)
    assert report.length == (3 if name == SUBSET else 50)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({key: value})


def take(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(key)


BROKEN: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    (RECALL, put("version", "rc1"), "key 'version' is 'rc1'; it has to be 'rc2'"),
    (RECALL, take("version"), "key 'version' is missing; add it with the value 'rc2'"),
    (RECALL, put("metric", "recal"), "key 'metric' is 'recal'; it has to be 'recall'"),
    (SUBSET, put("metric", "recal"), "key 'metric' is 'recal'; it has to be 'recall_subset'"),
    (RECALL, take("metric"), "key 'metric' is missing; add it with the value 'recall'"),
    (RECALL, put("metric", "recall_subset"), "key 'metric' is 'recall_subset'; it has to be 'recall'"),
    (
        SUBSET,
        lambda d: d.update({key: ["a", "b"] for key in list(d)[2:]}),
        "lists 2 images (also '12064', '39059'); give",
    ),
    (RECALL, take("12064"), "2 queries; every query of a split has to be answered: 3 (test1) or 4 (val)"),
    (RECALL, put("pair-7", names(50)), "key 'pair-7' is no query id; keys are query ids in decimal"),
    (RECALL, put("012", names(50)), "key '012' is no query id; keys are query ids in decimal, without leading zeros"),
    (RECALL, put("12064", names(49)), "key '12064' lists 49 images; give exactly 50"),
    (RECALL, put("12064", names(51)), "key '12064' lists 51 images; give exactly 50"),
    (SUBSET, put("12064", names(5)), "key '12064' lists 5 images; give exactly 3"),
    (RECALL, put("12064", ["test1-1"] * 50), "key '12064' lists 'test1-1' twice; list every image once"),
    (RECALL, put("12064", "test1-1"), "key '12064' holds str, not a list; give a list of images"),
    (SUBSET, put("12064", ["a", "b", "c.png"]), "key '12064' lists 'c.png'; give names without folder and ending"),
    (SUBSET, put("12064", ["a", "b", "./test1/c"]), "lists './test1/c'; give names without folder and ending"),
    (SUBSET, put("12064", ["a", "b", 7]), "key '12064' lists 7; images go by names"),
    (
        RECALL,
        lambda d: d.update({p: [n * 10 for n in d[p]] for p in ("12063", "12064")}),
        "the server takes 0.01 MB: write it without",
    ),
    (CIRCO_FILE, take("1"), "key '1' is missing; count the queries from 0"),
    (CIRCO_FILE, take("2"), ""),  # what is left is a file for val
    (CIRCO_FILE, put("3", [1]), "4 queries; every query of a split has to be answered: 3 (test) or 2 (val)"),
    (CIRCO_FILE, put("1", list(range(51))), "key '1' lists 51 images; give exactly 50"),
    (CIRCO_FILE, put("1", [*range(49), 48]), "key '1' lists '48' twice; list every image once"),
    (CIRCO_FILE, put("1", [*range(49), "000000000048"]), "key '1' lists '48' twice"),
    (CIRCO_FILE, put("1", [*range(49), 48.5]), "key '1' lists 48.5; images go by integers"),
    (CIRCO_FILE, put("1", [*range(49), True]), "key '1' lists True; images go by integers"),
    (CIRCO_FILE, put("1", [*range(49), [50]]), "key '1' lists [50]; images go by integers"),
    (CIRCO_FILE, put("1", None), "key '1' holds NoneType, not a list"),
    (CIRCO_FILE, put("version", "rc2"), "key 'version' is no query id"),
]


@pytest.mark.parametrize(("name", "change", "message"), BROKEN)
def test_every_kind_of_mistake_is_named_with_its_key(tmp_path, name, change, message):
    document = sound()[name]
    change(document)
    path = tmp_path / name
    path.write_text(json.dumps(document))
    report = check_submission(path, FORMS)
    said = [str(problem) for problem in report.problems]
    assert any(message in line for line in said) if message else said == []
    assert report.benchmark == ("circo" if name == CIRCO_FILE else "cirr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b'{"0": [1, 2', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "holds list, not an object"),
        (b"{}", "like no submission file; known are: cirr recall, cirr recall_subset, circo"),
        (b'{"0": {"a": 1}}', "like no submission file"),
        (b'{"version": "rc2", "metric": "recall"}', "0 queries"),
        (b'{"0": [1], "1": [2], "0": [3]}', "key '0' appears twice in the file; keep one of the two"),
    ],
)
def test_what_is_no_submission_at_all(tmp_path, text, message):
    path = tmp_path / "file.json"
    path.write_bytes(text)
    report = check_submission(path, FORMS)
    assert not report.valid and message in str(report.problems[0])


def test_short_lists_of_circo_and_ids_in_quotes_are_tolerated(tmp_path):
    document = {"0": ["000000000007", "9"], "1": [str(number) for number in range(50)], "2": list(range(50))}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document))
    report = check_submission(path, FORMS)
    assert report.valid
    assert [str(w) for w in report.warnings] == ["key '0' lists 2 images; the rest counts as wrong: better give 50"]


def test_a_split_asked_for_fixes_the_number_of_queries(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(sound()[RECALL]))
    submission = read_submission(path, FORMS)
    assert check(submission, split="test1").valid
    assert "answered: 4 (val)" in str(check(submission, split="val").problems[0])
    with pytest.raises(UnknownNameError, match="'tset1'"):
        check(submission, split="tset1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put("5", ["dev-0", "dev-1", "dev-2", "dev-3"]),
            "key '5' lists 'dev-0', its own reference; take the reference",
        ),
        (put("5", ["dev-1", "dev-2", "dev-3", "dev-9"]), "key '5' lists 'dev-9'; it is not in the gallery"),
        (take("9"), "key '9' is missing; answer every query of cirr_val"),
        (put("10", ["dev-1", "dev-2", "dev-3", "dev-4"]), "key '10' is not asked; leave out what is no query of cirr"),
    ],
)
def test_annotations_tell_more(cirr_root, tmp_path, change, message):
    unit, form = small_cirr(cirr_root)
    best = ["dev-4", "dev-1", "dev-2", "dev-3"]
    document = {"version": "rc2", "metric": "recall", "5": best, "9": best}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document))
    assert check_submission(path, {"cirr": form}, unit).valid
    change(document)
    path.write_text(json.dumps(document))
    assert [message in str(problem) for problem in check_submission(path, {"cirr": form}, unit).problems] == [True]


def test_subsets_and_circos_padded_ids_against_annotations(cirr_root, circo_root, tmp_path):
    unit, form = small_cirr(cirr_root)
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"version": "rc2", "metric": "recall_subset", "5": ["dev-1", "dev-5"], "9": []}))
    said = [str(problem) for problem in check_submission(path, {"cirr": form}, unit).problems]
    assert said[0].startswith("key '9' lists 0 images") and "key '5' lists 'dev-5'; it is not in the query's" in said[1]
    (circo,) = CIRCO().load(circo_root, "test")
    path.write_text(json.dumps({"0": ["000000000030", 12], "1": [11, 41]}))
    said = [str(problem) for problem in check_submission(path, FORMS, circo).problems]
    assert said == ["key '1' lists '41'; it is not in the gallery: rank images of the split, by their ids"]


def test_the_split_is_the_one_that_asked_these_queries(cirr_root, circo_root, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"0": [30], "1": [30]}))
    assert matching_unit(CIRCO(), circo_root, read_submission(path, FORMS)).split == "test"
    path.write_text(json.dumps({"0": [30]}))
    submission = read_submission(path, FORMS)
    assert matching_unit(CIRCO(), circo_root, submission).split == "val"
    assert matching_unit(CIRCO(), circo_root, submission, "test").split == "test"
    (circo_root / "annotations/test.json").unlink()
    assert matching_unit(CIRCO(), circo_root, submission).split == "val"


def test_annotations_that_are_missing_are_asked_for(cirr_root, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(sound()[RECALL]))
    (cirr_root / "cirr/captions/cap.rc2.test1.json").unlink()
    with pytest.raises(DataError, match=r"cap\.rc2\.test1\.json not found"):
        matching_unit(CIRR(), cirr_root, read_submission(path, FORMS))


def test_official_and_reference_files_pass(shared):
    forms = {"cirr": CIRR.submission, "circo": CIRCO.submission}
    examples = shared / "benchmarks/circo/submission_examples"
    golden = shared / "golden/submissions"
    files = [examples / "submission_test.json", examples / "submission_val.json", golden / "circo_test.json"]
    files += [golden / "circo_val.json", golden / "cirr_test1_recall_subset.json"]
    reports = [check_submission(file, forms) for file in files]
    assert [(report.problems, report.warnings) for report in reports] == [((), ())] * 5
    assert [report.split for report in reports] == ["test", "val", "test", "val", "test1"]
    (unit,) = CIRR().load(shared / "benchmarks/cirr", "test1")
    assert check_submission(files[-1], forms, unit).valid
    cut = check_submission(golden / "cirr_test1_recall.first400.json", forms, unit)
    assert [len(problem.keys) for problem in cut.problems] == [4148 - 400]
