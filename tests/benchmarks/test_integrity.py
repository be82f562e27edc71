"""Broken pictures: what they do to queries, and going on without them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli.benchmarks import integrity
from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.genecis import GeneCIS
from motacli.benchmarks.integrity import BrokenPicture, affected_queries, drop_broken, find_broken
from motacli.console import NullProgress
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.errors import DataError
from motacli.evaluation import score_unit
from motacli.tiny.mini import write_circo, write_cirr
from motacli.tiny.mini_genecis import write_genecis


def broken(*ids: str) -> dict[str, BrokenPicture]:
    return {id: BrokenPicture(id, Path(f"{id}.png"), "missing", "gone") for id in ids}


def make_unit(*queries: Query) -> EvalUnit:
    ids = tuple("abcdefgh")
    images = {id: ImageRef(id, Path(f"{id}.png")) for id in ids}
    return EvalUnit("unit", "bench", "val", queries, ids, images, ("R@1",))


QUERIES = (
    Query("0", "a", ("",), ("b", "c"), subset=("b", "d")),
    Query("1", "b", ("",), ("e",), candidates=("e", "f")),
    Query("2", "g", ("",), ("h",)),
)


def test_affected_queries_say_as_what() -> None:
    unit = make_unit(*QUERIES)
    found = {
        id: [(query.id, query.role) for query in affected_queries(unit, broken(id))]
        for id in ("a", "b", "c", "d", "e", "f")
    }
    assert found == {
        "a": [("0", "reference")],
        "b": [("0", "target"), ("1", "reference")],
        "c": [("0", "further target")],
        "d": [("0", "subset")],
        "e": [("1", "target")],
        "f": [("1", "candidate")],
    }


def test_dropping_takes_queries_only_with_their_reference_or_annotated_target() -> None:
    unit = make_unit(*QUERIES)
    kept, dropped = drop_broken(unit, broken("c", "d", "f", "h"))
    assert [query.id for query in kept.queries] == ["0", "1"]
    assert (kept.queries[0].targets, kept.queries[0].subset) == (("b",), ("b",))
    assert kept.queries[1].candidates == ("e",) and kept.gallery == ("a", "b", "e", "g")
    assert set(kept.images) == set(kept.gallery)
    assert [(query.id, query.role, query.picture) for query in dropped.queries] == [("2", "target", "h")]
    assert (dropped.targets, dropped.subsets, dropped.candidates) == ({"0": ("c",)}, {"0": ("d",)}, {"1": ("f",)})
    assert dropped.counts == {"queries": (3, 2), "gallery": (8, 4)}
    assert [picture.id for picture in dropped.pictures] == ["c", "d", "f", "h"]
    same, nothing = drop_broken(unit, {})
    assert same == unit and nothing.counts == {"queries": (3, 3), "gallery": (8, 8)}
    with pytest.raises(DataError, match="no query is left"):
        drop_broken(unit, broken("a", "b", "g"))


@pytest.mark.parametrize(("benchmark", "name"), [(CIRR(), "cirr"), (CIRCO(), "circo"), (GeneCIS(), "genecis")])
def test_what_is_left_is_a_whole_unit(benchmark: Any, name: str, tmp_path: Path) -> None:
    """It can be scored by all of its metrics, and what went is in no ranking."""
    if name == "cirr":
        write_cirr(tmp_path, 1, "val", sets=3)
    elif name == "circo":
        write_circo(tmp_path, 1, "val", queries=5, others=8)
    else:
        write_genecis(tmp_path, 1, "val", queries=3, others=30)
    unit = benchmark.load(tmp_path)[0]
    lost = broken(unit.queries[0].reference, unit.queries[1].targets[0], unit.gallery[-1])
    kept, _ = drop_broken(unit, lost)
    features = dict(zip(unit.gallery, np.random.default_rng(0).standard_normal((len(unit.gallery), 6)), strict=True))
    gallery = np.array([features[id] for id in kept.gallery], dtype=np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    rows = {id: row for row, id in enumerate(kept.gallery)}
    queries = gallery[[rows[query.reference] for query in kept.queries]]
    result = score_unit(kept, gallery, queries, keep_top=3)
    assert result.n == len(kept.queries) < len(unit.queries) and set(result.metrics) == set(unit.metrics)
    assert result.top is not None and not {id for ids in result.top.ids for id in ids} & set(lost)


def test_a_file_is_decoded_once_however_many_boxes_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    inside, outside = (1.0, 1.0, 5.0, 5.0), (40.0, 1.0, 5.0, 5.0)
    images = {id: ImageRef(id, tmp_path / "a.png", box) for id, box in (("in", inside), ("out", outside))}
    unit = EvalUnit("u", "b", "val", (), ("in", "out"), images, ())
    opened: list[Path] = []
    real = integrity.open_image
    monkeypatch.setattr(integrity, "open_image", lambda ref: opened.append(ref.path) or real(ref))
    first, second = find_broken([unit, unit], workers=3)
    assert opened == [tmp_path / "a.png"] and first == second
    assert {id: picture.kind for id, picture in first.items()} == {"out": "box outside"}


def test_what_is_no_file_is_told_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()
    (tmp_path / "c.png").symlink_to("nowhere.png")
    (tmp_path / "d.png").symlink_to("d.png")
    (tmp_path / "e.png").touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "f.png")
    (tmp_path / "g.png").symlink_to("f.png")
    (tmp_path / "h.png").symlink_to("/dev/null")  # of no bytes, and no file
    paths = {id: tmp_path / f"{id}.png" for id in "abcdefgh"} | {"in a file": tmp_path / "f.png" / "a.png"}
    images = {id: ImageRef(id, path) for id, path in paths.items()}
    (found,) = find_broken([EvalUnit("u", "b", "val", (), tuple(images), images, ())])
    assert {id: picture.kind for id, picture in found.items()} == {
        "a": "missing",
        "b": "undecodable",
        "c": "missing",
        "d": "undecodable",
        "e": "empty",
        "h": "undecodable",
        "in a file": "missing",
    }
    assert "directory" in found["b"].reason.lower()


def test_a_file_that_may_not_be_read_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ref: ImageRef) -> Image.Image:
        raise DataError(f"cannot decode {ref.path}: Permission denied")

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(integrity, "open_image", refuse)
    (found,) = find_broken([EvalUnit("u", "b", "val", (), ("a",), {"a": ImageRef("a", tmp_path / "a.png")}, ())])
    assert found["a"].kind == "undecodable" and "Permission denied" in found["a"].reason


def test_an_interrupt_does_not_wait_for_the_pictures_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(NullProgress):
        def track(self, items: Iterable[Any], description: str = "", total: int | None = None) -> Iterator[Any]:
            for item in items:
                yield item
                raise KeyboardInterrupt

    opened: list[str] = []

    def slow(ref: ImageRef) -> Image.Image:
        opened.append(str(ref.path))
        time.sleep(0.005)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(integrity, "open_image", slow)
    images = {str(number): ImageRef(str(number), Path(f"{number}.png")) for number in range(400)}
    with pytest.raises(KeyboardInterrupt):
        find_broken([EvalUnit("u", "b", "val", (), tuple(images), images, ())], workers=2, progress=Interrupted())
    assert 0 < len(opened) < 100
