"""The benchmark by itself, and through the command line as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import mota_example_benchmark
import pytest
from mota_example_benchmark.benchmark import CsvBenchmark
from PIL import Image

from motacli import DataError, UnknownNameError, load_plugins
from motacli.cli import main
from motacli.testing import check_benchmark

HEAD = "reference,caption,target\n"
HOST = load_plugins(entry_points=[], modules={"csv-benchmark": mota_example_benchmark})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "deep/c.png", "deep/d.png")):
        Image.new("RGB", (40, 40), (60 * number, 20, 90)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("no picture")
    write(tmp_path, HEAD + 'a.png,"is bluer, and darker",b.png\n\ndeep/c.png,is smaller,a.png\n')
    return tmp_path


def write(root: Path, text: str) -> None:
    (root / "test.csv").write_text(text, encoding="utf-8")


def test_it_keeps_its_contract(root: Path) -> None:
    check_benchmark(CsvBenchmark, root)


def test_queries_and_gallery(root: Path) -> None:
    (unit,) = CsvBenchmark().load(root)
    assert unit.name == "csv_test" and unit.exclude_reference and unit.metrics == ("R@1", "R@5", "R@10", "R@50")
    assert unit.gallery == ("a.png", "b.png", "deep/c.png", "deep/d.png") == tuple(unit.images)
    assert [(q.id, q.reference, q.captions, q.targets) for q in unit.queries] == [
        ("2", "a.png", ("is bluer, and darker",), ("b.png",)),
        ("4", "deep/c.png", ("is smaller",), ("a.png",)),
    ]


def test_other_columns_a_mark_and_line_breaks(root: Path) -> None:
    write(root, '\ufeffauthor, target,caption ,reference\nme,b.png,"two\nlines",a.png\nyou,a.png,x,b.png\n')
    queries = CsvBenchmark().load(root)[0].queries
    assert [(q.id, q.reference, q.captions) for q in queries] == [
        ("2", "a.png", ("two\nlines",)),
        ("4", "b.png", ("x",)),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: column 'reference' is not among none"),
        ("reference,captoin,target\n", "line 1: column 'caption' is not among 'reference', 'captoin', 'target'"),
        ("reference,caption,target,caption\n", "line 1: column 'caption' is there twice"),
        (HEAD, "test.csv holds no query"),
        (HEAD + "a.png,x,b.jpg\n", "line 2, column 3 (target): no picture 'b.jpg' (did you mean 'b.png'?)"),
        (HEAD + "\nz,x,b.png\n", "line 3, column 1 (reference): no picture 'z'"),
        (HEAD + "a.png, ,b.png\n", "line 2, column 2 (caption): the cell is empty"),
        (HEAD + "a.png,x,a.png\n", "line 2, column 3 (target): it is the reference"),
        (HEAD + "a.png,blue, dark,b.png\n", "line 2, column 4: 4 cells, not 3"),
        (HEAD + "a.png,blue\n", "line 2, column 3: 2 cells, not 3"),
        (HEAD + "a.png,x,b.png\na.png,x,b.png\n", "line 3, column 1 (reference): the same query as on line 2"),
        (HEAD + 'a.png,"x,b.png\n', "line 2: unexpected end of data"),
    ],
)
def test_mistakes_say_where(root: Path, text: str, said: str) -> None:
    write(root, text)
    with pytest.raises(DataError) as caught:
        CsvBenchmark().load(root)
    assert str(root / "test.csv") in str(caught.value) and said in str(caught.value)


def test_what_is_not_utf8_says_the_byte(root: Path) -> None:
    (root / "test.csv").write_bytes(HEAD.encode() + "a.png,größer,b.png\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 2, byte 9: not UTF-8"):
        CsvBenchmark().load(root)


def test_missing_files_and_unknown_splits(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val\.csv: No such file"):
        CsvBenchmark().load(root, "val")
    with pytest.raises(DataError, match="no pictures below"):
        CsvBenchmark().load(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        CsvBenchmark().load(root, "tset")


def test_cached_and_scored_from_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cached = root / "features"
    assert main(["cache", "--benchmark", "csv", "--data-root", str(root), "--out", str(cached)], host=HOST) == 0
    capsys.readouterr()
    argv = ["eval", "csv", "--data-root", str(root), "--inversion", "lincir", "--features", str(cached), "--json"]
    assert main(argv, host=HOST) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["units"]["csv_test"]["n"] == 2 and result["units"]["csv_test"]["metrics"]["R@5"] == 100.0
    write(root, HEAD + "a.png,x,c.png\n")
    assert main(argv, host=HOST) == 1
    assert "test.csv, line 2, column 3 (target): no picture 'c.png'" in capsys.readouterr().err
