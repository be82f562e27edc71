"""Runs side by side: tables, columns, differences, what is best, and what is refused or remarked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_folders import write_run

from motacli.errors import DataError, UsageError
from motacli.report.comparison import Table, compare
from motacli.report.runs import Run, read_run
from motacli.significance import paired_difference

RNG = np.random.default_rng(0)
BASE, BETTER = ([float(v) for v in RNG.random(40) < share] for share in (0.3, 0.9))
FASHION = ("fashioniq_dress", "fashioniq_shirt")


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Writes a run and reads it."""

    def make(name: str, values: Any, **others: Any) -> Run:
        return read_run(write_run(tmp_path / name, values, **{"query": name, **others}))

    return make


def fashion(make: Any, name: str, dress: list[float], shirt: list[float], **others: Any) -> Run:
    """A run on two categories; the average of R@10 is their plain mean."""
    mean = 50 * (np.mean(dress) + np.mean(shirt))
    values = dict(zip(FASHION, [{"R@10": dress, "R@1": dress}, {"R@10": shirt, "R@1": shirt}], strict=True))
    averages = {"fashioniq_average": {"R@10": float(mean), "mean_of_R@10_and_R@50": 1.0}}
    return make(name, values, benchmark="fashioniq", averages=averages, headline={"R@10": 1.0}, **others)  # type: ignore[no-any-return]


def titles(table: Table) -> list[str]:
    return [column.title for column in table.columns]


def test_columns_are_those_of_the_papers(make: Any) -> None:
    cirr = {"cirr_val": {"Rsubset@1": [1], "R@5": [1], "R@1": [1], "mean_of_R@5_and_Rsubset@1": [1]}}
    (table,) = compare([make("cirr", cirr)])
    assert titles(table) == ["R@1", "R@5", "Rsubset@1"] and table.title == "CIRR val" and table.baseline is None
    (table,) = compare([fashion(make, "fashion", [1.0], [0.0])])
    assert titles(table) == ["dress R@10", "shirt R@10", "average R@10"]
    assert table.columns[table.headline()].title == "average R@10"
    tags = {"circo_val_semantic_mAP@10": {"negation": 3.0}}
    (table,) = compare([make("circo", {"circo_val": {"mAP@5": [1], "R@5": [1]}}, benchmark="circo", averages=tags)])
    assert titles(table) == ["mAP@5"]


def test_a_benchmark_we_do_not_know_shows_everything(make: Any) -> None:
    values = {"fotos_a": {"R@7": [1.0, 0.0]}, "fotos_b": {"R@7": [1.0, 1.0], "R@9": [1.0, 1.0]}}
    averages = {"fotos_average": {"R@7": 75.0}, "fotos_b_by_tag_R@7": {"night": 3.0}}
    (table,) = compare([make("x", values, benchmark="fotos", averages=averages)])
    assert table.title == "fotos val" and titles(table) == ["a R@7", "b R@7", "b R@9", "average R@7"]


def test_a_table_per_benchmark_in_the_order_given(make: Any) -> None:
    one, two = make("one", {"cirr_val": {"R@1": [1, 0]}}), make("two", {"circo_val": {"mAP@5": [1]}}, benchmark="circo")
    three = make("three", {"cirr_val": {"R@1": [1, 1]}})
    tables = compare([one, two, three, one])
    assert [[row.name for row in table.rows] for table in tables] == [["one", "three"], ["two"]]
    assert tables[0].baseline is tables[0].rows[0]


def test_differences_are_paired_by_query(make: Any) -> None:
    ids = [f"q{n}" for n in range(40)]
    backwards = make("better", {"cirr_val": {"R@1": BETTER[::-1]}}, ids=ids[::-1])
    (table,) = compare([make("base", {"cirr_val": {"R@1": BASE}}, ids=ids), backwards])
    base, better = (row.numbers[0] for row in table.rows)
    assert base and base.difference is None and base.p_holm is None and not base.significant and not base.best
    assert better and better.difference and better.best and better.significant
    expected = paired_difference(BASE, BETTER)
    assert better.difference.mean == pytest.approx(100 * expected.mean) == better.value - base.value
    # Another stream of random numbers: equal as far as 10,000 resamples tell.
    assert better.difference.low == pytest.approx(100 * expected.low, abs=2)
    assert better.difference.high == pytest.approx(100 * expected.high, abs=2)
    assert better.interval == (better.value - 1, better.value + 1)


def test_an_average_is_resampled_within_its_units(make: Any) -> None:
    base, other = fashion(make, "base", BASE, BASE[:5]), fashion(make, "other", BETTER, BASE[:5])
    (table,) = compare([base, other])
    dress, shirt, average = (number and number.difference for number in table.rows[1].numbers)
    assert dress and shirt and average
    assert shirt.mean == shirt.low == shirt.high == 0 and shirt.p == 1
    # Nothing moves within the second unit, so the average is half of the first.
    assert (average.mean, average.low, average.high) == pytest.approx((dress.mean / 2, dress.low / 2, dress.high / 2))
    assert average.p == dress.p


def test_what_is_no_plain_mean_is_not_tested(make: Any) -> None:
    base = fashion(make, "base", BASE, BASE)
    values = {unit: {"R@10": BETTER} for unit in FASHION}
    weighted = make("other", values, benchmark="fashioniq", averages={"fashioniq_average": {"R@10": 1.0}})
    (table,) = compare([base, weighted])
    assert [bool(number and number.difference) for number in table.rows[1].numbers] == [True, True, False]


def test_numbers_do_not_depend_on_what_else_is_compared(make: Any) -> None:
    base, one = make("base", {"cirr_val": {"R@1": BASE}}), make("one", {"cirr_val": {"R@1": BETTER}})
    two = make("two", {"cirr_val": {"R@1": BASE, "R@5": BETTER}})
    alone, among = (compare(runs)[0].rows[1].numbers[0] for runs in ([base, one], [base, one, two]))
    assert alone and among and alone.difference == among.difference


def test_the_seed_draws_the_queries(make: Any) -> None:
    runs = [make(name, {"cirr_val": {"R@1": list(RNG.random(40))}}) for name in ("base", "other")]
    first, again, else_ = (compare(runs, seed=seed)[0].rows[1].numbers[0] for seed in (0, 0, 1))
    assert first == again != else_


def test_holm_covers_the_whole_table(make: Any) -> None:
    runs = [make(name, {"cirr_val": {"R@1": BASE, "R@5": BETTER}}) for name in ("base", "copy")]
    runs.append(make("better", {"cirr_val": {"R@1": BETTER, "R@5": BETTER}}))
    (table,) = compare(runs)
    p = table.rows[2].numbers[0]
    assert p and p.p is not None and p.p_holm == pytest.approx(4 * p.p)
    assert [n.p_holm for n in table.rows[1].numbers if n] == [1.0, 1.0]


def test_equal_to_two_decimals_is_equally_good(make: Any) -> None:
    near = [1.0] * 20_001 + [0.0] * 19_999
    (table,) = compare([make("a", {"cirr_val": {"R@1": [1.0, 0.0]}}), make("c", {"cirr_val": {"R@1": [0.0, 0.0]}})])
    assert [number and number.best for row in table.rows for number in row.numbers] == [True, False]
    far = [make("d", {"cirr_val": {"R@1": near}}), make("e", {"cirr_val": {"R@1": [*near[1:], 0.0]}})]
    (table,) = compare(far, resamples=10)
    assert [number and number.best for row in table.rows for number in row.numbers] == [True, True]


def test_runs_of_one_name_are_told_apart(make: Any, tmp_path: Path) -> None:
    values = {"cirr_val": {"R@1": [1, 0]}}
    runs = [make(name, values, query="lincir") for name in ("a/seed0", "a/seed1")] + [make("other", values)]
    assert [row.name for row in compare(runs)[0].rows] == ["lincir (seed0)", "lincir (seed1)", "other"]
    runs.append(make("b/seed0", values, query="lincir"))
    names = [row.name for row in compare(runs)[0].rows]
    assert names[0] == f"lincir ({tmp_path / 'a' / 'seed0'})" and names[1] == "lincir (seed1)"


def test_baselines_come_first(make: Any) -> None:
    values = {"cirr_val": {"R@1": [1, 0]}}
    one, two, three = (make(name, values) for name in ("one", "two", "three"))
    for listed in ([one, two, three], [one, three]):
        rows = compare(listed, [two])[0].rows
        assert [row.name for row in rows] == ["two", "one", "three"]


def test_baselines_that_make_no_sense(make: Any) -> None:
    one, two = (make(name, {"cirr_val": {"R@1": [1, 0]}}) for name in ("one", "two"))
    circo = make("circo", {"circo_val": {"mAP@5": [1]}}, benchmark="circo")
    with pytest.raises(UsageError, match="cannot both be the baseline of cirr val"):
        compare([one], [one, two])
    with pytest.raises(UsageError, match="is a run of circo val, and no other run is"):
        compare([one, two], [circo])
    with pytest.raises(UsageError, match="and no other run is"):
        compare([one], [one])


def test_other_queries_cannot_be_paired(make: Any) -> None:
    runs = [make(name, {"cirr_val": {"R@1": [1, 0]}}, ids=["a", id]) for name, id in (("one", "b"), ("two", "c"))]
    with pytest.raises(DataError, match="answered different queries of cirr_val") as caught:
        compare(runs)
    assert all(str(run.path) in caught.value.message for run in runs)


def test_what_else_differs_is_remarked_on(make: Any) -> None:
    values = {"cirr_val": {"R@1": [1, 0]}}

    def run(name: str, protocol: str, digest: str, **others: Any) -> Run:
        about = {"protocol": {"name": protocol}, "provenance": {"digests": {"cirr_val": digest}}}
        return make(name, values, **about, **others)  # type: ignore[no-any-return]

    one, same = run("one", "searle", "01", preprocess="clip"), run("same", "searle", "01")
    assert compare([one, same])[0].notes == ()
    stored = run("stored", "searle", "01", index_store={"name": "faiss", "options": {}})
    assert compare([one, stored])[0].notes == (
        f"{stored.path} is ranked by index store 'faiss'; published numbers are ranked exactly.",
    )
    notes = compare([one, run("two", "pic2word", "02", preprocess="targetpad")])[0].notes
    assert [note.split("two ")[1].split(":")[0] for note in notes] == [
        "differ in their preprocessing",
        "differ in their protocol",
        "saw different galleries or annotations of cirr_val.",
    ]


def test_a_run_on_some_parts_only(make: Any) -> None:
    whole = fashion(make, "whole", BASE, BASE)
    part = make("part", {"fashioniq_dress": {"R@10": BETTER}}, benchmark="fashioniq")
    (table,) = compare([whole, part])
    dress, shirt, average = table.rows[1].numbers
    assert dress and dress.difference and shirt is None and average is None
    assert table.notes == (f"{part.path} lacks fashioniq_shirt, fashioniq_average, which {whole.path} has.",)
    assert table.best_of(table.rows).name == "whole"
