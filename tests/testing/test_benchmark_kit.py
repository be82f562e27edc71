"""Each check of `check_benchmark` finds a benchmark that breaks just its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wrong import Wrong, assert_that_line, breaches, instead, without

from motacli.benchmarks.genecis import GeneCIS
from motacli.contracts import EvalUnit, ImageRef, Prompt
from motacli.errors import MotaError
from motacli.testing import check_benchmark
from motacli.testing.benchmark import CHECKS
from motacli.tiny.mini_genecis import write_genecis


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genecis")
    write_genecis(folder, 1, "val", queries=2, others=30)
    return folder


def units_with(change: Callable[[EvalUnit], EvalUnit]) -> Any:
    """A benchmark whose units are changed."""
    return instead(load=lambda self, *asked: [change(unit) for unit in self._right.load(*asked)])


def query_with(**values: Any) -> Any:
    """A benchmark whose units have a last query with other values; functions get the query and its unit."""

    def change(unit: EvalUnit) -> EvalUnit:
        *others, last = unit.queries
        new = {name: value(last, unit) if callable(value) else value for name, value in values.items()}
        return replace(unit, queries=(*others, replace(last, **new)))

    return units_with(change)


def counted(self: Any, *asked: Any) -> Any:
    self.calls = self.__dict__.get("calls", 0) + 1
    return [replace(unit, exclude_reference=self.calls % 2 > 0) for unit in self._right.load(*asked)]


def guessing(self: Any, root: Path, split: Any = None, parts: Any = ()) -> Any:
    return self._right.load(root, split if split in self.splits else None, [p for p in parts if p in self.parts])


def silent(self: Any, root: Path, *asked: Any) -> Any:
    if not list(root.iterdir()):
        raise FileNotFoundError("captions.json")
    return self._right.load(root, *asked)


def vague(self: Any, root: Path, *asked: Any) -> Any:
    try:
        return self._right.load(root, *asked)
    except MotaError as error:
        raise type(error)("there is nothing") if type(error).__name__ == "DataError" else error from None


def protocol_with(**members: Any) -> Any:
    """A benchmark whose protocol is like the right one, but for some members."""
    return instead(protocol=lambda self, name: instead(**members)(self._right.protocol(name)))


def gone(unit: EvalUnit) -> EvalUnit:
    first, *_ = unit.images
    return replace(unit, images={**unit.images, first: ImageRef(first, Path("nowhere.png"))})


def lost(unit: EvalUnit) -> EvalUnit:
    used = {unit.queries[0].reference}
    return replace(unit, images={id: image for id, image in unit.images.items() if id not in used})


WRONG = (
    Wrong("members", without("averages"), "there is no averages"),
    Wrong("attributes", instead(headline="accuracy"), "headline 'accuracy' is no metric"),
    Wrong("attributes", instead(name=None), "name is None"),
    Wrong("load", instead(load=lambda self, *asked: []), "gives []"),
    Wrong("load_again", instead(load=counted), "differ when they are read again"),
    Wrong(
        "load_parts",
        instead(
            load=lambda self, r, s=None, p=(): self._right.load(r, s, self.parts if p and p[0] in self.parts else p)
        ),
        "its parts, one by one, are",
    ),
    Wrong("unit_names", units_with(lambda unit: replace(unit, name="unit")), "units are called 'unit', 'unit'"),
    Wrong("unit_names", units_with(lambda unit: replace(unit, benchmark="cirr")), "of benchmark 'cirr'"),
    Wrong("unit_names", units_with(lambda unit: replace(unit, split="dev")), "of split 'dev'"),
    Wrong("gallery", units_with(lambda unit: replace(unit, gallery=unit.gallery + unit.gallery[:1])), "an image twice"),
    Wrong("images", units_with(lost), "does not locate 1 pictures"),
    Wrong("pictures", units_with(gone), "cannot be opened: no such picture"),
    Wrong("query_ids", units_with(lambda unit: replace(unit, queries=unit.queries + unit.queries[:1])), "of their own"),
    Wrong("captions", query_with(captions="is red"), "has captions 'is red'"),
    Wrong("captions", query_with(captions=()), "has captions ()"),
    Wrong("targets", query_with(targets=("nobody",)), "a target that is not in the gallery"),
    Wrong("targets", query_with(targets=()), "targets for some of its queries alone"),
    Wrong("candidates", query_with(candidates=lambda query, unit: query.candidates[1:]), "lacks the target"),
    Wrong(
        "candidates", query_with(candidates=lambda query, unit: (*query.candidates, "x")), "is not within the gallery"
    ),
    Wrong(
        "subset", query_with(subset=lambda query, unit: (query.reference, *query.targets)), "reference in the subset"
    ),
    Wrong("metrics", units_with(lambda unit: replace(unit, metrics=())), "has targets and no metrics"),
    Wrong("metrics", units_with(lambda unit: replace(unit, metrics=("accuracy",))), "raises"),
    Wrong("protocol", protocol_with(prompts=lambda self, query: (Prompt("a photo of", "that"),)), "no prompt of query"),
    Wrong("protocol", protocol_with(prompts=lambda self, query: ()), "are ()"),
    Wrong("protocol", protocol_with(text=lambda self, query: query.captions), "the text of query"),
    Wrong("protocol_record", protocol_with(record=lambda self: {"prompt": object()}), "not JSON serializable"),
    Wrong("unknown_protocol", instead(protocol=lambda self, name: self._right.protocol("searle")), "protocol is taken"),
    Wrong(
        "unknown_protocol",
        instead(protocol=lambda self, name: {"searle": self._right.protocol("searle")}[name]),
        "raises KeyError",
    ),
    Wrong("averages", instead(averages=lambda self, units: {"mean": units["genecis_focus_object"]}), "raises KeyError"),
    Wrong("averages", instead(averages=lambda self, units: {"mean": {"R@1": "50"}}), "gives {'mean': {'R@1': '50'}}"),
    Wrong("averages", instead(averages=lambda self, units: dict(units)), "gives a row 'genecis_"),
    Wrong("unknown_names", instead(load=guessing), "an unknown split is taken"),
    Wrong("missing_files", instead(load=silent), "an empty folder raises FileNotFoundError"),
    Wrong("missing_files", instead(load=vague), "an empty folder is not named in: there is nothing"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_benchmark_is_found_out(wrong: Wrong, root: Path) -> None:
    error = breaches(lambda: check_benchmark(wrong.make(GeneCIS()), root))
    assert_that_line(error, wrong, CHECKS.all[wrong.check].line)


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} == set(CHECKS.all)


def test_pictures_need_not_be_there(root: Path, tmp_path: Path) -> None:
    report = check_benchmark(units_with(gone)(GeneCIS()), root, split="val", pictures=False)
    assert report.left_out == {"pictures": "pictures=False was given"}


def test_a_function_that_makes_one_is_called(root: Path) -> None:
    assert check_benchmark(lambda: GeneCIS(), str(root)).component == "benchmark 'genecis'"
    error = breaches(lambda: check_benchmark(lambda: SimpleNamespace(name="x", load=None), root))
    assert [breach.problem for breach in error.breaches][:2] == ["there is no headline", "there is no splits"]
