"""Broken pictures: what they do to queries, and going on without them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.genecis import GeneCIS
from motacli.benchmarks.integrity import BrokenPicture, affected_queries, drop_broken, find_broken, layout_remarks
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
        write_genecis(tmp_path, 1, "val", queries=3)
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
    from motacli.benchmarks import integrity

    real = integrity.open_image
    monkeypatch.setattr(integrity, "open_image", lambda ref: opened.append(ref.path) or real(ref))
    first, second = find_broken([unit, unit], workers=3)
    assert opened == [tmp_path / "a.png"] and first == second
    assert {id: picture.kind for id, picture in first.items()} == {"out": "box outside"}


def test_layout_remarks_tell_absent_from_half_full_nested_and_packed(tmp_path: Path) -> None:
    write_cirr(tmp_path, 1, "val", sets=2)
    folder = tmp_path / "dev"
    (unit,) = CIRR().load(tmp_path)

    def remarks() -> list[str]:
        return layout_remarks(find_broken(CIRR().load(tmp_path))[0])

    assert remarks() == []
    gone = next(iter(unit.images.values())).path
    content = gone.read_bytes()
    gone.unlink()
    files = len(list(folder.iterdir()))
    assert remarks() == [f"{folder} is incomplete: {files} files are there and 1 pictures are missing"]
    gone.write_bytes(content)
    folder.rename(tmp_path / "packed")
    (tmp_path / "dev.zip").write_bytes(b"")
    (absent,) = remarks()
    assert f"dev does not exist: {len(unit.images)} pictures belong there" in absent and "dev.zip" in absent
    folder.mkdir()
    shutil.move(tmp_path / "packed", folder / "dev")
    (nested,) = remarks()
    assert f"lies in {folder / 'dev'}: move its contents up" in nested
