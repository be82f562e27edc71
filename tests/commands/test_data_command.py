"""`mota data check`, and `mota eval --drop-broken`, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.genecis import GeneCIS
from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.tiny.mini import write_circo
from motacli.tiny.mini_genecis import write_genecis


@pytest.fixture
def circo(tmp_path: Path) -> Path:
    write_circo(tmp_path / "circo", 1, "val", queries=6, others=10)
    return tmp_path / "circo"


def run(argv: list[str], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(argv, host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_whole_benchmark_is_said_to_be_whole(
    circo: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["data", "check", "circo", "--data-root", str(circo)]
    code, out, err = run(argv, host, capsys)
    assert code == 0 and out.split()[:2] == ["unit", "queries"] and "everything is there" in err
    found = json.loads(run([*argv, "--json"], host, capsys)[1])
    (unit,) = found["units"]
    assert found["ok"] and found["problems"] == [] and unit["broken"] == []
    assert unit["queries"] == 6 and unit["gallery"] == unit["pictures"] == len(CIRCO().load(circo)[0].gallery)


def test_broken_pictures_are_listed_with_their_queries_and_where_to_get_them(
    circo: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = CIRCO().load(circo)[0]
    reference, target = unit.queries[0].reference, unit.queries[1].targets[0]
    unit.images[reference].path.unlink()
    unit.images[target].path.write_bytes(b"")
    argv = ["data", "check", "circo", "--data-root", str(circo)]
    code, out, err = run(argv, host, capsys)
    assert code == 1 and f"missing: {unit.images[reference].path}" in out and "query 0: its reference" in out
    assert "error: circo_val: 2 of" in err and "cocodataset.org" in err
    assert run([*argv, "--quiet"], host, capsys)[1] == out
    found: dict[str, Any] = json.loads(run([*argv, "--json"], host, capsys)[1])
    (row,) = found["units"]
    assert {(picture["id"], picture["kind"]) for picture in row["broken"]} == {
        (reference, "missing"),
        (target, "empty"),
    }
    assert {(query["id"], query["role"]) for query in row["affected_queries"]} >= {("0", "reference"), ("1", "target")}
    assert run([*argv, "--no-images"], host, capsys)[0] == 0


def test_every_missing_annotation_file_is_named_at_once(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    write_genecis(tmp_path, 1, "val", queries=2, others=30)
    for task in ("change_attribute", "focus_object"):
        (tmp_path / f"genecis/{task}.json").unlink()
    argv = ["data", "check", "genecis", "--data-root", str(tmp_path)]
    code, out, _ = run([*argv, "--json"], host, capsys)
    found = json.loads(out)
    assert code == 1 and not found["ok"]
    assert [unit["name"] for unit in found["units"]] == ["genecis_focus_attribute", "genecis_change_object"]
    said = " ".join(problem["what"] for problem in found["problems"])
    assert "change_attribute.json" in said and "focus_object.json" in said
    assert all(problem["hint"] for problem in found["problems"])
    assert "not looked at" in said and "Visual_Genome/VG_All" in found["problems"][-1]["hint"]
    assert "not looked at" not in run([*argv, "--no-images"], host, capsys)[2]
    assert run([*argv, "--task", "change_object"], host, capsys)[0] == 0
    code, _, err = run([*argv, "--task", "change"], host, capsys)
    assert code == 2 and "did you mean 'change_" in err


def test_evaluation_refuses_a_gap_and_goes_on_when_told_to(
    circo: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = CIRCO().load(circo)[0]
    first = unit.queries[0]
    unit.images[first.reference].path.write_bytes(b"")
    further = next(query for query in unit.queries if len(query.targets) > 1)
    unit.images[further.targets[1]].path.unlink()
    argv = ["eval", "circo", "--data-root", str(circo), "--query", "image", "--json"]
    code, out, err = run(argv, host, capsys)
    assert (code, out) == (1, "") and "1 of" in err and "pictures are missing" in err
    code, out, err = run([*argv, "--drop-broken", "--out", str(tmp_path / "run")], host, capsys)
    assert code == 0 and "2 broken pictures dropped, 5 queries are left" in err
    found = json.loads(out)
    dropped = found["dropped"]["circo_val"]
    assert found["units"]["circo_val"]["n"] == 5 and dropped["counts"]["queries"] == [6, 5]
    assert dropped["counts"]["gallery"] == [len(unit.gallery), len(unit.gallery) - 2]
    assert {picture["kind"] for picture in dropped["pictures"]} == {"empty", "missing"}
    assert json.loads((tmp_path / "run/metrics.json").read_text())["dropped"] == found["dropped"]


def test_dropping_from_a_whole_benchmark_changes_nothing(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    write_genecis(tmp_path, 1, "val", queries=3, others=30)
    argv = ["eval", "genecis", "--data-root", str(tmp_path), "--query", "text", "--task", "focus_object", "--json"]
    plain, dropping = (json.loads(run([*argv, *more], host, capsys)[1]) for more in ([], ["--drop-broken"]))
    assert plain == dropping and plain["dropped"] == {}
    assert plain["units"]["genecis_focus_object"]["n"] == len(
        GeneCIS().load(tmp_path, parts=["focus_object"])[0].queries
    )
