"""`mota report` from outside, on runs that `mota eval` wrote."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.tiny.mini import write_fashioniq


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> dict[str, Path]:
    """Three ways to query FashionIQ in miniature, and its folder as ``data``."""
    folder = tmp_path_factory.mktemp("report")
    write_fashioniq(folder / "data", 1, "val", queries=16)
    common = ["eval", "fashioniq", "--data-root", str(folder / "data"), "--quiet"]
    for query in ("image", "text", "sum"):
        assert main([*common, "--query", query, "--top-k", "20", "--out", str(folder / query)], host=host) == 0
    return {name: folder / name for name in ("image", "text", "sum", "data")}


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["report", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def scores(folder: Path) -> dict[str, dict[str, float]]:
    units = json.loads((folder / "metrics.json").read_text())["units"]
    return {name: unit["metrics"] for name, unit in units.items()}


def test_one_run(runs: dict[str, Path], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([str(runs["text"])], capsys, host)
    paper, details = out.strip().split("\n\n")
    assert code == 0 and err == "Percent, with 95% bootstrap intervals over queries.\n"
    assert paper.splitlines()[0].startswith("FashionIQ val  dress R@10  dress R@50  shirt R@10")
    assert paper.splitlines()[1].split()[:2] == ["text", "only"] and len(details.splitlines()) == 1 + 8
    average = scores(runs["text"])["fashioniq_average"]["R@50"]
    assert paper.splitlines()[1].split()[-1] == f"{average:.2f}"


def test_everything_as_json(runs: dict[str, Path], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([str(runs["image"]), str(runs["sum"]), "--json", "--seed", "3"], capsys, host)
    (table,) = json.loads(out)["tables"]
    assert (code, err) == (0, "") and table["seed"] == 3 and table["baseline"] == str(runs["image"])
    base, other = scores(runs["image"]), scores(runs["sum"])
    assert len(table["numbers"]) == 16
    for number in table["numbers"][8:]:
        unit, metric = number["unit"], number["metric"]
        assert number["value"] == other[unit][metric] and number["low"] <= number["value"] <= number["high"]
        assert number["difference"] == pytest.approx(other[unit][metric] - base[unit][metric])
        assert number["difference_low"] <= number["difference"] <= number["difference_high"]
        assert 0 < number["p"] <= number["p_holm"] <= 1
    again = run([str(runs["image"]), str(runs["sum"]), "--json", "--seed", "3"], capsys, host)[1]
    assert again == out


def test_the_baseline_is_chosen(runs: dict[str, Path], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [str(runs["image"]), str(runs["sum"]), "--baseline", str(runs["text"]), "--format", "csv"]
    code, out, err = run(argv, capsys, host)
    rows = list(csv.DictReader(out.splitlines()))
    assert (code, err) == (0, "")
    assert list(dict.fromkeys(row["query"] for row in rows)) == ["text only", "image only", "image + text"]
    assert all(bool(row["difference"]) == (row["query"] != "text only") for row in rows)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [("markdown", r"^\| FashionIQ val \|"), ("latex", r"\\toprule"), ("table", r"difference +[+-]")],
)
def test_formats(
    form: str, pattern: str, runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(runs["image"]), str(runs["sum"]), "--format", form, "--quiet"]
    code, out, err = run(argv, capsys, host)
    assert (code, err) == (0, "") and re.search(pattern, out, re.M)
    code, printed, err = run([*argv, "--out", str(tmp_path / "file")], capsys, host)
    assert (code, printed, err) == (0, "", "") and (tmp_path / "file").read_text() == out


def test_json_goes_to_a_file_too(
    runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(runs["text"]), "--json"]
    code, out, err = run([*argv, "--out", str(tmp_path / "file")], capsys, host)
    assert (code, out, err) == (0, "", f"wrote {tmp_path / 'file'}\n")
    assert json.loads((tmp_path / "file").read_text()) == json.loads(run(argv, capsys, host)[1])


def test_the_page_has_pictures(
    runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(runs["image"]), str(runs["sum"]), "--samples", "2", "--seed", "1", "--html"]
    code, out, err = run([*argv, str(tmp_path / "page.html")], capsys, host)
    assert code == 0 and "difference" in out and f"wrote {tmp_path / 'page.html'}" in err
    page = (tmp_path / "page.html").read_text()
    # Two samples and two failures, each with its reference, its target and two rankings of ten.
    assert page.count("<article") == 4 and page.count("<img") == 4 * 22 and 'class="gap"' not in page
    assert run([*argv, str(tmp_path / "again.html")], capsys, host)[0] == 0
    assert (tmp_path / "again.html").read_text() == page


def test_a_page_without_pictures_says_why(
    runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs["sum"], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "rankings")
    code, _, err = run([str(tmp_path / "run"), "--html", str(tmp_path / "page.html")], capsys, host)
    assert code == 0 and "warning: no pictures of FashionIQ val" in err and "kept no rankings" in err
    page = (tmp_path / "page.html").read_text()
    assert "kept no rankings" in page and "<img" not in page and "FashionIQ val" in page


def test_the_data_set_may_have_moved(
    runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs["sum"], tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["eval"]["data-root"] = str(tmp_path / "gone")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    argv = [str(tmp_path / "run"), "--html"]
    code, _, err = run([*argv, str(tmp_path / "without.html")], capsys, host)
    assert code == 0 and "no pictures" in err and "<img" not in (tmp_path / "without.html").read_text()
    argv = ["--data-root", str(runs["data"]), *argv]
    code, _, err = run([*argv, str(tmp_path / "with.html")], capsys, host)
    assert code == 0 and "no pictures" not in err and "<img" in (tmp_path / "with.html").read_text()


def test_other_settings_are_warned_of(
    runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs["sum"], tmp_path / "run")
    path = tmp_path / "run" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "preprocess": "targetpad"}))
    code, _, err = run([str(runs["text"]), str(tmp_path / "run"), "--quiet"], capsys, host)
    assert code == 0 and err.startswith("warning: ") and "differ in their preprocessing" in err


def test_mistakes(runs: dict[str, Path], tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    text, taken = str(runs["text"]), tmp_path / "taken"
    taken.write_text("mine")
    shutil.copytree(runs["sum"], tmp_path / "other")
    path = tmp_path / "other" / "metrics.json"
    path.write_text(path.read_text().replace('"B', '"C'))
    page = str(tmp_path / "page.html")
    for argv, code, said in (
        ([], 2, "missing argument"),
        ([text, "--format", "pdf"], 2, "--format"),
        ([text, "--samples", "0"], 2, "--samples"),
        ([text, "--json", "--format", "csv"], 2, "--format does not go with --json"),
        ([text, "--baseline", text, "--html", page], 2, "no other run is"),
        ([text, "--out", str(taken)], 1, "nothing is overwritten"),
        ([text, "--html", str(taken)], 1, "nothing is overwritten"),
        ([text, str(tmp_path / "nowhere"), "--html", page], 1, "no such run"),
        ([text, str(runs["data"]), "--html", page], 1, "is no run of `mota eval`"),
        ([text, str(tmp_path / "other"), "--html", page], 1, "answered different queries of fashioniq_dress"),
    ):
        got, printed, err = run(argv, capsys, host)
        assert (got, printed) == (code, "") and said in err.lower() and err.count("\n") == 1, (argv, err)
    assert taken.read_text() == "mine" and not (tmp_path / "page.html").exists()
