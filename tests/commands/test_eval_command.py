"""`mota eval` from outside. Backbone and inversion are the test's own; all else is real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from motacli.adapters.files import WEIGHTS, save_adapter, state_digest
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.cli import main
from motacli.evaluating import build_unit_caches
from motacli.inversions.pic2word import Pic2Word
from motacli.models import BackboneChoice
from motacli.plugins import PluginHost
from motacli.runs import file_digest
from motacli.tiny.mini import write_circo, write_fashioniq

UNITS = ["fashioniq_dress", "fashioniq_shirt", "fashioniq_toptee", "fashioniq_average"]


@pytest.fixture(autouse=True)
def inversion(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Any) -> Pic2Word:
    """Stands in for `motacli.models`."""
    torch.manual_seed(0)
    network = Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)

    def load_inversion(host: PluginHost, name: str, backbone: Any, weights: Path | None) -> Pic2Word:
        assert name == "pic2word" and backbone is tiny_backbone and weights is None
        return network

    models = ModuleType("motacli.models")
    models.BackboneChoice = BackboneChoice  # type: ignore[attr-defined]
    models.load_backbone = lambda host, choice: tiny_backbone  # type: ignore[attr-defined]
    models.load_inversion = load_inversion  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "motacli.models", models)
    return network


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fashioniq")
    write_fashioniq(folder, 1, "val", queries=8)
    return folder


@pytest.fixture(scope="module")
def features(root: Path, tiny_backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "fashioniq"
    build_unit_caches(folder, tiny_backbone, FashionIQ().load(root))
    return folder


@pytest.fixture
def argv(root: Path) -> list[str]:
    return ["eval", "fashioniq", "--data-root", str(root)]


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(argv, host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("query", ["image", "text", "sum"])
def test_without_out_it_only_prints(
    query: str,
    argv: list[str],
    tmp_path: Path,
    host: PluginHost,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, err = run([*argv, "--query", query], capsys, host)
    head, *rows = printed.splitlines()
    assert (code, err) == (0, "") and head.split()[:3] == ["unit", "R@10", "R@50"]
    assert [row.split()[0] for row in rows] == UNITS
    assert list(tmp_path.iterdir()) == []


def test_features_on_disk_give_what_encoding_gives(
    argv: list[str],
    features: Path,
    host: PluginHost,
    tiny_backbone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv += ["--query", "sum", "--json"]
    encoded = json.loads(run(argv, capsys, host)[1])
    monkeypatch.setattr(tiny_backbone, "encode_image", None)  # with features no picture is encoded
    cached = json.loads(run([*argv, "--features", str(features)], capsys, host)[1])
    assert cached == encoded and cached["query"] == "image + text" and list(cached["headline"]) == ["R@10", "R@50"]
    assert cached["headline"]["R@10"] == cached["units"]["fashioniq_average"]["metrics"]["R@10"]


def test_a_record_can_be_repeated(
    argv: list[str],
    features: Path,
    tmp_path: Path,
    host: PluginHost,
    tiny_backbone: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    flags = ["--query", "text", "--fusion", "0.25", "--features", str(features), "--part", "dress", "--part", "toptee"]
    code, _, err = run([*argv, *flags, "--top-k", "4", "--out", str(one)], capsys, host)
    assert code == 0, err
    names = {str(path.relative_to(one)) for path in one.rglob("*.json")}
    units = ["fashioniq_dress", "fashioniq_toptee"]
    assert names == {"config.json", "metrics.json", "provenance.json", *(f"rankings/{unit}.json" for unit in units)}
    metrics = json.loads((one / "metrics.json").read_text())
    assert metrics["query"] == "text only + 0.25 image" and list(metrics["per_query"]) == units
    values = metrics["per_query"]["fashioniq_dress"]["values"]["R@50"]
    assert len(values) == 8 and 100 * np.mean(values) == metrics["units"]["fashioniq_dress"]["metrics"]["R@50"]
    digests = json.loads((one / "provenance.json").read_text())["digests"]
    assert digests["backbone"] == tiny_backbone.fingerprint()
    assert digests["features of fashioniq_dress"] == file_digest(features / "fashioniq_dress.h5")

    code, _, err = run(["eval", "--config", str(one / "config.json"), "--out", str(two)], capsys, host)
    assert code == 0, err
    for name in names - {"provenance.json"}:
        assert json.loads((two / name).read_text()) == json.loads((one / name).read_text())

    code, _, err = run([*argv, *flags, "--out", str(one)], capsys, host)
    assert code == 1 and "exists already" in err


def test_composed_queries_with_and_without_an_adapter(
    argv: list[str],
    features: Path,
    tmp_path: Path,
    host: PluginHost,
    inversion: Pic2Word,
    tiny_backbone: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build: Any = host.component("adapters", "mota").load()
    torch.manual_seed(1)
    adapter = build(tiny_backbone, build.Options())
    for parameter in adapter.parameters():  # a fresh adapter changes nothing
        parameter.data += 0.1 * torch.randn_like(parameter)
    save_adapter(
        tmp_path / "adapter",
        adapter,
        inversion=inversion.name,
        backbone=tiny_backbone,
        about={},
        inversion_digest=state_digest(inversion),
    )
    argv += ["--inversion", "pic2word", "--features", str(features), "--top-k", "5"]
    base, adapted = tmp_path / "base", tmp_path / "adapted"
    assert run([*argv, "--out", str(base)], capsys, host)[0] == 0
    assert run([*argv, "--adapter", str(tmp_path / "adapter"), "--out", str(adapted)], capsys, host)[0] == 0
    before, after = (json.loads((folder / "metrics.json").read_text()) for folder in (base, adapted))
    assert (before["query"], after["query"]) == ("pic2word", "pic2word + mota")
    rankings = [(folder / "rankings" / "fashioniq_shirt.json").read_text() for folder in (base, adapted)]
    assert rankings[0] != rankings[1]
    digests = json.loads((adapted / "provenance.json").read_text())["digests"]
    assert digests["inversion"] == state_digest(inversion)
    assert digests["adapter"] == file_digest(tmp_path / "adapter" / WEIGHTS)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ([], 2, "composed queries need an inversion network"),
        (["--query", "text", "--inversion", "pic2word"], 2, "--inversion does not go with --query text"),
        (["--query", "sum", "--adapter", "x"], 2, "--adapter does not go with --query sum"),
        (["--query", "image", "--fusion", "0.5"], 2, "--fusion does not go with --query image"),
        (["--query", "text", "--top-k", "3"], 2, "give --out"),
        (["--query", "txt"], 2, "--query"),
        (["--query", "text", "--fusion", "-1"], 2, "--fusion"),
        (["--query", "text", "--protocol", "sear"], 2, "did you mean 'searle'?"),
        (["--query", "text", "--part", "dres"], 2, "did you mean 'dress'?"),
        (["--query", "text", "--split", "train"], 2, "unknown fashioniq split"),
        (["--query", "text", "--features", "nowhere"], 1, "no features of fashioniq_dress"),
        (["--query", "text", "--category", "dres"], 2, "did you mean 'dress'?"),
        (["--query", "text", "--protocol", "gone.toml"], 1, "no such protocol file"),
        (["--query", "text", "--features", "a", "--cache", "b"], 2, "--features does not go with --cache"),
        (["--query", "text", "--descriptions", "d.json"], 2, "go together"),
        (["--query", "described"], 2, "go together"),
        (["--query", "text", "--shared-concept"], 2, "--shared-concept changes the prompt of composed queries"),
        (["--inversion", "pic2word", "--shared-concept"], 2, "name no shared concept"),
        (["--query", "text", "--submission", "s"], 2, "has no submission files"),
        (["--query", "text", "--submission", "s", "--drop-broken"], 2, "wants every query answered"),
        (["--gallery-features", "g.h5"], 2, "--gallery-features needs --query-features"),
        (["--query-features", "q.h5"], 2, "--query-features needs --gallery-features"),
        (["--gallery-features", "g.h5", "--query-features", "q.h5"], 1, "no such feature file"),
        (["--gallery-features", "g.h5", "--query-features", "q.h5", "--query", "text"], 2, "--query does not go with"),
        (["--rankings", "r.json", "--gallery-features", "g.h5", "--query-features", "q.h5"], 2, "does not go with"),
        (["--subset-rankings", "r.json"], 2, "--subset-rankings needs --rankings"),
        (["--rankings", "r.json", "--fusion", "1"], 2, "--fusion does not go with --rankings"),
        (["--rankings", "r.json"], 1, "r.json not found"),
    ],
)
def test_mistakes_leave_nothing_behind(
    flags: list[str],
    code: int,
    said: str,
    argv: list[str],
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = [] if "--top-k" in flags else ["--out", str(tmp_path / "run")]
    got, printed, err = run([*argv, *flags, *out], capsys, host)
    assert (got, printed) == (code, "") and said in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_features_of_another_backbone_are_refused(
    argv: list[str],
    features: Path,
    host: PluginHost,
    tiny_backbone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = tiny_backbone.fingerprint()
    monkeypatch.setattr(tiny_backbone, "fingerprint", lambda: "0123456789abcdef")
    code, printed, err = run([*argv, "--query", "image", "--features", str(features)], capsys, host)
    assert (code, printed) == (1, "") and own in err and "0123456789abcdef" in err


def test_a_split_without_public_targets_says_so(
    root: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    for category in ("dress", "shirt", "toptee"):
        entries = json.loads((root / "captions" / f"cap.{category}.val.json").read_text())
        secret = [{key: value for key, value in entry.items() if key != "target"} for entry in entries]
        for folder, name, value in (
            ("captions", f"cap.{category}.test.json", secret),
            ("image_splits", f"split.{category}.test.json", None),
        ):
            target = tmp_path / folder / name
            target.parent.mkdir(exist_ok=True)
            text = (root / folder / name.replace("test", "val")).read_text() if value is None else json.dumps(value)
            target.write_text(text)
    (tmp_path / "images").symlink_to(root / "images")
    argv = ["eval", "fashioniq", "--data-root", str(tmp_path), "--split", "test", "--query", "text", "--part", "dress"]
    code, printed, err = run([*argv, "--top-k", "2", "--out", str(tmp_path / "run")], capsys, host)
    assert (
        code == 0
        and printed.split() == ["unit", "n", "fashioniq_dress_test", "8"]
        and "keeps its targets secret" in err
    )
    assert (tmp_path / "run" / "rankings" / "fashioniq_dress_test.json").exists()


def test_features_are_kept_and_found_again(
    argv: list[str],
    tmp_path: Path,
    host: PluginHost,
    tiny_backbone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv += ["--query", "image", "--part", "dress", "--part", "shirt", "--cache", str(tmp_path / "store"), "--json"]
    first = run(argv, capsys, host)
    assert first[0] == 0, first[2]
    kept = sorted(path.name for path in (tmp_path / "store").iterdir())
    assert len(kept) == 2 and all(name.startswith("fashioniq-") and name.endswith(".h5") for name in kept)
    monkeypatch.setattr(tiny_backbone, "encode_image", None)
    assert run(argv, capsys, host) == first
    monkeypatch.setattr(tiny_backbone, "fingerprint", lambda: "0123456789abcdef")
    code, _, err = run(argv, capsys, host)  # other weights are other features
    assert code == 1 and "NoneType" in err


def test_descriptions_are_queries(
    argv: list[str], root: Path, features: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = FashionIQ().load(root, parts=["dress"])[0]
    texts = {query.id: FashionIQ().protocol().text(query) for query in unit.queries}
    (tmp_path / "d.json").write_text(json.dumps(texts))
    argv += ["--part", "dress", "--features", str(features), "--json"]
    described = json.loads(run([*argv, "--descriptions", str(tmp_path / "d.json")], capsys, host)[1])
    by_text = json.loads(run([*argv, "--query", "text"], capsys, host)[1])
    assert described["units"] == by_text["units"] and described["query"] == "description"
    assert described["weights"]["descriptions"]["digest"] == file_digest(tmp_path / "d.json")
    fused = json.loads(run([*argv, "--descriptions", str(tmp_path / "d.json"), "--fusion", "0.5"], capsys, host)[1])
    assert fused["query"] == "description + 0.5 image" and fused["units"] != by_text["units"]


def test_everything_that_made_a_result_is_in_it(
    argv: list[str], tiny_backbone: Any, inversion: Pic2Word, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv += ["--part", "dress", "--inversion", "pic2word", "--protocol", "pic2word", "--json"]
    found = json.loads(run(argv, capsys, host)[1])
    assert found["protocol"]["name"] == "pic2word"
    assert found["protocol"]["prompt"]["template"] == "a photo of * , {caption}"
    assert found["protocol"]["ranking"]["reference"] == "kept" and found["preprocess"] == "clip"
    assert found["weights"] == {
        "backbone": {"name": "tiny", "digest": tiny_backbone.fingerprint()},
        "inversion": {"name": "pic2word", "digest": state_digest(inversion)},
    }
    assert list(found["units"]["fashioniq_dress"]["metrics"]) == ["R@1", "R@5", "R@10", "R@50", "R@100"]


def test_a_record_holds_fifty_entries_of_each_ranking_unless_told_otherwise(
    argv: list[str], features: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv += ["--query", "text", "--part", "dress", "--features", str(features), "--out", str(tmp_path / "run")]
    assert run(argv, capsys, host)[0] == 0
    ranking = json.loads((tmp_path / "run/rankings/fashioniq_dress.json").read_text())
    gallery = len(FashionIQ().load(Path(argv[3]), parts=["dress"])[0].gallery)
    assert {len(ids) for ids in ranking["ids"]} == {min(50, gallery)}


def test_a_shared_concept_changes_the_query(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    write_circo(tmp_path / "circo", 1, "val", queries=6, others=20)
    argv = ["eval", "circo", "--data-root", str(tmp_path / "circo"), "--inversion", "pic2word", "--json"]
    plain = json.loads(run(argv, capsys, host)[1])
    told = json.loads(run([*argv, "--shared-concept"], capsys, host)[1])
    assert told["protocol"]["name"] == "searle+concept" and "{concept}" in told["protocol"]["prompt"]["template"]
    assert plain["units"] != told["units"]
    assert any(name.startswith("circo_val_semantic") for name in plain["units"])


def test_submission_files_are_written_and_never_overwritten(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    write_circo(tmp_path / "circo", 1, "val", queries=6, others=60)
    argv = ["eval", "circo", "--data-root", str(tmp_path / "circo"), "--query", "text"]
    code, _, err = run([*argv, "--submission", str(tmp_path / "s")], capsys, host)
    assert code == 0 and "circo_val.json" in err
    written = json.loads((tmp_path / "s/circo_val.json").read_text())
    assert list(written) == [str(number) for number in range(6)] and {len(ids) for ids in written.values()} == {50}
    code, _, err = run([*argv, "--submission", str(tmp_path / "s")], capsys, host)
    assert code == 1 and "exists already" in err


def test_by_an_index_store(
    argv: list[str], features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], host: PluginHost
) -> None:
    bare, argv = argv, [*argv, "--features", str(features), "--query", "sum"]
    plain = json.loads(run([*argv, "--json"], capsys, host)[1])
    store = ["--index-store", "exact", "--store-option", "threads=1"]
    out_folder = tmp_path / "run"
    code, out, err = run([*argv, *store, "--out", str(out_folder), "--json"], capsys, host)
    assert code == 0, err
    found = json.loads(out)
    assert found.pop("index_store") == {"name": "exact", "options": {"threads": 1}}
    for name in UNITS[:3]:
        assert found["units"][name].pop("index_store") == {"recall@50": 100.0}
    assert found == plain
    assert json.loads((out_folder / "metrics.json").read_text())["index_store"]["name"] == "exact"
    _, _, err = run([*argv, *store], capsys, host)
    assert "fashioniq_dress: index store 'exact' has recall@50 100.00 of the exact ranking" in err
    for words, said in (
        ([*argv, "--index-store", "none-such"], "unknown index store 'none-such'"),
        ([*argv, "--index-store", "exact", "--store-option", "depth=3"], "unknown option 'depth'"),
        ([*argv, "--store-option", "threads=1"], "--store-option is for --index-store"),
        ([*bare, "--index-store", "exact", "--rankings", "r.json"], "--index-store does not go with --rankings"),
    ):
        code, _, err = run(words, capsys, host)
        assert code == 2 and said in err
