"""`mota eval` from outside on the reference's features: what users do to check a model, and we to check ourselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from supplied.supplied_files import write_features

from motacli.cli import main
from motacli.plugins import PluginHost

UNITS = {
    "fashioniq_dress": ["fashioniq", "--category", "dress"],
    "fashioniq_shirt": ["fashioniq", "--category", "shirt"],
    "fashioniq_toptee": ["fashioniq", "--part", "toptee"],
    "cirr_val": ["cirr", "--split", "val"],
    "circo_val": ["circo", "--split", "val"],
    "genecis_change_object": ["genecis", "--task", "change_object"],
    "genecis_focus_object": ["genecis", "--task", "focus_object"],
}
SLIPS = {
    "fashioniq_reference_removed": ("fashioniq", 'reference = "removed"\nmetrics = ["R@10", "R@50"]'),
    "fashioniq_gallery_of_val_pairs_only": ("fashioniq", 'gallery = "queried"\nmetrics = ["R@10", "R@50"]'),
    "cirr_val_reference_kept": (
        "cirr",
        'reference = "kept"\nmetrics = ["R@1", "R@5", "R@10", "R@50"]',
    ),
    "circo_val_denominator_all_gts": ("circo", 'ap_divisor = "targets"\nmetrics = ["mAP@5", "mAP@10", "mAP@50"]'),
    "circo_val_reference_removed": ("circo", 'reference = "removed"\nmetrics = ["mAP@5", "mAP@50", "R@5", "R@10"]'),
}
"""Mistakes that the reference's README gives numbers for, written down as protocols."""


class Features:
    """The reference's features as HDF5 files, and its answers."""

    def __init__(self, shared: Path, made: Path, folder: Path) -> None:
        self.roots, self.folder = shared / "benchmarks", folder
        self.metrics: dict[str, Any] = json.loads((shared / "golden/metrics.json").read_text())
        for arrays in made.glob("*.npz"):
            found = np.load(arrays)
            unit = arrays.stem.removesuffix("_val") if arrays.stem.startswith("fashioniq") else arrays.stem
            for suffix, ids, features in (("g", "names", "gallery"), ("q", "query_id", "query")):
                write_features(folder / f"{unit}_{suffix}.h5", list(map(str, found[ids].tolist())), found[features])

    def options(self, benchmark: str, unit: str) -> list[str]:
        files = ["--gallery-features", f"{unit}_g.h5", "--query-features", f"{unit}_q.h5"]
        paths = [str(self.folder / word) if word.endswith(".h5") else word for word in files]
        return ["--data-root", str(self.roots / benchmark), *paths, "--json"]


@pytest.fixture(scope="module")
def features(shared: Path, golden_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Features:
    return Features(shared, golden_features, tmp_path_factory.mktemp("features"))


def run(argv: list[str], host: PluginHost, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = main(["eval", *argv], host=host)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return dict(json.loads(captured.out)["units"])


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_the_references(
    name: str, features: Features, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = UNITS[name]
    units = run([*argv, *features.options(argv[0], name)], host, capsys)
    assert next(iter(units)) == name and {unit for unit in units if "semantic" not in unit} == {name}
    expected, hits = features.metrics["expected"][name], features.metrics["integer_hits"][name]
    row = units[name]
    assert {metric: row["metrics"][metric] for metric in expected} == pytest.approx(expected, abs=1e-4)
    assert row["hits"] == {metric: hits[metric] for metric in row["hits"]} and row["n"] == hits["n"]
    for metric, value in row["metrics"].items():
        low, high = row["ci"][metric]
        assert low < value < high
    lost = hits.get("hits_if_tie_lost", row["hits"])
    changed = {metric for metric in row["hits"] if lost[metric] != row["hits"][metric]}
    assert set(row["tie_range"]) == changed
    for metric in changed:
        assert row["tie_range"][metric] == pytest.approx([100 * lost[metric] / row["n"], row["metrics"][metric]])


def test_the_averages_and_aspects_are_units_too(
    features: Features, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = features.metrics["expected"]
    fashion = run(["fashioniq", *features.options("fashioniq", "{unit}")], host, capsys)
    assert fashion["fashioniq_average"]["metrics"] == pytest.approx(expected["fashioniq_average"], abs=1e-4)
    circo = run(["circo", *features.options("circo", "circo_val")], host, capsys)["circo_val_semantic_mAP@10"]
    assert circo["metrics"] == pytest.approx(expected["circo_val_semantic_mAP@10"], abs=1e-4)
    assert set(circo["ci"]) == set(circo["metrics"])


def test_pic2words_own_metrics(features: Features, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    printed = features.metrics["as_printed_by_the_reference_code"]["Pic2Word src/eval_utils.py"]
    cirr = run(["cirr", "--protocol", "pic2word", *features.options("cirr", "cirr_val")], host, capsys)["cirr_val"]
    recalls = {f"recall_{name}": value for name, value in cirr["metrics"].items()}
    assert recalls == pytest.approx(printed["cirr"], abs=1e-4)
    dress = ["fashioniq", "--category", "dress", "--protocol", "pic2word"]
    units = run([*dress, *features.options("fashioniq", "fashioniq_dress")], host, capsys)
    assert units["fashioniq_dress"]["metrics"] == pytest.approx(printed["fashioniq_dress"], abs=1e-4)


@pytest.mark.parametrize("slip", SLIPS)
def test_the_usual_slips_are_protocols_too(
    slip: str, features: Features, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark, rule = SLIPS[slip]
    protocol = tmp_path / "slip.toml"
    protocol.write_text(f'base = "searle"\nsource = "a slip"\n[ranking.{benchmark}]\n{rule}\n')
    expected = features.metrics["NOT_the_protocol_values_for_recognising_mistakes"][slip]
    unit = "fashioniq_dress" if benchmark == "fashioniq" else f"{benchmark}_val"
    if benchmark == "fashioniq":
        expected, argv = expected["dress"], ["fashioniq", "--category", "dress"]
    else:
        argv = [benchmark]
    options = features.options(benchmark, unit)
    if "queried" in rule:
        options = _narrowed(options, features, expected["gallery"])
    found = run([*argv, "--protocol", str(protocol), *options], host, capsys)[unit]["metrics"]
    assert found == pytest.approx({metric: expected[metric] for metric in found}, abs=1e-4)


def _narrowed(options: list[str], features: Features, size: int) -> list[str]:
    """The same with features of the images in val pairs alone."""
    import h5py

    pairs = json.loads((features.roots / "fashioniq/captions/cap.dress.val.json").read_text())
    named = {entry[key] for entry in pairs for key in ("candidate", "target")}
    with h5py.File(features.folder / "fashioniq_dress_g.h5") as file:
        ids, rows = list(file["ids"].asstr()[:]), file["features"][:]
    kept = [row for row, id in enumerate(ids) if id in named]
    assert len(kept) == size
    path = write_features(features.folder / "narrow_g.h5", [ids[row] for row in kept], rows[kept])
    return [str(path) if word.endswith("_g.h5") else word for word in options]
