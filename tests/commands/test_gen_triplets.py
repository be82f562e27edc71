"""`mota gen-triplets` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motacli.assignments import read_assignments, write_assignments
from motacli.cli import main
from motacli.errors import UsageError
from motacli.plugins import PluginHost
from motacli.runs import file_digest
from motacli.triplets.schema import read_triplets

CAPTIONS = [
    "a small red striped star on the left on a white background",
    "a cartoon of a blue heart next to a yellow ring",
    "two green moons on a lined grey background",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps({"image": f"{i}.png", "caption": c}) + "\n" for i, c in enumerate(CAPTIONS)))
    return path


def test_the_report_as_json(data: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.jsonl"
    flags = ["--per-image", "4", "--context", "keep", "--seed", "5", "--option", "rich=0.0", "--limit", "2", "--json"]
    assert main(["gen-triplets", str(data), "--out", str(out), *flags], host=host) == 0
    report = json.loads(capsys.readouterr().out)
    triplets = read_triplets(out)
    assert report == json.loads((tmp_path / "t.meta.json").read_text())
    assert (
        report["triplets"] == len(triplets) > 0
        and report["rows"] == 2
        and report["contexts"] == {"keep": len(triplets)}
    )
    assert report["sha256"] == file_digest(out) and report["seed"] == 5
    assert {"per_image": 4, "context": "keep", "rich": 0.0}.items() <= report["options"].items()
    assert {t.image for t in triplets} == {"0.png", "1.png"}


def test_counts_and_examples(data: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.jsonl"
    assert main(["gen-triplets", str(data), "--out", str(out)], host=host) == 0
    captured = capsys.readouterr()
    first = read_triplets(out)[0]
    assert captured.out.startswith("modification") and first.modification_type in captured.out
    assert captured.out.count("  + ") == 3 and first.relative_caption in captured.out
    assert str(out) in captured.err


def test_quiet_shows_counts_only(
    data: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gen-triplets", str(data), "--out", str(tmp_path / "t.jsonl"), "--quiet"], host=host) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("modification") and "  + " not in captured.out


def test_columns_by_name(tmp_path: Path, host: PluginHost) -> None:
    table = tmp_path / "data.csv"
    table.write_text("where,what,caption\nimg.png,a red star,nothing known\n")
    argv = ["gen-triplets", str(table), "--out", str(tmp_path / "t.jsonl")]
    assert main([*argv, "--image-column", "where", "--caption-column", "what"], host=host) == 0
    assert read_triplets(tmp_path / "t.jsonl")[0].reference_caption == "a red star"


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--generator", "rulse"], 2, "did you mean 'rules'"),
        (["--context", "kep"], 2, "context mode 'kep'"),
        (["--option", "rihc=1.0"], 2, "did you mean 'rich'"),
        (["--option", "rich"], 2, "write key=value"),
        (["--filter", "equl=true"], 2, "did you mean 'equal'"),
        (["--filter", "picture-min=0.2"], 2, "need a backbone"),
        (["--filter", "near_duplicates=2"], 2, "0..1"),
        (["--llm-url", "http://localhost/v1"], 2, "unknown option 'llm'"),
        (["--price", "cheap"], 2, "two numbers"),
        (["--generator", "llm"], 2, "--llm-url"),
        (["--generator", "llm", "--llm-url", "http://localhost/v1"], 2, "--llm-model"),
        (["--generator", "llm", "--llm-url", "localhost", "--llm-model", "m"], 2, "no address"),
        (["--generator", "llm", "--llm", "opnai", "--llm-model", "m"], 2, "did you mean 'openai'"),
        (["--generator", "llm", "--recaption", "--llm-model", "m", "--llm-url", "http://h/v1"], 2, "generator mllm"),
        (["--generator", "batch", "--llm-model", "m"], 2, "--import-answers"),
        (["--export-requests", "r.jsonl"], 2, "makes no requests"),
        (["--caption-column", "x"], 1, "no column 'x'"),
    ],
)
def test_mistakes(
    flags: list[str],
    code: int,
    said: str,
    data: Path,
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["gen-triplets", str(data), "--out", str(tmp_path / "out" / "t.jsonl"), *flags]
    assert main(argv, host=host) == code
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("t.*")]


def test_assignments() -> None:
    texts = ["experts=4", "mdm=static", "noise = 0.5", "on=true", 'name="4"', "text=a=b", "per-image=2"]
    values = {"experts": 4, "mdm": "static", "noise": 0.5, "on": True, "name": "4", "text": "a=b", "per_image": 2}
    assert read_assignments(texts) == values
    assert read_assignments(["oti.steps=9", "oti.x.y=a"]) == {"oti": {"steps": 9, "x": {"y": "a"}}}
    assert read_assignments(write_assignments(values | {"none": None})) == values
    assert read_assignments(write_assignments({"t": 'ä "{slot}"\n\\', "l": [1, 2]})) == {
        "t": 'ä "{slot}"\n\\',
        "l": [1, 2],
    }
    for wrong in (["experts"], ["=4"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=2", "a=1"]):
        with pytest.raises(UsageError):
            read_assignments(wrong)
