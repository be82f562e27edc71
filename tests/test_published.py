"""Published numbers: well-formed, typed as they were printed, and compared with a run's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from motacli.benchmarks.protocol import protocol_names
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.plugins import PluginHost
from motacli.published import Published, compare, configuration, find, published, read_published

ENTRIES = [pytest.param(entry, id=f"{entry.key}-{entry.benchmark}") for entry in published()]


def printed(entry: Published) -> dict[str, str]:
    """A unit's numbers in the notation of the tables they come from."""
    return {unit: "/".join(map(str, metrics.values())) for unit, metrics in entry.metrics.items()}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_fits_what_the_tool_has(entry: Published, host: PluginHost) -> None:
    benchmark = host.component("benchmarks", entry.benchmark).load()()
    assert entry.split in benchmark.splits and set(entry.parts) <= set(benchmark.parts)
    scored = entry.parts or benchmark.parts or (entry.split,)
    units = {f"{entry.benchmark}_{part}" for part in (*scored, *(() if entry.parts else ("average",)))}
    assert set(entry.metrics) <= units
    rules = benchmark.protocol("searle").ranking
    assert {metric for metrics in entry.metrics.values() for metric in metrics} <= set(rules.metrics)
    assert entry.protocol in (None, *protocol_names())
    assert entry.inversion is None or host.component("inversions", entry.inversion)
    assert (entry.scored_by == "server") == (entry.split in ("test", "test1"))
    assert entry.weights is None or entry.weights.startswith(("hf-hub:", "https://"))
    assert entry.pretrained is None or entry.model is not None


@pytest.mark.parametrize("entry", [p for p in ENTRIES if "fashioniq_average" in p.values[0].metrics])
def test_averages_are_those_of_the_categories(entry: Published) -> None:
    units: Mapping[str, Mapping[str, Decimal]] = entry.metrics
    for metric, average in units["fashioniq_average"].items():
        mean = sum(units[f"fashioniq_{part}"][metric] for part in ("dress", "shirt", "toptee")) / 3
        assert abs(mean - average) < Decimal("0.04"), metric


@pytest.mark.parametrize("entry", ENTRIES)
def test_numbers_grow_with_the_cutoff(entry: Published) -> None:
    for metrics in entry.metrics.values():
        for kind in ("R", "Rsubset", "mAP"):
            column = [value for name, value in metrics.items() if name.partition("@")[0] == kind]
            assert column == sorted(column)


@pytest.mark.parametrize(
    ("key", "benchmark", "unit", "numbers"),
    [
        ("lincir-large", "fashioniq", "fashioniq_shirt", "28.66/47.11"),
        ("lincir-large", "fashioniq", "fashioniq_average", "26.10/46.25"),
        ("lincir-large", "cirr", "cirr_test1", "25.398/53.301/67.036/56.241/76.94/88.578"),
        ("lincir-large", "circo", "circo_test", "12.75/13.63/14.99/15.90"),
        ("lincir-large", "genecis", "genecis_change_attribute", "16.05/28.22/36.74"),
        ("lincir-large-paper", "fashioniq", "fashioniq_dress", "20.92/42.44"),
        ("lincir-giga", "fashioniq", "fashioniq_toptee", "50.48/71.09"),
        ("searle-b32", "cirr", "cirr_test1", "24.0/66.82/89.78"),
        ("searle-large", "circo", "circo_test", "11.68/12.73/14.33/15.12"),
        ("searle-large-second-source", "cirr", "cirr_test1", "24.22/52.41/66.29/53.71/74.63/87.61"),
        ("pic2word-large", "circo", "circo_test", "8.72/9.51/10.6/11.29"),
        ("pic2word-large-second-source", "circo", "circo_test", "10.46"),
        ("cirevl-large", "cirr", "cirr_test1", "24.55/52.31/64.92/86.34/59.54"),
        ("cirevl-b32-openai", "fashioniq", "fashioniq_dress", "14.53/33.22"),
        ("genecis-combiner-b16", "genecis", "genecis_average", "17.6"),
    ],
)
def test_numbers_are_kept_as_printed(key: str, benchmark: str, unit: str, numbers: str) -> None:
    assert printed(find(key, benchmark))[unit] == numbers


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown published result 'lincir-lagre' \(did you mean 'lincir-large"):
        find("lincir-lagre", "cirr")
    with pytest.raises(UnknownNameError, match=r"benchmark of published result 'lincir-huge' 'cirr' \(did you mean"):
        find("lincir-huge", "cirr")


# ---------------------------------------------------------------------------------------------- repeating


def test_options_that_repeat_a_run() -> None:
    options = configuration(find("searle-large", "fashioniq"))
    assert (options.model, options.pretrained) == ("ViT-L-14-quickgelu", "openai")
    assert (options.inversion, options.preprocess, options.protocol) == ("searle", "targetpad", "searle")
    assert options.inversion_weights.endswith("/SEARLE_ViT-L14.pt")
    assert (options.split, options.parts, options.scored_by) == ("val", (), "mota")
    assert configuration(find("lincir-large", "genecis")).parts == ("change_attribute",)
    assert configuration(find("lincir-large", "circo")).scored_by == "server"
    assert configuration(find("pic2word-large", "fashioniq")).protocol == "pic2word"
    assert configuration(find("pic2word-large", "circo")).protocol == "searle"


@pytest.mark.parametrize(
    ("key", "benchmark", "reason"),
    [
        ("lincir-giga", "fashioniq", "its weights were not released"),
        ("searle-oti-large", "cirr", "it is no inversion network"),
        ("cirevl-giga", "circo", "it is no inversion network"),
    ],
)
def test_what_cannot_be_repeated_says_why(key: str, benchmark: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{key} on {benchmark} cannot be repeated: {reason}"):
        configuration(find(key, benchmark))


def test_the_weights_on_offer_are_those_that_were_released() -> None:
    offered = {(entry.inversion, entry.weights) for entry in published() if entry.weights}
    assert {(inversion, str(weights).rpartition("/")[2]) for inversion, weights in offered} == {
        ("lincir", "lincir_large.pt"),
        ("pic2word", "pic2word_large.pt"),
        ("searle", "SEARLE_ViT-B32.pt"),
        ("searle", "SEARLE_ViT-L14.pt"),
    }


# ---------------------------------------------------------------------------------------------- comparing


@pytest.mark.parametrize(
    ("number", "got", "verdict"),
    [
        ("26.10", 26.1049, "equal"),
        ("26.10", 26.095, "equal"),
        ("26.10", 26.1051, "close"),
        ("26.10", 26.30, "close"),
        ("26.10", 25.90, "close"),
        ("26.10", 26.31, "off"),
        ("26.10", 25.89, "off"),
        ("24.0", 24.049, "equal"),
        ("24.0", 24.051, "close"),
        ("25.398", 25.399, "close"),
    ],
)
def test_verdicts_know_rounding_and_tolerance(number: str, got: float, verdict: str) -> None:
    metrics = {"fashioniq_average": {"R@10": Decimal(number)}}
    entry = replace(find("lincir-large", "fashioniq"), metrics=metrics, tolerance=Decimal("0.2"))
    (row,) = compare(entry, {"fashioniq_average": {"R@10": got, "R@50": 1.0}})
    assert row.verdict == verdict
    assert row.expected == float(number) and row.difference == pytest.approx(got - float(number))


def test_what_was_not_scored_is_listed() -> None:
    rows = compare(find("lincir-large", "fashioniq"), {"fashioniq_dress": {"R@10": 20.67}})
    assert [row.verdict for row in rows] == ["equal"] + ["not scored"] * 7
    assert (rows[1].unit, rows[1].metric, rows[1].got, rows[1].difference) == ("fashioniq_dress", "R@50", None, None)


# ---------------------------------------------------------------------------------------------- mistakes

ENTRY = """
[some-net]
method = "Some"
variant = "paper"
[some-net.cirr]
split = "test1"
source = "a paper"
confidence = "second-hand"
tolerance = 0.5
metrics.cirr_test1 = { "R@1" = 24.0 }
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"R@1"', '"R@0"', r"\[some-net\.cirr\]: cirr_test1: unknown metric 'R@0'"),
        ("24.0", "240.0", "R@1 is 240.0, not a percentage"),
        ("24.0", "nan", "R@1 is NaN, not a percentage"),
        ("24.0", "24", "metrics must be Decimal"),
        ("0.5", "-0.5", "tolerance is -0.5, not a number of points"),
        ("some-net", "Some_Net", "'Some_Net' is not in kebab-case"),
        ("cirr_test1", "circo_test", "unit 'circo_test' is not one of cirr"),
        ('"second-hand"', '"hearsay"', "confidence must be one of 'repository', 'maintainer'"),
        ("method", "metod", r"unknown option 'metod' \(did you mean 'method'\?\)"),
        ('split = "test1"\n', "", "option 'split' is missing"),
        ('{ "R@1" = 24.0 }', "{}", "metrics are empty"),
        ("[some-net]", "stray = 1\n[some-net]", "stray must be a table"),
        (ENTRY.partition("[some-net.cirr]")[2], "", r"\[some-net\.cirr\]: .*'split' is missing"),
    ],
)
def test_mistakes_name_file_and_entry(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "numbers.toml"
    path.write_text(ENTRY)
    (entry,) = read_published(path)
    assert str(entry.metrics["cirr_test1"]["R@1"]) == "24.0"
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(UsageError, match=rf"(?s)numbers\.toml: .*{message}"):
        read_published(path)


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "numbers.toml"
    path.write_text(ENTRY.replace("R@1", "P@1") + ENTRY.replace("some-net", "other").replace("0.5", '"much"'))
    with pytest.raises(UsageError) as raised:
        read_published(path)
    assert "numbers.toml: 2 mistakes" in str(raised.value) and "'P@1'" in str(raised.value)
    assert "[other.cirr]: tolerance must be" in str(raised.value)


def test_files_that_are_no_toml_or_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "numbers.toml"
    path.write_text("[a")
    with pytest.raises(DataError, match=r"numbers\.toml is not valid TOML"):
        read_published(path)
    path.write_text("[lonely]\nmethod = 'x'\n")
    with pytest.raises(UsageError, match=r"\[lonely\] reports nothing"):
        read_published(path)
