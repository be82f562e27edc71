"""Asking an index: the same rankings as `mota eval`'s, and every way to ask."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from picture_folders import draw, draw_all
from PIL import Image
from tiny_index import TinyIndex, tiny_index

import motacli
from motacli import Searcher, hookimpl, load_plugins
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.query_sources import Composed, ImageOnly, QuerySource, TextOnly
from motacli.retrieval import target_ranks, top_k
from motacli.search.building import index_folder, update_index
from motacli.search.index import Index

K = 20


@pytest.fixture(scope="module", params=["circo"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, host: PluginHost, tiny_backbone: Any
) -> TinyIndex:
    return tiny_index(tmp_path_factory.mktemp("world"), request.param, host, tiny_backbone)


@pytest.fixture(scope="module")
def searcher(world: TinyIndex, host: PluginHost) -> Any:
    with Searcher.open(world.path, host=host) as opened:
        yield opened


def make_twelve(folder: Path, host: PluginHost) -> Path:
    """An index of twelve random pictures with metadata, without an inversion network."""
    files = draw_all(folder / "pictures", 12)
    lines = [f"{file.relative_to(folder / 'pictures')},{number}" for number, file in enumerate(files)]
    (folder / "data.csv").write_text("\n".join(["path,price", *lines]) + "\n")
    index_folder(folder / "my.mota", folder / "pictures", host=host, metadata=folder / "data.csv")
    return folder / "my.mota"


@pytest.fixture
def small(tmp_path: Path, host: PluginHost) -> Path:
    """Twelve pictures to do with as one likes."""
    return make_twelve(tmp_path, host)


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Any:
    """Twelve pictures to search."""
    with Searcher.open(make_twelve(tmp_path_factory.mktemp("twelve"), host), host=host) as opened:
        yield opened


def _asked_by_eval(world: TinyIndex, source: QuerySource) -> tuple[list[list[str]], np.ndarray, np.ndarray]:
    """The best of each query as `mota eval` ranks them, their scores, and the ranks of the first targets."""
    unit, data = world.data.unit, world.data
    row = {id: number for number, id in enumerate(unit.gallery)}
    excluded = np.array([row[q.reference] for q in unit.queries]) if unit.exclude_reference else None
    queries = source.vectors(data.inputs).numpy()
    rows, scores = top_k(queries, data.gallery, K, excluded=excluded)
    targets = [[row[q.targets[0]]] for q in unit.queries]
    ranks = target_ranks(queries, data.gallery, targets, excluded=excluded).ranks.flat
    return [[world.id_of(unit.gallery[n]) for n in best] for best in rows], scores, ranks


@pytest.mark.parametrize("world", ["circo", "cirr"], indirect=True)
@pytest.mark.parametrize("way", ["adapted", "plain", "image", "text"])
def test_rankings_and_recall_are_those_of_mota_eval(world: TinyIndex, searcher: Searcher, way: str) -> None:
    source: QuerySource = {
        "adapted": world.source,
        "plain": Composed(world.source.inversion),
        "image": ImageOnly(),
        "text": TextOnly(),
    }[way]
    wanted, scores, ranks = _asked_by_eval(world, source)
    found, at_ten = [], 0
    for query, best in zip(world.data.unit.queries, scores, strict=True):
        answer = searcher.search(
            None if way == "text" else world.file_of(query.reference),
            "" if way == "image" else query.captions[0],
            k=K,
            adapted=way == "adapted",
            exclude=[world.id_of(query.reference)] if world.data.unit.exclude_reference else (),
        )
        found.append([hit.id for hit in answer.results])
        at_ten += world.id_of(query.targets[0]) in found[-1][:10]
        assert [hit.similarity for hit in answer.results] == pytest.approx(best, abs=2e-6)
        assert answer.kind == (way if way in ("image", "text") else "composed")
        assert (answer.query.inversion, answer.query.adapter) == (
            (None, None) if way in ("image", "text") else ("lincir", "mota" if way == "adapted" else None)
        )
    assert found == wanted
    assert at_ten == np.count_nonzero(ranks <= 10)


def test_the_adapter_changes_rankings_and_plain_leaves_it_out(world: TinyIndex, host: PluginHost) -> None:
    query = world.data.unit.queries[0]
    asked = {"image": world.file_of(query.reference), "text": query.captions[0], "k": K}
    with Searcher.open(world.path, host=host) as searcher, Searcher.open(world.path, host=host, plain=True) as plain:
        adapted, without = searcher.search(**asked), searcher.search(**asked, adapted=False)
        assert adapted.results != without.results
        assert plain.search(**asked).results == without.results and plain.search(**asked).query.adapter is None


def test_an_index_without_an_inversion_adds_picture_and_text(twelve: Searcher, tiny_backbone: Any) -> None:
    feature = twelve.encode(twelve.index.picture(twelve.index.entries.get([3])[0]))
    answer = twelve.search(feature, "a red circle", k=12)
    units = twelve.index.vectors.units(slice(None))
    text = tiny_backbone.encode_text(["a red circle"]).numpy()[0]
    query = feature / np.linalg.norm(feature) + text / np.linalg.norm(text)
    scores = units @ (query / np.linalg.norm(query))
    assert answer.kind == "sum" and answer.query.inversion is None
    assert [hit.similarity for hit in answer.results] == pytest.approx(np.sort(scores)[::-1], abs=1e-5)


# ---------------------------------------------------------------------------------------------- references


def test_file_picture_feature_and_reference_are_the_same(world: TinyIndex, searcher: Searcher) -> None:
    query = world.data.unit.queries[1]
    path = world.file_of(query.reference)
    ways: list[Any] = [path, str(path), Image.open(path), searcher.encode(path), [path]]
    answers = [searcher.search(image, query.captions[0], k=K) for image in ways]
    answers.append(searcher.search(text=query.captions[0], references=[world.id_of(query.reference)], k=K))
    ids = [[hit.id for hit in answer.results] for answer in answers]
    assert all(found == ids[0] for found in ids)
    assert answers[0].query.images == (str(path),) and answers[2].query.images == ("picture",)
    assert answers[-1].query.references == (world.id_of(query.reference),)


def test_several_references_are_one_between_them(world: TinyIndex, searcher: Searcher) -> None:
    one, other = (world.id_of(world.data.unit.queries[number].reference) for number in (0, -1))
    alone, both = searcher.search(references=[one]), searcher.search(references=[one, other])
    assert alone.results[0].id == one and alone.results[0].similarity == pytest.approx(1, abs=1e-6)
    assert {hit.id for hit in both.results[:2]} == {one, other}
    assert both.results[0].similarity == pytest.approx(both.results[1].similarity, abs=1e-5)
    assert both.results[1].similarity > dict((hit.id, hit.similarity) for hit in alone.results).get(other, -1)
    mixed = searcher.search(world.file_of(world.data.unit.queries[-1].reference), references=[one])
    assert [hit.id for hit in mixed.results] == [hit.id for hit in both.results]


def test_references_alone_need_no_backbone(world: TinyIndex, host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the backbone was loaded")

    monkeypatch.setattr(Index, "load_backbone", refuse)
    with Searcher.open(world.path, host=host) as searcher:
        one = world.id_of(world.data.unit.queries[0].reference)
        assert searcher.search(references=[one]).results[0].id == one
        with pytest.raises(AssertionError):
            searcher.search(text="a red circle")


def test_alpha_leads_from_the_composition_to_the_picture(world: TinyIndex, searcher: Searcher) -> None:
    query = world.data.unit.queries[2]
    path, text = world.file_of(query.reference), query.captions[0]
    target, asked = world.id_of(query.reference), {"image": path, "text": text, "k": K}
    similar = []
    for alpha in (0.0, 0.3, 0.7, 0.95):
        answer = searcher.search(**asked, alpha=alpha, where=[f"id={target}"])
        similar.append(answer.results[0].similarity)
    assert similar == sorted(similar) and similar[-1] > 0.99 > similar[0]
    composed, picture = (searcher.search(**asked, alpha=alpha).results for alpha in (0.0, 0.999999))
    assert [hit.id for hit in picture] == [hit.id for hit in searcher.search(path, k=K).results]
    assert [hit.id for hit in composed] != [hit.id for hit in picture]


def test_a_negative_text_leads_away_from_what_it_says(searcher: Searcher) -> None:
    red = {hit.id for hit in searcher.search(text="red", k=10).results}
    everything = len(searcher.index.entries)
    ranks = [
        np.mean([n for n, hit in enumerate(searcher.search(k=everything, **asked).results) if hit.id in red])
        for asked in ({"text": "a star"}, {"text": "a star", "negative": "red"})
    ]
    assert ranks[1] > ranks[0]


# ---------------------------------------------------------------------------------------------- what is kept


def test_conditions_exclusions_and_thresholds(twelve: Searcher) -> None:
    everything = twelve.search(text="a red circle", k=50)
    assert len(everything.results) == everything.total == 12 and not everything.background.calibrated
    assert [hit.score for hit in everything.results] == sorted(hit.score for hit in everything.results)[::-1]
    some = twelve.search(text="a red circle", where=["price<5", "path~00/*"], k=50)
    assert twelve.search(text="a red circle", where=["price<5", "path~00/*"], k=50).results == some.results
    assert some.total == len(some.results) == 5
    assert [hit for hit in everything.results if hit.metadata["price"] < 5] == list(some.results)
    gone = [hit.id for hit in everything.results[:2]]
    fewer = twelve.search(text="a red circle", exclude=[*gone, "no-such-picture.jpg"], k=3)
    assert fewer.results == everything.results[2:5]
    limit = everything.results[3].score
    assert twelve.search(text="a red circle", min_score=limit, k=50).results == everything.results[:4]
    assert twelve.search(text="a red circle", min_score=99).results == ()
    none = twelve.search(text="a red circle", where=["price>100"])
    assert none.results == () and none.total == 0
    assert Path(everything.results[0].path).is_file()


def test_the_answer_as_data(twelve: Searcher) -> None:
    found = twelve.search(text="a red circle", k=2)
    record, bare = found.record(), found.record(paths=False)
    assert [hit["id"] for hit in record["results"]] == [hit.id for hit in found.results]
    assert record["results"][0]["path"] == str(twelve.index.path.parent / "pictures" / record["results"][0]["id"])
    assert bare["results"][0]["path"] == bare["results"][0]["id"] and "path" not in bare
    assert record["total"] == 12 and record["kind"] == "text" and record["ms"] > 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "nothing is asked"),
        ({"text": "  \n"}, "nothing is asked"),
        ({"negative": "red"}, "nothing is asked"),
        ({"text": "a", "k": 0}, "k has to be"),
        ({"text": "a \udcff"}, "not valid text"),
        ({"text": "a", "negative": "\ud800"}, "not valid text"),
        ({"image": Image.new("RGB", (0, 3))}, "without pixels"),
        ({"text": "a", "alpha": 1.0}, "alpha"),
        ({"text": "a", "alpha": -0.1}, "alpha"),
        ({"text": "a", "alpha": float("nan")}, "alpha"),
        ({"text": "a", "min_score": float("nan")}, "min_score"),
        ({"references": ["00/none.jpg"]}, "no picture '00/none.jpg'"),
        ({"text": "a", "where": ["cost<3"]}, "unknown column 'cost'"),
        ({"text": "a", "where": ["price"]}, "is no condition"),
        ({"image": np.full(128, np.nan, np.float32)}, "finite"),
        ({"image": np.zeros(128, np.float32)}, "all zeros"),
        ({"image": np.full(128, 1e30)}, "finite"),
        ({"image": np.ones(64, np.float32)}, "shape (64,)"),
        ({"image": np.ones((1, 128), np.float32)}, "shape (1, 128)"),
        ({"image": np.array(["x"] * 128)}, "no feature"),
    ],
)
def test_what_cannot_be_answered_is_refused(twelve: Searcher, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        twelve.search(**asked)
    assert said in str(caught.value)


def test_pictures_that_cannot_be_read(twelve: Searcher, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    for name in ("broken.jpg", "none.jpg"):
        with pytest.raises(DataError, match=name):
            twelve.search(tmp_path / name)


# ---------------------------------------------------------------------------------------------- in use


def test_threads_get_the_answers_of_their_own_questions(world: TinyIndex, searcher: Searcher) -> None:
    asked = [(world.file_of(q.reference), q.captions[0]) for q in world.data.unit.queries]
    alone = [searcher.search(*question).results for question in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda question: searcher.search(*question).results, asked * 3))
    assert together == alone * 3


def test_a_searcher_goes_over_to_the_new_state(small: Path, host: PluginHost) -> None:
    with Searcher.open(small, host=host) as searcher:
        assert not searcher.reload_if_stale()
        before = searcher.search(text="a red circle", k=50)
        draw(small.parent / "pictures/new.jpg", 99)
        update_index(small, host=host)
        assert searcher.search(text="a red circle", k=50).results == before.results  # the old state still answers
        assert searcher.reload_if_stale() and not searcher.reload_if_stale()
        after = searcher.search(text="a red circle", k=50)
        assert after.total == 13 and "new.jpg" in {hit.id for hit in after.results}


def test_an_update_disturbs_no_search(small: Path, host: PluginHost) -> None:
    known = {f"00/{number:05d}.jpg" for number in range(12)} | {f"new{number}.jpg" for number in range(4)}
    with Searcher.open(small, host=host) as searcher, ThreadPoolExecutor(4) as pool:
        feature, stop = searcher.encode(small.parent / "pictures/00/00000.jpg"), threading.Event()

        def ask() -> list[tuple[int, bool]]:
            seen = []
            while not stop.is_set():
                answer = searcher.search(feature, k=50, where=["path~*.jpg"])
                seen.append((answer.total, {hit.id for hit in answer.results} <= known))
            return seen

        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(4):
            draw(small.parent / f"pictures/new{number}.jpg", 90 + number)
            update_index(small, host=host)
            assert searcher.reload_if_stale()
        stop.set()
        seen = [answer for each in asking for answer in each.result()]
    assert {good for _, good in seen} == {True}
    assert {total for total, _ in seen} <= {12, 13, 14, 15, 16} and len({total for total, _ in seen}) > 1


class Brute:
    """A store as another package would bring it: it looks at everything, and never twice at the same."""

    name = "brute"

    @dataclass(frozen=True)
    class Options:
        scale: float = 1.0

    opened: ClassVar[list[Brute]] = []

    def __init__(self, units: np.ndarray, scale: float) -> None:
        self.units, self.scale, self.closed = units, scale, False

    @classmethod
    def build(cls, folder: Path, vectors: Any, options: Any, progress: Any) -> None:
        np.save(folder / "units.npy", vectors.units(slice(None)))

    @classmethod
    def open(cls, folder: Path, vectors: Any, options: Any) -> Brute:
        cls.opened.append(cls(np.load(folder / "units.npy"), options.scale))
        return cls.opened[-1]

    def search(self, queries: np.ndarray, k: int, allowed: Any = None) -> tuple[np.ndarray, np.ndarray]:
        scores = queries @ self.units.T * self.scale
        scores[:, ~(allowed if allowed is not None else np.ones(len(self.units), bool))] = -np.inf
        rows = np.argsort(-scores, axis=1)[:, :k]
        best = np.take_along_axis(scores, rows, 1).astype(np.float32)
        return np.where(np.isinf(best), -1, rows), best

    def close(self) -> None:
        self.closed = True


def test_a_store_of_another_package_answers_the_same(twelve: Searcher, tmp_path: Path) -> None:
    package = ModuleType("brute")
    package.register_index_stores = hookimpl(lambda register: register("brute", Brute))  # type: ignore[attr-defined]
    package.register_index_stores.__name__ = "register_index_stores"
    theirs = load_plugins(entry_points=[], modules={"brute": package})
    pictures = Path(twelve.index.config.folder)
    # Scores that are off by a third are a store's own business: the best are scored again.
    index_folder(tmp_path / "my.mota", pictures, host=theirs, store="brute", store_options={"scale": 0.7})
    with Searcher.open(tmp_path / "my.mota", host=theirs) as searcher:
        for where in ([], ["path!=00/00003.jpg"]):
            ours, answer = (each.search(text="a red circle", k=5, where=where) for each in (twelve, searcher))
            assert answer.results == tuple(replace(hit, metadata={}) for hit in ours.results)
    assert [store.scale for store in Brute.opened] == [0.7] and Brute.opened[0].closed


def test_a_state_in_use_is_closed_by_its_last_user(
    small: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = Searcher.open(small, host=host)
    closed: list[Index] = []
    close = Index.close
    monkeypatch.setattr(Index, "close", lambda index: (closed.append(index), close(index))[1])
    with searcher._current.using() as state:
        searcher.close()
        assert not closed
        assert state.index.entries.find("00/00003.jpg") is not None
    assert closed == [state.index]
    searcher.close()
    with pytest.raises(UsageError, match="closed"):
        searcher.search(text="a red circle")


def test_a_state_that_cannot_be_opened_leaves_the_old_one(small: Path, host: PluginHost) -> None:
    with Searcher.open(small, host=host) as searcher:
        draw(small.parent / "pictures/new.jpg", 99)
        update_index(small, host=host)
        shutil.rmtree(small / "states")
        with pytest.raises(MotaError):
            searcher.reload_if_stale()
        assert searcher.search(text="a red circle", k=50).total == 12


def test_importing_the_package_stays_cheap() -> None:
    code = "import sys, motacli; print('Searcher' in motacli.__all__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"] and motacli.Searcher is Searcher
