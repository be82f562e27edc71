"""A store that keeps rows elsewhere is told of every state that is removed, and may fail without harm."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from picture_folders import draw_all

from motacli import MotaError, hookimpl, load_plugins
from motacli.console import NullProgress
from motacli.plugins import PluginHost
from motacli.search.building import index_folder, update_index
from motacli.search.exact import ExactStore
from motacli.search.galleries import Galleries
from motacli.search.index import Index
from motacli.search.stores import StoreChoice


class Elsewhere(ExactStore):
    """Notes what is kept, by the name that a build gave it."""

    name = "elsewhere"
    kept: ClassVar[list[str]] = []
    down = False

    @classmethod
    def build(cls, folder: Path, vectors: Any, options: Any, progress: Any) -> None:
        cls.kept.append(f"rows of {len(vectors)}")
        (folder / "place").write_text(cls.kept[-1])

    @classmethod
    def forget(cls, folder: Path, options: Any) -> None:
        if cls.down:
            raise MotaError("nobody answers")
        cls.kept.remove((folder / "place").read_text())


class Warned(NullProgress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    monkeypatch.setattr(Elsewhere, "kept", [])
    module = ModuleType("theirs")
    hook = hookimpl(lambda register: register("elsewhere", Elsewhere), specname="register_index_stores")
    module.register_index_stores = hook  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"theirs": module})


def test_the_old_state_is_forgotten(
    tmp_path: Path, stores: PluginHost, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motacli.models import BackboneChoice

    pictures, path, progress = tmp_path / "pictures", tmp_path / "my.mota", Warned()
    draw_all(pictures, 5)
    index_folder(path, pictures, host=stores, choice=BackboneChoice("tiny", device="cpu"), store="elsewhere")
    assert Elsewhere.kept == ["rows of 5"]
    draw_all(pictures, 7)
    update_index(path, host=stores, progress=progress)
    assert Elsewhere.kept == ["rows of 7"] and not progress.warnings
    monkeypatch.setattr(Elsewhere, "down", True)
    draw_all(pictures, 8)
    update_index(path, host=stores, progress=progress)
    assert Elsewhere.kept == ["rows of 7", "rows of 8"]
    assert progress.warnings == ["store 'elsewhere' keeps what is not needed any more: nobody answers"]
    with Index.open(path) as index:
        assert len(index.entries) == 8


def test_a_gallery_is_forgotten(stores: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the evaluation; a store that fails to is told, as its rows stay where they are."""
    gallery, progress = np.eye(6, dtype=np.float32), Warned()
    galleries = Galleries(StoreChoice("elsewhere"), stores, progress)
    with galleries.holding(gallery) as store:
        assert Elsewhere.kept == ["rows of 6"] and store.search(gallery, 1)[0].ravel().tolist() == list(range(6))
    assert Elsewhere.kept == []
    with pytest.raises(ZeroDivisionError), galleries.holding(gallery):
        raise ZeroDivisionError
    assert Elsewhere.kept == [] and not progress.warnings
    monkeypatch.setattr(Elsewhere, "down", True)
    with galleries.holding(gallery):
        pass
    assert progress.warnings == ["store 'elsewhere' keeps what is not needed any more: nobody answers"]
