"""What a CSV file says about pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from motacli.errors import DataError
from motacli.search.metadata import read_metadata


def written(tmp_path: Path, text: str, name: str = "m.csv") -> Path:
    (tmp_path / name).write_bytes(text.encode("utf-8"))
    return tmp_path / name


def test_columns_get_types_and_empty_cells_have_no_value(tmp_path: Path) -> None:
    text = '\ufeffprice,path,colour,code,empty\n 3 ,a.jpg,red,007,\n,./b/c.jpg,"blue, ""light""",8a,\n\n1e2,d.jpg,,,\n'
    found = read_metadata(written(tmp_path, text), tmp_path)
    assert found.columns == {"price": "number", "colour": "text", "code": "text", "empty": "text"}
    assert found.rows == {
        "a.jpg": {"price": 3.0, "colour": "red", "code": "007", "empty": None},
        "b/c.jpg": {"price": None, "colour": 'blue, "light"', "code": "8a", "empty": None},
        "d.jpg": {"price": 100.0, "colour": None, "code": None, "empty": None},
    }
    assert found.of("d.jpg") == found.rows["d.jpg"]
    assert found.of("unknown.jpg") == {"price": None, "colour": None, "code": None, "empty": None}


def test_tabs_absolute_paths_and_other_names_of_the_key(tmp_path: Path) -> None:
    text = f"image\tn\n{tmp_path}/x/a.jpg\t1\n/elsewhere/b.jpg\t2\n"
    found = read_metadata(written(tmp_path, text, "m.tsv"), tmp_path)
    assert found.columns == {"n": "number"}
    assert found.rows == {"x/a.jpg": {"n": 1.0}, "/elsewhere/b.jpg": {"n": 2.0}}


def test_numbers_are_finite(tmp_path: Path) -> None:
    assert read_metadata(written(tmp_path, "path,n\na,1\nb,nan\n"), tmp_path).columns == {"n": "text"}
    assert read_metadata(written(tmp_path, "path,n\na,1\nb,inf\n"), tmp_path).columns == {"n": "text"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "which picture"),
        ("price,colour\n1,red\n", "which picture"),
        ("path,price\na.jpg\n", "line 2: 1 cells, and the header has 2"),
        ("path,price\na.jpg,1\n./a.jpg,2\n", "line 3: a second row about 'a.jpg'"),
        ("path,x,x\na,1,2\n", "'x' is no name"),
        ("path,\na,1\n", "'' is no name"),
        ("path,a<b\na,1\n", "'a<b' is no name"),
        ("path,id\na,1\n", "'id' is no name"),
        ("path,x\na,1\n" + "b," + "y" * 200_000, "line 3: field larger"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as error:
        read_metadata(written(tmp_path, text), tmp_path)
    assert said in str(error.value) and "m.csv" in str(error.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"path,x\na,\xff\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_metadata(tmp_path / "m.csv", tmp_path)
