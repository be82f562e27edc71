"""A world on disk: the same bytes for the same seed, whole after interruptions, and readable by the real loaders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.benchmarks.images import require_images
from motacli.contracts import EvalUnit
from motacli.datasets import open_image, open_source
from motacli.errors import DataError, UnknownNameError
from motacli.plugins import PluginHost
from motacli.tiny import make, mini_genecis
from motacli.tiny.edits import TYPES
from motacli.tiny.mini import MODIFICATIONS, write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import Case, write_genecis
from motacli.tiny.renderer import SIZE
from motacli.tiny.world import valid

SMALL = {
    "fashioniq": partial(write_fashioniq, queries=4),
    "cirr": partial(write_cirr, sets=3),
    "circo": partial(write_circo, queries=5, others=10),
    "genecis": partial(write_genecis, queries=3, others=30),
}


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Worlds of a few dozen pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "WRITERS", SMALL)
        patch.setattr(make, "make_pairs", partial(make.make_pairs, count=30))
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "w"
    make.make_world(root, 3)
    return root


def contents(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def units(host: PluginHost, world: Path, name: str, split: str = "test") -> list[EvalUnit]:
    found: list[EvalUnit] = host.component("benchmarks", name).load()().load(world / split / name)
    return found


def test_the_same_seed_writes_the_same_bytes(world: Path, tmp_path: Path) -> None:
    make.make_world(tmp_path / "again", 3)
    assert contents(tmp_path / "again") == contents(world)


def test_another_seed_writes_other_pictures_and_texts(world: Path, tmp_path: Path) -> None:
    make.make_world(tmp_path / "other", 4, ("train",))
    other, here = contents(tmp_path / "other"), contents(world)
    assert {name for name in other if other[name] == here.get(name)} == set()


def test_an_interrupted_make_goes_on(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def writer(name: str, fail: bool) -> Any:
        def write(part: Path, seed: int, split: str) -> None:
            calls.append(name)
            SMALL[name](part, seed, split)
            if fail:
                raise KeyboardInterrupt

        return write

    root = tmp_path / "w"
    monkeypatch.setattr(make, "WRITERS", {name: writer(name, name == "cirr") for name in SMALL})
    with pytest.raises(KeyboardInterrupt):
        make.make_world(root, 3)
    assert not (root / "test" / "cirr").exists() and calls == ["fashioniq", "cirr"]
    monkeypatch.setattr(make, "WRITERS", {name: writer(name, False) for name in SMALL})
    make.make_world(root, 3)
    assert calls == ["fashioniq", "cirr", "cirr", "circo", "genecis"]
    assert contents(root) == contents(world)


def test_a_world_of_another_seed_is_left_alone(world: Path) -> None:
    before = contents(world)
    with pytest.raises(DataError, match="another seed"):
        make.make_world(world, 4)
    assert contents(world) == before


def test_every_query_has_a_modification_type(world: Path, host: PluginHost) -> None:
    for name in SMALL:
        kinds = json.loads((world / "test" / name / MODIFICATIONS).read_text())
        assert {unit.name: len(unit.queries) for unit in units(host, world, name)} == {
            unit: len(labels) for unit, labels in kinds.items()
        }
        assert {kind for labels in kinds.values() for kind in labels} <= {*TYPES, "conjunction", "focus"}


def test_an_unknown_split_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="tset"):
        make.make_world(tmp_path / "w", 0, ("train", "tset"))
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("name", SMALL)
def test_the_real_loaders_read_it(name: str, world: Path, host: PluginHost) -> None:
    found = units(host, world, name)
    assert found and all(unit.queries for unit in found)
    for unit in found:
        require_images(unit)
        gallery = set(unit.gallery)
        for query in unit.queries:
            assert query.targets and all(query.captions)
            assert set(query.targets) <= gallery | set(query.candidates)
            assert query.reference not in query.targets
            assert query.reference in unit.images


def test_pairs_are_an_image_text_set(world: Path) -> None:
    rows = list(open_source(world / "train" / make.CAPTION_FILE))
    assert len(rows) == 30 and len({row.image.id for row in rows}) == 30
    assert all(open_image(row.image).size == (SIZE, SIZE) for row in rows)


def test_cirr_sets_hold_their_target(world: Path, host: PluginHost) -> None:
    (unit,) = units(host, world, "cirr")
    for query in unit.queries:
        assert query.targets[0] in query.subset and query.reference not in query.subset and len(query.subset) == 5


def test_genecis_boxes_cut_out_whole_scenes(world: Path, host: PluginHost) -> None:
    (unit,) = [unit for unit in units(host, world, "genecis") if unit.name == "genecis_focus_attribute"]
    boxed = [image for image in unit.images.values() if image.box is not None]
    assert {image.box[0] >= SIZE for image in boxed if image.box} == {True, False}
    sides = {side for image in boxed for side in open_image(image).size}
    assert sides and max(abs(side - SIZE) for side in sides) <= 1


def test_every_genecis_gallery_has_one_right_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are read back into scenes: what was rendered is remembered in the order of the picture ids."""
    rendered: list[np.ndarray] = []
    cases: list[Case] = []
    draws = dict(mini_genecis.TASKS)

    def remember(scenes: Any, rng: Any) -> np.ndarray:
        rendered.append(scenes)
        return np.zeros((len(scenes), SIZE, SIZE, 3), np.uint8)

    def recording(draw: Any) -> Any:
        def drawn(source: Any) -> Case | None:
            case: Case | None = draw(source)
            if case is not None and valid(case.target[None], "val")[0]:
                cases.append(case)
            return case

        return drawn

    monkeypatch.setattr(mini_genecis, "render", remember)
    monkeypatch.setattr(mini_genecis, "TASKS", {name: recording(draw) for name, draw in draws.items()})
    write_genecis(tmp_path, 1, "val", queries=12, others=60)
    assert len(rendered) == len(draws) and len(cases) == 12 * len(draws)
    for stream, (task, scenes) in enumerate(zip(draws, rendered, strict=True)):
        entries = json.loads((tmp_path / "genecis" / f"{task}.json").read_text())
        for entry, case in zip(entries, cases[12 * stream : 12 * stream + 12], strict=True):
            reference, target, *wrong = (
                scenes[row(where, 100_000 * (stream + 1))]
                for where in (entry["reference"], entry["target"], *entry["gallery"])
            )
            assert (reference == case.reference).all() and case.right(target)
            assert not any(case.right(scene) for scene in wrong), (task, case.condition)
            assert len(wrong) == mini_genecis.GALLERY[task] - 1


def row(where: dict[str, Any], first: int) -> int:
    if "val_image_id" in where:
        return int(where["val_image_id"]) - first
    return 2 * (int(where["image_id"]) - first) + (where["instance_bbox"][0] >= SIZE)
