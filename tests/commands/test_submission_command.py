"""`mota submission check` from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motacli.cli import main
from motacli.plugins import PluginHost


def circo_file(path: Path, queries: int = 220, **changes: Any) -> Path:
    answers = {str(query): list(range(query, query + 50)) for query in range(queries)}
    path.write_text(json.dumps({**answers, **changes}))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A CIRCO of two test queries and sixty images."""
    query = {"id": 0, "reference_img_id": 11, "relative_caption": "is at night"}
    files = {
        "annotations/test.json": [query, {**query, "id": 1}],
        "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json": {
            "images": [{"id": id, "file_name": f"{id:012d}.jpg"} for id in range(60)]
        },
    }
    for name, value in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
    return tmp_path / "data"


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(["submission", "check", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_sound_file_is_a_row_and_silence(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    path = circo_file(tmp_path / "any.json")
    code, out, err = run([str(path)], capsys, host)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == [str(path), "circo", "val", "220", "50", "0", "0"]


def test_problems_name_file_and_key_and_fail(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    fine, short = circo_file(tmp_path / "fine.json"), circo_file(tmp_path / "short.json", **{"3": [1, 2]})
    broken = circo_file(tmp_path / "broken.json", **{"3": [1, 1], "7": "1"})
    code, out, err = run([str(fine), str(broken), str(short)], capsys, host)
    assert code == 1
    assert [line.split()[-2:] for line in out.splitlines()[1:]] == [["0", "0"], ["2", "1"], ["0", "1"]]
    lines = err.splitlines()
    assert f"error: {broken}: key '3' lists '1' twice; list every image once, or the server refuses the file" in lines
    assert f"error: {broken}: key '7' holds str, not a list; give a list of images, the best first" in lines
    assert f"warning: {short}: key '3' lists 2 images; the rest counts as wrong: better give 50" in lines
    assert str(fine) not in err


def test_json_holds_every_key(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    path = circo_file(tmp_path / "any.json", queries=220, **{str(key): [0] * 50 for key in range(9)})
    code, out, _ = run(["--json", str(path)], capsys, host)
    (report,) = json.loads(out)
    assert code == 1 and report["valid"] is False and report["kind"] == "circo"
    assert report["problems"][0]["keys"] == [str(key) for key in range(9)]


def test_annotations_are_found_by_the_files_content(
    tmp_path: Path, root: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    path = circo_file(tmp_path / "any.json", queries=2)
    assert run([str(path)], capsys, host)[0] == 1  # two queries are no published number of them
    code, out, err = run([str(path), "--data-root", str(root)], capsys, host)
    assert (code, err) == (0, "") and out.splitlines()[1].split()[1:3] == ["circo", "test"]
    beyond = circo_file(tmp_path / "beyond.json", queries=2, **{"1": list(range(20, 70))})
    code, _, err = run([str(beyond), "--data-root", str(root), "--split", "test"], capsys, host)
    assert code == 1 and f"{beyond}: key '1' lists '60'; it is not in the gallery" in err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], 2, "missing argument 'FILE...'"),
        (["nowhere.json"], 1, "nowhere.json: No such file"),
        (["FILE", "--split", "tset"], 2, "unknown split 'tset' (did you mean 'test'?)"),
        (["FILE", "--data-root", "nowhere"], 1, "nowhere/annotations/test.json not found"),
    ],
)
def test_mistakes(
    more: list[str], code: int, said: str, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    path = circo_file(tmp_path / "any.json")
    found, out, err = run([str(path) if word == "FILE" else word for word in more], capsys, host)
    assert (found, out) == (code, "") and said in err and err.count("\n") == 1
