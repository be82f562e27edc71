"""`mota analyze features` and `mota analyze routing` from outside, on pictures of the tiny world."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from report.page_reader import Element, read_page

from motacli.adapters.files import save_adapter, state_digest
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.cache import build_cache
from motacli.cli import main
from motacli.contracts import ImageRef, ImageText
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.runs import file_digest
from motacli.tiny import grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.mini import write_circo, write_fashioniq
from motacli.tiny.renderer import render
from motacli.tiny.world import sample_scenes
from motacli.triplets.rules import RuleGenerator
from motacli.triplets.schema import write_triplets

PICTURES = 30


@dataclass(frozen=True)
class World:
    """Files that both commands read."""

    root: Path

    def words(self, command: str, *more: object) -> list[str]:
        adapter = ("--adapter", self.root / "adapter", "--inversion", "lincir", "--device", "cpu")
        return list(map(str, ("analyze", command, *more, *adapter)))

    @property
    def triplets(self) -> tuple[object, ...]:
        return "--triplets", self.root / "t.jsonl", "--features", self.root / "f.h5"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any, host: PluginHost) -> World:
    root = tmp_path_factory.mktemp("world")
    scenes = sample_scenes(np.random.default_rng(0), PICTURES, "train")
    pixels = render(scenes, np.random.default_rng(0))
    refs = [ImageRef(f"{n}.png", root / "pictures" / f"{n}.png") for n in range(PICTURES)]
    save_pictures((ref.path, rows) for ref, rows in zip(refs, pixels, strict=True))
    words = Random(0)
    rows = [
        ImageText(ref, grammar.describe(scene, words, grammar.THOROUGH).text)
        for ref, scene in zip(refs, scenes, strict=True)
    ]
    write_triplets(root / "t.jsonl", (t for outcome in RuleGenerator().generate(rows) for t in outcome.triplets))
    build_cache(root / "f.h5", tiny_backbone, rows)
    build_cache(root / "plain.h5", tiny_backbone, refs)
    inversion = load_inversion(host, "lincir", tiny_backbone)
    for name, options in (("adapter", MotaOptions(experts=3)), ("alone", MotaOptions(experts=1))):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            adapter = MotaAdapter(tiny_backbone, options)
            for parameter in adapter.parameters():
                parameter.data += 0.05 * torch.randn_like(parameter)
        digest = state_digest(inversion)
        (root / name).mkdir()
        save_adapter(
            root / name, adapter, inversion="lincir", backbone=tiny_backbone, about={}, inversion_digest=digest
        )
    record = {"digests": {"triplets": file_digest(root / "t.jsonl")}}
    (root / "adapter" / "provenance.json").write_text(json.dumps(record))
    write_circo(root / "circo", 1, "val", queries=6, others=6)
    write_fashioniq(root / "fashioniq", 1, "val", queries=3)
    return World(root)


def run(host: PluginHost, capsys: pytest.CaptureFixture[str], words: list[str], code: int = 0) -> tuple[str, str]:
    assert main(words, host=host) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def checked(path: Path) -> Element:
    """The page; it is well-formed, fetches nothing, and its parts have names."""
    text = path.read_text("utf-8")
    page = read_page(text)
    assert not page.all("script") and "default-src 'none'" in text
    ids = [element.attrs["id"] for element in page.elements() if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    assert {e.attrs["aria-labelledby"] for e in page.elements() if "aria-labelledby" in e.attrs} <= set(ids)
    assert all(table.one("caption").text() for table in page.all("table"))
    assert all(head.attrs["scope"] in ("row", "col") for head in page.all("th"))
    levels = [int(e.tag[1]) for e in page.elements() if e.tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(below - above <= 1 for above, below in pairwise(levels))
    for element in page.elements():
        for name in ("src", "href", "srcset"):
            assert (element.attrs.get(name) or "data:").startswith(("data:", "#"))
    return page


# ---------------------------------------------------------------------------------------------- features


def test_features_as_tables_json_and_a_folder(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(host, capsys, world.words("features", *world.triplets, "--out", tmp_path / "run"))
    assert "modality gap" in out and "adapted query" in out and "effective rank" in out
    assert "trained on these very triplets" in err and "30 pictures in 128 dimensions" in err
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"report.html", "features.json", "provenance.json"}
    printed = json.loads(run(host, capsys, world.words("features", *world.triplets, "--json"))[0])
    assert printed == json.loads((tmp_path / "run" / "features.json").read_text())
    assert (printed["pictures"], printed["dim"], printed["folds"]) == (30, 128, 10)
    assert [row["name"] for row in printed["sets"]] == [
        *("image", "image after MDM", "caption", "base query", "adapted query", "target caption"),
    ]
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert set(record["digests"]) == {"backbone", "inversion", "adapter", "features", "triplets"}
    page = checked(tmp_path / "run" / "report.html")
    assert len(page.all("figure", "lines")) == 3 and "flatters it" in page.text()


def test_features_of_captions_alone(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    words = world.words("features", "--features", world.root / "f.h5", "--sample", 25, "--out", tmp_path / "p.html")
    data = json.loads(run(host, capsys, [*words, "--json", "--seed", "3"])[0])
    assert [row["name"] for row in data["sets"]] == ["image", "image after MDM", "caption"] and data["pictures"] == 25
    checked(tmp_path / "p.html")


def test_the_triplets_captions_stand_in(world: World, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    words = world.words("features", "--features", world.root / "plain.h5", "--triplets", world.root / "t.jsonl")
    theirs, ours = (
        json.loads(run(host, capsys, [*each, "--json"])[0])
        for each in (words, world.words("features", *world.triplets))
    )
    for one, other in zip(theirs["pairs"], ours["pairs"], strict=True):
        assert one["gap"]["value"] == pytest.approx(other["gap"]["value"], abs=1e-5)


def test_an_adapter_without_mdm(
    world: World, host: PluginHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that composes and no more, as plugins may have."""

    class Plain(MotaAdapter):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            self.image_side = self.__dict__["_modules"].pop("mdm")

        def compose(self, backbone: Any, inversion: Any, features: Any, prompts: Any) -> Any:
            from motacli.compose import compose_base

            return compose_base(backbone, inversion, features, prompts)

    def load(*words: Any) -> Any:
        from motacli.models import load_backbone

        return Plain(load_backbone(host, _choice()), MotaOptions()).eval()

    monkeypatch.setattr("motacli.adapters.files.load_adapter", load)
    data = json.loads(run(host, capsys, [*world.words("features", *world.triplets), "--json"])[0])
    assert "image after MDM" not in [row["name"] for row in data["sets"]]
    assert {row["difference"]["value"] for row in data["changes"]} == {0.0}
    _, err = run(host, capsys, world.words("features", "--features", world.root / "f.h5"), code=2)
    assert "has no MDM" in err


def _choice() -> Any:
    from motacli.models import BackboneChoice

    return BackboneChoice(device="cpu")


# ---------------------------------------------------------------------------------------------- routing


def test_routing_of_triplets(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    words = world.words("routing", *world.triplets, "--images", world.root / "pictures", "--out", tmp_path / "run")
    out, err = run(host, capsys, words)
    assert "mutual information of modification type" in out and "paraphrases of a query" in out
    assert "trained on these very triplets" in err
    data = json.loads((tmp_path / "run" / "routing.json").read_text())
    assert (data["queries"], data["experts"], data["typed_by"]) == (30, 3, "modification type")
    assert sum(row["load"]["value"] for row in data["load"]) == pytest.approx(1)
    assert sum(row["queries"] for row in data["types"]) == 30
    page = checked(tmp_path / "run" / "report.html")
    assert len(page.all("article")) == 12 == len(page.all("img")) and len(page.all("table", "heat")) == 1
    assert page.all("article")[0].one("h4").text() == data["load"][0]["top"][0]["caption"]
    again = json.loads(run(host, capsys, [*world.words("routing", *world.triplets), "--json"])[0])
    assert again == data


def test_routing_of_benchmarks(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    words = world.words("routing", "circo", "--data-root", world.root / "circo", "--out", tmp_path / "c.html", "--json")
    data = json.loads(run(host, capsys, words)[0])
    assert data["typed_by"] == "semantic" and data["queries"] == 6 < sum(row["queries"] for row in data["types"])
    assert len(checked(tmp_path / "c.html").all("img")) == 12
    words = world.words("routing", "fashioniq", "--data-root", world.root / "fashioniq", "--json")
    data = json.loads(run(host, capsys, words)[0])
    assert data["typed_by"] == "unit" and [row["queries"] for row in data["types"]] == [3, 3, 3]


def test_paraphrases_of_a_file(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    first = json.loads((world.root / "t.jsonl").read_text().splitlines()[0])
    ids = [first["id"].replace("#0", f"#{k}") for k in range(3)]
    lines = [json.dumps({"id": id, "captions": [first["relative_caption"]]}) for id in ids]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    words = world.words("routing", *world.triplets, "--paraphrases", tmp_path / "p.jsonl", "--json")
    data = json.loads(run(host, capsys, words)[0])
    assert data["paraphrased_by"] == "a file" and data["consistency"][0]["queries"] == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["routing"], 2, "give one of the two"),
        (["routing", "circo", "--triplets", "T"], 2, "give one of the two"),
        (["routing", "circo"], 2, "needs --data-root"),
        (["routing", "--triplets", "T"], 2, "needs --features"),
        (["routing", "circo", "--data-root", "R", "--images", "R"], 2, "--images does not go with a benchmark"),
        (["routing", "--triplets", "T", "--features", "F", "--split", "val"], 2, "--split does not go with --triplets"),
        (["routing", "circos", "--data-root", "R"], 2, "did you mean 'circo'"),
        (["routing", "--triplets", "T", "--features", "F", "--paraphrases", "nowhere"], 1, "no such file"),
        (["routing", "--triplets", "T", "--features", "F", "--adapter", "ALONE"], 2, "one expert"),
        (["routing", "--triplets", "T", "--features", "F", "--adapter", "nowhere"], 1, "no adapter in"),
        (["features", "--features", "F", "--inversion", "pic2word"], 2, "trained on inversion 'lincir'"),
        (["features", "--features", "F", "--sample", "15"], 1, "15 rows are too few"),
        (["features", "--features", "PLAIN"], 1, "holds no captions"),
        (["features", "--features", "F", "--out", "T"], 1, "exists already"),
        (["features", "--features", "F", "--triplets", "nowhere"], 1, "no such triplets file"),
        (["features", "--features", "F", "--triplets", "OTHER"], 1, "has no features of"),
    ],
)
def test_mistakes(
    words: list[str],
    code: int,
    said: str,
    world: World,
    tmp_path: Path,
    host: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = json.loads((world.root / "t.jsonl").read_text().splitlines()[0])
    (tmp_path / "o.jsonl").write_text(json.dumps({**other, "image": "elsewhere.png"}))
    root = world.root
    named = dict(T=root / "t.jsonl", F=root / "f.h5", R=root / "circo", ALONE=root / "alone", PLAIN=root / "plain.h5")
    named["OTHER"] = tmp_path / "o.jsonl"
    given = [str(named.get(word, word)) for word in words]
    full = world.words(given[0], *given[1:])
    if "--adapter" in given:  # the last one counts
        full += given[given.index("--adapter") :]
    if "--inversion" in given:
        full += given[given.index("--inversion") :]
    out, err = run(host, capsys, full, code)
    assert out == "" and said in err and err.count("\n") <= 2
    assert sorted(tmp_path.iterdir()) == [tmp_path / "o.jsonl"]


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    yield


def test_plots_need_matplotlib_and_say_so_first(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str], no_matplotlib: None
) -> None:
    words = world.words("features", "--features", tmp_path / "nowhere.h5", "--plots", tmp_path / "plots")
    _, err = run(host, capsys, words, code=2)
    assert "writing plots needs matplotlib" in err and "mota[plots]" in err and not any(tmp_path.iterdir())


def test_plots_for_papers(world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    for command, number in (("features", 6), ("routing", 2)):
        run(host, capsys, world.words(command, *world.triplets, "--plots", tmp_path / command))
        assert len(list((tmp_path / command).iterdir())) == number


def test_a_damaged_record_is_no_hindrance(
    world: World, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world.root / "adapter", tmp_path / "adapter")
    (tmp_path / "adapter" / "provenance.json").write_text("[")
    words = [*world.words("features", *world.triplets), "--adapter", str(tmp_path / "adapter")]
    assert "very triplets" not in run(host, capsys, words)[1]
