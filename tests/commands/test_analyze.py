"""`mota analyze` from outside."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from motacli.cli import main
from motacli.plugins import PluginHost

TYPES = ("colour", "size", "count")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    records = [
        {
            "id": f"{n}#0",
            "source_id": str(n),
            "image": f"{n}.png",
            "reference_caption": f"a red dress {n}",
            "relative_caption": f"make it blue {n}",
            "target_caption": f"a blue dress {n}",
            "modification_type": TYPES[n % 3],
            "context": "keep",
            "generator": {"name": "rules"},
        }
        for n in range(30)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def run(host: PluginHost, capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> tuple[str, str]:
    assert main(["analyze", *map(str, words)], host=host) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_numbers_as_tables_and_as_json(file: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(host, capsys, "triplets", file)
    assert "MTLD" in out and "colour" in out and "CLIP" in out
    data = json.loads(run(host, capsys, "triplets", file, "--json", "--sample", 10, "--seed", 3)[0])
    assert (data["triplets"], data["sample"], data["seed"]) == (30, 10, 3)
    assert [row["share"] for row in data["types"]] == [pytest.approx(1 / 3)] * 3
    assert data["tokens"]["context"] == 77 and data["similarity"] is None


def test_a_model_compares_the_captions(file: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(run(host, capsys, "triplets", file, "--model", "tiny", "--device", "cpu", "--json")[0])
    assert data["similarity"]["cosine"]["n"] == 30 and data["tokens"]["tokenizer"] == data["similarity"]["backbone"]


def test_a_reference_and_a_page(
    file: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text("colour = 1\n")
    page = tmp_path / "page.html"
    words = ["triplets", file, "--reference", tmp_path / "r.toml", "--images", tmp_path, "--out", page]
    out, err = run(host, capsys, *words)
    assert "total variation from the reference" in out and "0.667" in out
    assert "12 of 12 pictures are not in" in err and f"wrote {page}" in err and page.is_file()
    assert "exists already" in run(host, capsys, *words, code=1)[1]


def test_a_sheet_is_filled_and_compared(
    file: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.csv"
    words = ["triplets", file, "--sample", 9, "--for-annotation", "--out", sheet, "--seed", 2]
    out, err = run(host, capsys, *words)
    assert "colour" in out and "sheet.guide.md" in err
    with sheet.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 9
    for name, answers in (("a", "yes yes yes no no no no no no"), ("b", "yes yes no no no no no no no")):
        with (tmp_path / f"{name}.csv").open("w", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "relative_ok": said} for row, said in zip(rows, answers.split(), strict=True))
    sheets = [tmp_path / "a.csv", tmp_path / "b.csv"]
    out, _ = run(host, capsys, "agreement", *sheets)
    assert run(host, capsys, "triplets", "--agreement", *sheets)[0] == out and "alpha" in out and "kappa" in out
    data = json.loads(run(host, capsys, "agreement", *sheets, "--json")[0])
    relative = data[0]
    # observed 8/9, expected (3 * 2 + 6 * 7) / 81
    assert relative["pairs"][0]["kappa"] == pytest.approx((8 / 9 - 48 / 81) / (1 - 48 / 81))
    assert (relative["items"], relative["missing"], data[1]["missing"], data[1]["alpha"]) == (9, 0, 18, None)


def test_a_noisy_copy(file: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    noisy = tmp_path / "noisy.jsonl"
    words = ["triplets", file, "--corrupt", 0.2, "--corruption", "targets", "--out", noisy, "--seed", 1, "--json"]
    data = json.loads(run(host, capsys, *words)[0])
    assert data["corrupted"] == {"target_caption": 6} and (tmp_path / "noisy.meta.json").is_file()
    assert sum("corruption" in json.loads(line) for line in noisy.read_text().splitlines()) == 6
    assert "30" in run(host, capsys, "triplets", noisy)[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["FILE", "FILE"], 2, "one triplets file at a time"),
        (["FILE", "--corrupt", "0.2"], 2, "say where with --out"),
        (["FILE", "--for-annotation"], 2, "say where with --out"),
        (["FILE", "--for-annotation", "--corrupt", "0.2", "--out", "x"], 2, "do not go together"),
        (["FILE", "--for-annotation", "--out", "x.csv", "--images", "x"], 2, "--images says nothing about"),
        (["FILE", "--corruption", "targets"], 2, "it goes with --corrupt"),
        (["FILE", "--corrupt", "0.2", "--corruption", "target", "--out", "x"], 2, "did you mean 'targets'"),
        (["FILE", "--corrupt", "2", "--out", "x"], 2, "--corrupt"),
        (["FILE", "--pretrained", "openai"], 2, "name it with --model"),
        (["FILE", "--agreement"], 2, "at least two"),
        (["FILE", "FILE2", "--agreement"], 1, "no column 'id'"),
        (["nowhere.jsonl"], 1, "no such triplets file"),
        (["FILE", "--reference", "nowhere.json"], 1, "no such reference"),
    ],
)
def test_mistakes(
    words: list[str],
    code: int,
    said: str,
    file: Path,
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "other.jsonl").write_text("")
    named: dict[str, Any] = {"FILE": file, "FILE2": tmp_path / "other.jsonl"}
    before = sorted(tmp_path.iterdir())
    out, err = run(host, capsys, "triplets", *(named.get(word, word) for word in words), code=code)
    assert out == "" and said in err and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
