"""The page of a comparison: which queries it shows, what it says of them, and what it does without pictures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from page_reader import Element, read_page
from run_folders import write_run

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.genecis import GeneCIS
from motacli.contracts import EvalUnit
from motacli.errors import DataError, MotaError
from motacli.plugins import PluginHost
from motacli.report.comparison import Table, compare
from motacli.report.examples import Example, find_examples
from motacli.report.result_page import render_result_page, write_result_page
from motacli.report.runs import read_run
from motacli.tiny.mini import write_circo
from motacli.tiny.mini_genecis import write_genecis

QUERIES, KEPT = 12, 15
BEFORE = [6, 6, 6, 6, 2, 2, 2, 2, 3, 3, 1, 40]
"""The first target's rank for each query; the one of rank 40 is beyond what rankings keep."""
AFTER = [1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 1, 40]
NASTY = """</style><script>alert("1")</script> & 'q' &amp; $title ${style} $$"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("circo")
    write_circo(folder, 1, "val", queries=QUERIES, others=40)
    return folder


@pytest.fixture(scope="module")
def unit(root: Path) -> EvalUnit:
    (unit,) = CIRCO().load(root)
    return unit


@pytest.fixture
def table(unit: EvalUnit, root: Path, tmp_path: Path) -> Table:
    return circo_table(unit, root, tmp_path, BEFORE, AFTER)


def circo_table(unit: EvalUnit, root: Path, folder: Path, *ranks: Sequence[int], with_ranks: bool = True) -> Table:
    """Runs, called one, two and so on, whose first targets have these ranks."""
    names = ("one", "two", "three")[: len(ranks)]
    runs = [write_circo_run(folder / name, unit, root, r, with_ranks) for name, r in zip(names, ranks, strict=True)]
    return compare([read_run(run) for run in runs])[0]


def write_circo_run(folder: Path, unit: EvalUnit, root: Path, ranks: Sequence[int], with_ranks: bool = True) -> Path:
    orders = [ranking(unit, row, rank) for row, rank in enumerate(ranks)]
    return write_run(
        folder,
        {unit.name: {"mAP@10": [1 / rank for rank in ranks]}},
        benchmark="circo",
        query=folder.name,
        ids=[query.id for query in unit.queries[: len(ranks)]],
        ranks={unit.name: [[o.index(t) + 1 for t in unit.queries[row].targets] for row, o in enumerate(orders)]}
        if with_ranks
        else None,
        rankings={unit.name: [order[:KEPT] for order in orders]},
        config={"data-root": str(root), "part": []},
        provenance={"command": ["/somewhere/bin/mota", "eval", "circo"], "versions": {"mota": "1.2"}, "device": "cpu"},
        headline={"mAP@10": 1.0},
    )


def ranking(unit: EvalUnit, row: int, rank: int) -> list[str]:
    """The gallery with the first target at ``rank`` and the others right behind it."""
    targets = unit.queries[row].targets
    others = [id for id in unit.gallery if id not in targets]
    return [*others[: rank - 1], *targets, *others[rank - 1 :]]


def page_of(table: Table, host: PluginHost, count: int = 3, seed: int = 0) -> Element:
    return read_page(render_result_page([table], [find_examples(table, host, count, seed)]))


def ranks(examples: Sequence[Example]) -> list[tuple[float, float]]:
    return [(example.before.rank if example.before else math.nan, example.after.rank) for example in examples]


# ---------------------------------------------------------------------------------------------- which queries


def test_samples_are_a_mix(table: Table, host: PluginHost) -> None:
    found = find_examples(table, host, 3, seed=0)
    assert (found.up, found.down, found.same) == (4, 4, 4)
    (up, down, same) = ranks(found.sampled)
    assert up[1] < up[0] and down[1] > down[0] and same[0] == same[1]
    assert len(find_examples(table, host, 7, seed=0).sampled) == 7
    everything = find_examples(table, host, 100, seed=0).sampled
    assert sorted(ranks(everything)) == sorted(zip(BEFORE, AFTER, strict=True))


def test_the_seed_draws_the_samples(table: Table, host: PluginHost) -> None:
    first, again, *others = ([e.query.id for e in find_examples(table, host, 6, s).sampled] for s in (0, 0, 1, 2, 3))
    assert first == again and any(other != first for other in others)


def test_the_hardest_are_those_of_the_best_run(table: Table, host: PluginHost) -> None:
    found = find_examples(table, host, 4, seed=0)
    assert found.best.name == found.after.name == "two" and found.before and found.before.name == "one"
    assert [example.after.rank for example in found.hardest] == [40, 8, 7, 6]


def test_the_best_may_be_the_baseline(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    worse = [rank + 1 for rank in BEFORE]
    table = circo_table(unit, root, tmp_path, BEFORE, [9] * QUERIES, worse)
    found = find_examples(table, host, 20, seed=0)
    assert found.best is table.rows[0] and found.after.name == "three"
    assert [example.before.rank for example in found.hardest if example.before] == [40, *[6] * 4, 3, 3, *[2] * 4]


def test_without_recorded_ranks_the_rankings_tell(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    table = circo_table(unit, root, tmp_path, BEFORE, AFTER, with_ranks=False)
    found = find_examples(table, host, 2, seed=0)
    assert (found.up, found.down, found.same) == (4, 4, 4)
    assert [(example.after.rank, example.after.depth) for example in found.hardest] == [(math.inf, KEPT), (8, KEPT)]


def test_one_run_alone(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    table = circo_table(unit, root, tmp_path, AFTER)
    found = find_examples(table, host, 5, seed=0)
    assert len(found.sampled) == 5 and found.before is None and found.same == QUERIES
    page = page_of(table, host)
    assert [len(card.all("ol", "hits")) for card in page.all("article")] == [1] * 6
    assert "CIRCO val: what it finds" in [head.text() for head in page.all("h2")]
    assert not page.all("ul", "tiles") and not page.all("span", "gain")


def test_a_run_without_some_of_the_queries(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    table = circo_table(unit, root, tmp_path, BEFORE[:5], AFTER[:5])
    assert len(find_examples(table, host, 20, seed=0).sampled) == 5


# ---------------------------------------------------------------------------------------------- what it says


def test_structure(table: Table, host: PluginHost) -> None:
    text = render_result_page([table, table], [find_examples(table, host, 2, 0), "no data set here"])
    page = read_page(text)
    ids = [element.attrs["id"] for element in page.elements() if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    labels = {element.attrs["aria-labelledby"] for element in page.elements() if "aria-labelledby" in element.attrs}
    assert labels <= set(ids) and len(labels) > 8
    levels = [int(element.tag[1]) for element in page.elements() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(below - above <= 1 for above, below in pairwise(levels))
    assert all(image.attrs["alt"] and str(image.attrs["src"]).startswith("data:") for image in page.all("img"))
    assert not {"script", "iframe", "object", "form", "base"} & {element.tag for element in page.elements()}
    assert "default-src 'none'" in text and "://" not in text


def test_what_a_card_shows(table: Table, unit: EvalUnit, host: PluginHost) -> None:
    found = find_examples(table, host, 12, seed=0)
    cards = read_page(render_result_page([table], [found])).all("article")[:12]
    for card, example in zip(cards, found.sampled, strict=True):
        query, (before, after) = example.query, card.all("ol", "hits")
        assert card.one("h3").text() == query.captions[0]
        assert [label.text() for label in card.one("p", "labels").all("span")] == list(query.tags)
        assert card.one("div", "side").all("img")[0].attrs["alt"] == f"Reference picture {query.reference}"
        wanted = card.one("figure", "wanted")
        assert len(wanted.all("img")) == min(4, len(query.targets))
        for row, rank in ((before, example.before.rank if example.before else 0), (after, example.after.rank)):
            assert len(row.all("li")) == 10
            assert len(row.all("li", "target")) == max(0, min(len(query.targets), 11 - int(rank)))
    several = [example for example in found.sampled if len(example.query.targets) > 1 and example.after.rank < 9]
    assert several  # more than one target can be marked


def test_ranks_beyond_the_pictures(table: Table, host: PluginHost) -> None:
    card = page_of(table, host, 1).all("article")[-1]
    assert [head.text() for head in card.all("h4")] == ["one target at rank 40", "two target at rank 40"]
    badge = card.one("p", "badge")
    assert badge.classes == ["badge", "flat"] and badge.text(hidden=False) == "target rank 40 → 40"
    assert badge.one("span", "hidden").text() == "Target at rank 40, with two at rank 40."


def test_a_rank_nobody_knows(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    table = circo_table(unit, root, tmp_path, BEFORE, AFTER, with_ranks=False)
    card = page_of(table, host, 1).all("article")[-1]
    assert card.one("p", "badge").text(hidden=False) == "target rank >15 → >15"
    assert card.all("h4")[0].text() == "one target beyond rank 15"


def test_the_table_on_the_page(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    page = page_of(circo_table(unit, root, tmp_path, [40] * QUERIES, [1] * QUERIES), host)
    base, better = page.one("table", "results").one("tbody").all("tr")
    assert base.one("th").text() == "one baseline" and not base.all("strong") and not base.all("span", "gain")
    assert better.one("strong").text() == "100.00"
    chip = better.one("span", "gain")
    assert chip.text() == "+97.50*" and "up" in chip.classes
    lines = [small.text() for small in better.all("small")]
    assert lines[0] == "[99.0, 101.0]" and lines[1] == "[97.5, 97.5]" and re.fullmatch(r"p 0\.000\d", lines[2])
    tile = page.one("li", "tile")
    assert tile.one("span", "tile-gain").text() == "+97.50*" and tile.one("span", "tile-runs").text() == "two over one"


def test_chance_has_no_colour(table: Table, host: PluginHost) -> None:
    chip = page_of(table, host).one("table", "results").one("span", "gain")
    assert "flat" in chip.classes and not chip.text().endswith("*")


def test_how_the_runs_were_made(table: Table, host: PluginHost) -> None:
    page = page_of(table, host)
    assert [code.text() for code in page.all("code")] == ["mota eval circo"] * 2
    facts = page.one("div", "facts").all("table")
    assert [fact.one("caption").text() for fact in facts] == [str(row.run.path) for row in table.rows]
    assert [cell.text() for cell in facts[0].all("td")] == ["1.2", "cpu"]


def test_texts_stay_texts(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "annotations").mkdir()
    entries = json.loads((root / "annotations" / "val.json").read_text())
    for entry in entries:
        entry.update(relative_caption=NASTY, semantic_aspects=[NASTY])
    (tmp_path / "annotations" / "val.json").write_text(json.dumps(entries))
    (tmp_path / "COCO2017_unlabeled").symlink_to(root / "COCO2017_unlabeled")
    runs = [write_circo_run(tmp_path / name, unit, tmp_path, BEFORE) for name in ("one", "two")]
    for run in runs:
        document = json.loads((run / "metrics.json").read_text())
        (run / "metrics.json").write_text(json.dumps({**document, "query": f"{NASTY} {run.name}"}))
    (table,) = compare([read_run(run) for run in runs])
    text = render_result_page([table, table], [find_examples(table, host, 1, 0), NASTY])
    page = read_page(text)
    assert not page.all("script") and len(page.all("style")) == 1
    assert {head.text() for head in page.all("h3")} == {NASTY}
    assert [label.text() for label in page.all("p", "labels")[0].all("span")] == [NASTY]
    names = [row.one("th").text() for row in page.all("table", "results")[0].one("tbody").all("tr")]
    assert names == [f"{NASTY} one baseline", f"{NASTY} two"]
    assert page.all("p", "lead")[-1].text() == NASTY


# ---------------------------------------------------------------------------------------------- without pictures


def test_a_missing_picture_leaves_a_gap(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "annotations").symlink_to(root / "annotations")
    pictures = tmp_path / "COCO2017_unlabeled" / "unlabeled2017"
    pictures.mkdir(parents=True)
    (pictures.parent / "annotations").symlink_to(root / "COCO2017_unlabeled" / "annotations")
    gone, broken, *others = sorted((root / "COCO2017_unlabeled" / "unlabeled2017").iterdir())
    for path in others:
        (pictures / path.name).symlink_to(path)
    (pictures / broken.name).write_text("no picture")
    table = circo_table(unit, tmp_path, tmp_path, BEFORE, AFTER)
    page = page_of(table, host, 12)
    gaps = {gap.text(): str(gap.attrs["aria-label"]) for gap in page.all("span", "gap")}
    assert gaps.keys() == {str(int(path.stem)) for path in (gone, broken)}
    assert all(label.endswith("missing") for label in gaps.values()) and len(page.all("img")) > 100


Change = Callable[[Path], object]


def _without_rankings(run: Path) -> None:
    (run / "rankings" / "circo_val.json").unlink()


def _other_picture(run: Path) -> None:
    path = run / "rankings" / "circo_val.json"
    document = json.loads(path.read_text())
    document["ids"][0][0] = "999999"
    path.write_text(json.dumps(document))


def _other_query(run: Path) -> None:
    path = run / "rankings" / "circo_val.json"
    document = json.loads(path.read_text())
    document["query_ids"][0] = "999999"
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_rankings, "kept no rankings of circo_val"),
        (_other_picture, "answered other queries of circo_val"),
        (_other_query, "answered other queries of circo_val"),
        (lambda run: (run / "config.json").write_text("{}"), "give --data-root"),
        (lambda run: (run / "config.json").write_text('{"eval": {"data-root": "nowhere"}}'), "not found"),
    ],
)
def test_why_there_are_no_pictures(
    change: Change, said: str, unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost
) -> None:
    runs = [write_circo_run(tmp_path / name, unit, root, BEFORE) for name in ("one", "two")]
    change(runs[1])
    (table,) = compare([read_run(run) for run in runs])
    with pytest.raises(MotaError, match=said):
        find_examples(table, host, 2, 0)


def test_the_data_set_may_have_moved(unit: EvalUnit, root: Path, tmp_path: Path, host: PluginHost) -> None:
    table = circo_table(unit, tmp_path / "gone", tmp_path, BEFORE, AFTER)
    with pytest.raises(DataError, match="not found"):
        find_examples(table, host, 2, 0)
    assert len(find_examples(table, host, 2, 0, root).sampled) == 2


def test_own_galleries_show_their_candidates(tmp_path: Path, host: PluginHost) -> None:
    write_genecis(tmp_path / "data", 1, "val", queries=3, others=30)
    unit = GeneCIS().load(tmp_path / "data", parts=("change_attribute",))[0]
    run = write_run(
        tmp_path / "run",
        {unit.name: {"R@1": [0.0] * 3}},
        benchmark="genecis",
        ids=[query.id for query in unit.queries],
        rankings={unit.name: [list(query.candidates[::-1]) for query in unit.queries]},
        config={"data-root": str(tmp_path / "data"), "part": ["change_attribute"]},
    )
    (table,) = compare([read_run(run)])
    found = find_examples(table, host, 3, 0)
    for example in found.sampled:
        assert {hit.image.id for hit in example.after.hits} <= set(example.query.candidates)
        assert example.part == "change attribute" and example.after.rank == len(example.query.candidates)
    labels = read_page(render_result_page([table], [found])).all("p", "labels")
    assert labels[0].text().strip() == "change attribute"


def test_the_page_is_written_once(table: Table, tmp_path: Path) -> None:
    path = write_result_page(tmp_path / "page.html", [table], ["none"])
    first = path.read_bytes()
    with pytest.raises(MotaError, match="nothing is overwritten"):
        write_result_page(path, [table], ["none"])
    assert path.read_bytes() == first and b"\r" not in first
