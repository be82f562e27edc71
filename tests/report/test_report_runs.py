"""Reading run folders: what is there, what may be missing, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from motacli.errors import DataError
from motacli.report.runs import read_run


def test_what_a_run_says(tmp_path: Path) -> None:
    write_run(
        tmp_path / "one",
        {"cirr_val": {"R@1": [1, 0]}},
        query="lincir + mota",
        averages={"cirr_average": {"R@1": 50.0}},
        ids=["a", "b"],
        ranks={"cirr_val": [[1.0], [None]]},
        rankings={"cirr_val": [["x", "y"], ["y", "z"]]},
        config={"data-root": "data", "part": []},
        provenance={"digests": {"cirr_val": "0123"}},
        headline={"R@1": 50.0},
        protocol={"name": "searle"},
        preprocess=None,
        weights={"backbone": {"name": "tiny", "digest": "4567"}},
    )
    run = read_run(tmp_path / "one")
    assert (run.name, run.benchmark, run.split, run.query) == ("one", "cirr", "val", "lincir + mota")
    assert run.headline == ("R@1",) and run.options["data-root"] == "data"
    assert run.settings == {"protocol": {"name": "searle"}, "backbone": {"name": "tiny", "digest": "4567"}}
    unit, average = run.units.values()
    assert unit.metrics == {"R@1": 50.0} and unit.intervals == {"R@1": (49.0, 51.0)} and unit.n == 2
    assert unit.query_ids == ("a", "b") and unit.values["R@1"].tolist() == [1, 0] and not unit.derived
    assert unit.ranks == ((1.0,), (math.inf,))
    assert average.derived and average.metrics == {"R@1": 50.0}
    ranking = run.ranking("cirr_val")
    assert ranking is not None and ranking.ids == (("x", "y"), ("y", "z")) and ranking.scores.shape == (2, 2)
    assert run.ranking("cirr_average") is None


def test_a_run_from_before_ranks_and_settings(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "old"))
    assert run.units["cirr_val"].ranks == () and run.settings == {} and run.options == {} and run.provenance == {}


def test_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "half.partial").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "metrics.json").write_text('{"loss": 1.0}')
    for name, said in (
        ("half", "its run is unfinished"),
        ("half.partial", "is unfinished"),
        ("nowhere", "no such run"),
        ("empty", "holds no metrics.json"),
        ("trained", "is no run of `mota eval`"),
    ):
        with pytest.raises(DataError, match=said):
            read_run(tmp_path / name)


def test_a_run_without_scores(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, averages={"cirr_test1": {}})
    with pytest.raises(DataError, match="holds no scores"):
        read_run(tmp_path / "run")


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: d.pop("query"), "'query' is missing"),
        (lambda d: d["units"]["cirr_val"].pop("n"), "'n' is missing"),
        (lambda d: d["units"].update(cirr_val=3), "not what `mota eval` writes"),
        (lambda d: d["units"]["cirr_val"]["metrics"].update({"R@1": None}), "not what `mota eval` writes"),
        (lambda d: d["units"]["cirr_val"]["ci"].update({"R@1": [1]}), "not what `mota eval` writes"),
        (lambda d: d["per_query"]["cirr_val"]["values"]["R@1"].pop(), "4 queries and 3 values"),
        (lambda d: d["per_query"]["cirr_val"]["values"]["R@1"].__setitem__(0, None), "R@1 is no list of numbers"),
        (lambda d: d["per_query"]["cirr_val"]["ids"].__setitem__(0, "1"), "two queries of the same id"),
        (lambda d: d["per_query"]["cirr_val"].update(ranks=[[1]]), "4 queries and 1 values or ranks"),
        (lambda d: d["per_query"].update(cirr_val=[]), "not what `mota eval` writes"),
    ],
)
def test_damaged_numbers(damage: Damage, said: str, tmp_path: Path) -> None:
    path = write_run(tmp_path / "run") / "metrics.json"
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=said) as caught:
        read_run(tmp_path / "run")
    assert str(path) in caught.value.message


@pytest.mark.parametrize("name", ["metrics.json", "config.json", "provenance.json"])
@pytest.mark.parametrize(("text", "said"), [('{"a": ', "not valid JSON"), ("[]", "not a JSON object")])
def test_damaged_files(name: str, text: str, said: str, tmp_path: Path) -> None:
    (write_run(tmp_path / "run") / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: {said}"):
        read_run(tmp_path / "run")


def test_rankings_that_do_not_fit(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", rankings={"cirr_val": [["x"]]}))
    with pytest.raises(DataError, match="as many rankings as queries"):
        run.ranking("cirr_val")
