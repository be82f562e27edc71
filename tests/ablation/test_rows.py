"""Means, spreads and paired differences, on numbers made by hand; the tables of the same numbers, sign by sign."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from motacli.ablation.grid import Grid
from motacli.ablation.jobs import Result
from motacli.ablation.rows import Row, make_rows
from motacli.ablation.tables import as_csv, latex, legend, make_tables, markdown
from motacli.ablation.variant import Variant
from motacli.adapters.mota import MotaOptions
from motacli.adapters.options import TrainOptions


def grid() -> Grid:
    variants = [Variant(name, "mota", MotaOptions(experts=k), TrainOptions()) for name, k in (("full", 4), ("K_1", 1))]
    return Grid("mine", "Mine & yours", tuple(variants), "full", also={"full": ("experts=4",)})


def result(value: float, trainable: int = 0, seconds: float = 0.0) -> Result:
    return Result({"cirr": {"R@10": value, "R@1": 0.0}, "mine": {"R@1": value / 2}}, trainable, seconds)


def rows(seeds: tuple[int, ...] = (3, 5)) -> list[Row]:
    found = {
        ("lincir", "base", None): result(60),
        ("lincir", "full", 3): result(70, 1000, 2.0),
        ("lincir", "full", 5): result(74, 1000, 4.0),
        ("lincir", "K_1", 3): result(71, 10),
        ("lincir", "K_1", 5): result(72, 10),
    }
    return make_rows(grid(), ["lincir"], seeds, {"cirr": "R@10", "mine": "R@1"}, found)


def test_rows_are_paired_seed_by_seed() -> None:
    base, _, full, _, one, half = rows()
    assert (base.variant, base.mean, base.std, base.values, base.seeds) == ("base", 60, 0, (60, 60), (3, 5))
    assert base.delta == -12 and base.delta_std == pytest.approx(8**0.5)
    assert (full.mean, full.std, full.values) == (72, pytest.approx(8**0.5), (70, 74))
    assert (full.delta, full.delta_std, full.trainable, full.seconds) == (0, 0, 1000, 3.0)
    assert (one.mean, one.delta) == (71.5, -0.5)
    assert one.std == pytest.approx(0.5**0.5) and one.delta_std == pytest.approx(4.5**0.5)
    assert (half.benchmark, half.metric, half.mean) == ("mine", "R@1", 35.75)


def test_one_seed_has_no_spread() -> None:
    assert all(row.std == row.delta_std == 0 and row.seeds == (5,) for row in rows((5,)))
    assert make_tables(rows((5,)), grid())[0].body[1] == ("full", "74.0", "37.0", "1,000")


def test_equal_values_have_no_spread_whatever_rounding_makes_of_them() -> None:
    third = {("a", "base", None): result(0.1), **{("a", n, s): result(0.1) for n in ("full", "K_1") for s in range(3)}}
    found = make_rows(grid(), ["a"], range(3), {"cirr": "R@10"}, third)
    assert [row.std for row in found] == [0, 0, 0]


def test_the_terminal_table() -> None:
    (table,) = make_tables(rows(), grid())
    assert table.head == ("LinCIR", "CIRR R@10", "mine R@1", "trainable")
    assert table.body == (
        ("base", "60.0 (-12.0)", "30.0 (-6.0)", "0"),
        ("full", "72.0 ± 2.8", "36.0 ± 1.4", "1,000"),
        ("K_1", "71.5 ± 0.7 (-0.5)", "35.8 ± 0.4 (-0.2)", "10"),
    )
    assert legend(grid(), rows()).endswith("in brackets the difference to full. full is experts=4.")


def test_markdown() -> None:
    assert markdown(rows(), grid()) == (
        "Mine & yours: percent, mean ± standard deviation over 2 seeds; in brackets the difference to full. "
        "full is experts=4.\n\n"
        "| LinCIR | CIRR R@10 | mine R@1 | trainable |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| base | 60.0 (\N{MINUS SIGN}12.0) | 30.0 (\N{MINUS SIGN}6.0) | 0 |\n"
        "| full | 72.0 ± 2.8 | 36.0 ± 1.4 | 1,000 |\n"
        "| K\\_1 | 71.5 ± 0.7 (\N{MINUS SIGN}0.5) | 35.8 ± 0.4 (\N{MINUS SIGN}0.2) | 10 |\n"
    )


def test_latex() -> None:
    assert latex(rows(), grid()) == (
        "\\begin{table}\n\\centering\n"
        "\\caption{LinCIR. Mine \\& yours: percent, mean $\\pm$ standard deviation over 2 seeds; in brackets the "
        "difference to full. full is experts=4.}\n"
        "\\begin{tabular}{lrrr}\n\\toprule\n"
        "LinCIR & CIRR R@10 & mine R@1 & trainable \\\\\n\\midrule\n"
        "base & 60.0 ($-$12.0) & 30.0 ($-$6.0) & 0 \\\\\n"
        "full & 72.0 $\\pm$ 2.8 & 36.0 $\\pm$ 1.4 & 1,000 \\\\\n"
        "K\\_1 & 71.5 $\\pm$ 0.7 ($-$0.5) & 35.8 $\\pm$ 0.4 ($-$0.2) & 10 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def test_csv_is_unrounded() -> None:
    text = as_csv(rows())
    assert text.splitlines()[0] == (
        "inversion,variant,benchmark,metric,mean,std,seeds,values,delta,delta_std,trainable,seconds"
    )
    assert text.splitlines()[1] == f"lincir,base,cirr,R@10,60.0,0.0,3 5,60 60,-12.0,{8**0.5},0,0.0"
    assert float(list(csv.DictReader(StringIO(text)))[3]["std"]) == 2**0.5
