"""`mota reproduce` from outside, on made-up results and injected features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from supplied.supplied_files import random_features, write_features

from motacli import published
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.cli import main
from motacli.errors import MotaError
from motacli.fetch import fetch_weights
from motacli.plugins import PluginHost
from motacli.supplied.features import score_features
from motacli.tiny.clip import WEIGHTS as TINY
from motacli.tiny.mini import write_circo, write_fashioniq

ENTRY = """
[{key}]
method = "Made up"
model = "tiny"
pretrained = "{pretrained}"
inversion = "pic2word"
weights = "hf-hub:nobody/nothing/none.pt"
preprocess = "clip"
protocol = "searle"
variant = "released file"

[{key}.fashioniq]
split = "val"
source = "a test"
confidence = "repository"
tolerance = 0.5
metrics.fashioniq_average = {{ "R@10" = {at10}, "R@50" = {at50} }}

[{key}.circo]
split = "val"
scored_by = "server"
source = "a test"
confidence = "repository"
tolerance = 0.5
metrics.circo_val = {{ "mAP@5" = 10.0 }}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    write_fashioniq(folder / "fashioniq", 1, "val", queries=20)
    write_circo(folder / "circo", 1, "val", queries=5, others=60)
    return folder


@pytest.fixture(scope="module")
def features(root: Path) -> list[str]:
    for seed, unit in enumerate(FashionIQ().load(root / "fashioniq")):
        gallery = random_features(len(unit.gallery), seed=seed)
        write_features(root / f"{unit.name}_g.h5", unit.gallery, gallery)
        queries = random_features(len(unit.queries), seed=9 + seed)
        write_features(root / f"{unit.name}_q.h5", [query.id for query in unit.queries], queries)
    return ["--gallery-features", str(root / "{unit}_g.h5"), "--query-features", str(root / "{unit}_q.h5")]


@pytest.fixture(scope="module")
def scores(root: Path, features: list[str]) -> dict[str, float]:
    units = FashionIQ().load(root / "fashioniq")
    results = score_features(units, Path(features[1]), Path(features[3]))
    return FashionIQ().averages({result.name: result.metrics for result in results})["fashioniq_average"]


def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at10: float, at50: float) -> None:
    file = tmp_path / "published.toml"
    weights = TINY / "clip.safetensors"
    file.write_text(ENTRY.format(key="made-up", pretrained=weights, at10=f"{at10:.2f}", at50=f"{at50:.2f}"))
    entries = published.read_published(file)
    monkeypatch.setattr(published, "published", lambda: entries)


def run(argv: list[str], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["reproduce", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("off", "code", "verdict", "each"),
    [
        (0.0, 0, "reproduced", "equal"),
        (0.3, 0, "close", "close"),
        (1.0, 1, "not reproduced", "off"),
    ],
)
def test_expected_got_difference_and_verdict(
    off: float,
    code: int,
    verdict: str,
    each: str,
    root: Path,
    features: list[str],
    scores: dict[str, float],
    tmp_path: Path,
    host: PluginHost,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(monkeypatch, tmp_path, scores["R@10"] + off, scores["R@50"])
    argv = ["made-up", "fashioniq", "--data-root", str(root / "fashioniq"), *features]
    got, out, _ = run([*argv, "--json"], host, capsys)
    found: dict[str, Any] = json.loads(out)
    assert (got, found["verdict"]) == (code, verdict) and found["tolerance"] == 0.5
    first, second = found["numbers"]
    assert (first["unit"], first["metric"], first["verdict"]) == ("fashioniq_average", "R@10", each)
    assert first["got"] == scores["R@10"] and first["difference"] == pytest.approx(-off, abs=0.006)
    assert second["verdict"] == "equal"
    got, out, err = run(argv, host, capsys)
    assert got == code and out.split()[:4] == ["unit", "metric", "expected", "got"] and f"{verdict}: tolerance" in err


def test_without_a_name_everything_published_is_listed(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["--json"], host, capsys)
    rows = json.loads(out)
    assert code == 0 and len(rows) == len(published.published())
    row = next(row for row in rows if (row["result"], row["benchmark"]) == ("lincir-large", "fashioniq"))
    assert row["source"] == "navervision/lincir issue 8" and row["scored by"] == "mota"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["lincir-larg", "fashioniq", "--data-root", "x"], 2, "did you mean 'lincir-large"),
        (["lincir-large", "fashion", "--data-root", "x"], 2, "did you mean 'fashioniq'"),
        (["lincir-large"], 2, "give RESULT, BENCHMARK and --data-root"),
        (["lincir-large", "fashioniq", "--data-root", "x", "--query-features", "q.h5"], 2, "go together"),
        (["lincir-large", "circo", "--data-root", "x"], 2, "scored by the benchmark's server"),
        (["lincir-large", "fashioniq", "--data-root", "nowhere", "--inversion-weights", "gone.pt"], 1, "not found"),
    ],
)
def test_mistakes(argv: list[str], code: int, said: str, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    got, out, err = run(argv, host, capsys)
    assert (got, out) == (code, "") and said in err and err.count("\n") == 1


def test_results_of_a_server_are_written_for_it(
    root: Path, tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from motacli.benchmarks.circo import CIRCO

    publish(monkeypatch, tmp_path, 1, 2)
    unit = CIRCO().load(root / "circo")[0]
    gallery = write_features(tmp_path / "g.h5", unit.gallery, random_features(len(unit.gallery)))
    queries = write_features(tmp_path / "q.h5", [query.id for query in unit.queries], random_features(5, seed=1))
    argv = ["made-up", "circo", "--data-root", str(root / "circo"), "--gallery-features", str(gallery)]
    argv += ["--query-features", str(queries), "--submission", str(tmp_path / "s")]
    code, _, err = run(argv, host, capsys)
    assert "wrote" in err and (tmp_path / "s/circo_val.json").is_file() and code in (0, 1)


def test_the_published_configuration_is_what_is_run(
    root: Path, tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny CLIP and its own Pic2Word in the place of a published model."""
    publish(monkeypatch, tmp_path, 50.0, 50.0)
    weights = TINY / "pic2word.safetensors"
    argv = ["made-up", "fashioniq", "--data-root", str(root / "fashioniq")]
    code, out, err = run([*argv, "--inversion-weights", str(weights), "--json"], host, capsys)
    got = {row["metric"]: row["got"] for row in json.loads(out)["numbers"]}
    plain = ["eval", "fashioniq", "--data-root", str(root / "fashioniq"), "--inversion", "pic2word", "--json"]
    assert main(plain, host=host) == 0
    expected = json.loads(capsys.readouterr().out)["units"]["fashioniq_average"]["metrics"]
    assert got == {metric: expected[metric] for metric in got} and code in (0, 1), err


def test_weights_that_cannot_be_had_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MotaError, match=r"could not download.*--inversion-weights"):
        fetch_weights("http://127.0.0.1:9/weights.pt")
    assert list((tmp_path / "mota").iterdir()) == []
    for address, said in (("hf-hub:only/two", "names no file"), ("gone.pt", "no such weights file")):
        with pytest.raises(MotaError, match=said):
            fetch_weights(address)
    file = tmp_path / "w.pt"
    file.write_bytes(b"x")
    assert fetch_weights(str(file)) == file
    copy = file.as_uri()
    with pytest.raises(MotaError, match="no such weights file"):
        fetch_weights(copy)
