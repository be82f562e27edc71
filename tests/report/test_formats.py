"""Tables as text: what each format shows, and that names stay names in it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from run_folders import Values, write_run

from motacli.report.comparison import Number, Table, compare
from motacli.report.formats import as_csv, as_json, detail_rows, latex, legend, markdown, paper_rows
from motacli.report.numbers import Style
from motacli.report.runs import read_run
from motacli.runs import jsonable
from motacli.significance import Difference

NASTY = r"50 % & $\alpha$_a|b*c #{~^} <i>"
WORSE: Values = {"cirr_val": {"R@1": [0.0] * 30, "R@10": [1.0] * 20 + [0.0] * 10}}
BETTER: Values = {"cirr_val": {"R@1": [1.0] * 20 + [0.0] * 10, "R@10": [1.0] * 19 + [0.0] * 11}}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Two runs: the second wins R@1 by far and loses R@10 by a query."""
    runs = [write_run(tmp_path / "one", WORSE, query="text only"), write_run(tmp_path / "two", BETTER, query=NASTY)]
    return compare([read_run(run) for run in runs])[0]


@pytest.fixture
def single(tmp_path: Path) -> Table:
    return compare([read_run(write_run(tmp_path / "single", WORSE))])[0]


@pytest.fixture
def parts(tmp_path: Path) -> Table:
    """A benchmark of two parts and their average, of which one run lacks a part."""
    both: Values = {f"fashioniq_{part}": {"R@10": [1.0, 0.0], "R@50": [1.0, 1.0]} for part in ("dress", "shirt")}
    average = {"fashioniq_average": {"R@10": 50.0, "R@50": 100.0}}
    whole = write_run(tmp_path / "whole", both, benchmark="fashioniq", averages=average)
    part = write_run(tmp_path / "part", {"fashioniq_dress": both["fashioniq_dress"]}, benchmark="fashioniq", query="x")
    return compare([read_run(whole), read_run(part)])[0]


def test_the_papers_form(table: Table) -> None:
    assert paper_rows(table) == [
        {"CIRR val": "text only", "R@1": "0.00", "R@10": "**66.67**"},
        {"CIRR val": NASTY, "R@1": "**66.67**", "R@10": "63.33"},
        {"CIRR val": "difference", "R@1": "+66.67*", "R@10": "-3.33"},
    ]


def test_details_have_intervals_and_p_values(table: Table) -> None:
    base, _, win, loss = detail_rows(table)
    assert base == {"CIRR val": "text only", "metric": "R@1", "n": "30", "value": "0.00", "interval": "[-1.0, 1.0]",
                    "difference": "", "its interval": "", "p": "", "p (Holm)": ""}  # fmt: skip
    assert (win["difference"], win["p"], win["p (Holm)"]) == ("+66.67*", "0.0001", "0.0002")
    assert re.fullmatch(r"\[[45]\d\.\d, 8\d\.\d\]", win["its interval"])
    assert (loss["difference"], loss["p"], loss["p (Holm)"]) == ("-3.33", "1.0000", "1.0000")


def test_one_run_has_nothing_to_differ_from(single: Table) -> None:
    assert paper_rows(single) == [{"CIRR val": "text only", "R@1": "0.00", "R@10": "66.67"}]
    assert list(detail_rows(single)[0]) == ["CIRR val", "metric", "n", "value", "interval"]
    assert legend(single) == "Percent, with 95% bootstrap intervals over queries."
    assert "difference" not in latex([single]) and "textbf" not in latex([single])


def test_the_legend_tells_how_p_values_were_made(table: Table) -> None:
    for said in ("text only", "p < 0.05", "Holm", "10000 resamples", "seed 0", "95% bootstrap"):
        assert said in legend(table)


def test_no_difference_has_no_sign(parts: Table) -> None:
    difference = paper_rows(parts)[-1]
    assert list(difference.values()) == ["difference", "0.00", "0.00", "", "", "", ""]


def test_markdown_keeps_its_columns(table: Table) -> None:
    tables = re.split(r"\n\n(?=\|)", markdown([table]))
    for block in [tables[0].split("\n\n")[0], tables[1]]:
        cells = [re.split(r"(?<!\\)\|", line) for line in block.strip().splitlines()]
        assert len({len(row) for row in cells}) == 1 and set(cells[1][1:-1]) <= {" --- ", " ---: "}
    assert r"| 50 % & $\\alpha$\_a\|b\*c \#{\~^} \<i\> | **66.67** | 63.33 |" in tables[0]
    assert "| difference | +66.67\\* | \N{MINUS SIGN}3.33 |" in tables[0]
    assert legend(table).replace("<", "\\<") in tables[0]


def test_markdown_tells_what_differs(parts: Table) -> None:
    assert parts.notes[0].replace("_", "\\_") in markdown([parts])


def test_latex_escapes_and_aligns(table: Table) -> None:
    text = latex([table])
    name = r"50 \% \& \$\textbackslash{}alpha\$\_a\textbar{}b*c \#\{\textasciitilde{}\textasciicircum{}\}"
    assert f"{name} \\textless{{}}i\\textgreater{{}} & \\textbf{{66.67}} & 63.33 \\\\" in text
    assert r"\quad difference & +66.67$^{*}$ & $-$3.33 \\" in text
    assert r"{\scriptsize [$-$1.0, 1.0]}" in text
    body = text.split("\\begin{tabular}{lrr}\n")[1].split("\\end{tabular}")[0]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2] * len(rows) and len(rows) == 7
    assert not re.search(r"\\\\\s*\[", text)  # a bracket there would be read as a distance
    unescaped = re.sub(r"\\[a-zA-Z]+|\\[&%$#_{}\\]", "", text)
    assert unescaped.count("{") == unescaped.count("}") and text.count("\\toprule") == text.count("\\bottomrule") == 1


def test_latex_groups_the_parts(parts: Table) -> None:
    text = latex([parts])
    assert r" & \multicolumn{2}{c}{dress} & \multicolumn{2}{c}{shirt} & \multicolumn{2}{c}{average} \\" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){6-7}" in text
    assert text.startswith("% ") and parts.notes[0] in text.splitlines()[0]
    assert text.count("\\begin{table}") == 1 and latex([parts, parts]).count("\\begin{table}") == 2


def test_csv_and_json_say_everything_unrounded(table: Table, parts: Table) -> None:
    rows = list(csv.DictReader(as_csv([table, parts]).splitlines()))
    assert len(rows) == 4 + 8 and rows[2]["query"] == NASTY and rows[2]["best"] == "True"
    assert float(rows[2]["value"]) == 100 * 20 / 30 and float(rows[2]["p"]) == 1 / 10_001
    assert rows[0]["difference"] == rows[0]["p"] == "" and rows[-1]["benchmark"] == "fashioniq"
    document = json.loads(json.dumps(jsonable(as_json([table, parts]))))
    first = document["tables"][0]
    assert first["baseline"] == first["runs"][0] == rows[0]["run"]
    assert (first["resamples"], first["seed"], first["level"]) == (10_000, 0, 0.95)
    assert [str(number["p_holm"] or "") for number in first["numbers"]] == [row["p_holm"] for row in rows[:4]]
    assert document["tables"][1]["notes"] == list(parts.notes)


def test_an_end_that_rounds_to_zero_has_no_sign() -> None:
    number = Number(value=50.0, n=4, interval=(-0.04, 0.04), difference=Difference(-0.001, -0.26, -0.01, 0.5))
    style = Style(minus="~")
    assert style.interval(number) == "[0.0, 0.0]" and style.difference_interval(number) == "[~0.3, 0.0]"
    assert style.difference(number) == "0.00"
