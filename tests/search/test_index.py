"""An index that is open for reading."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_folders import draw, draw_all

from motacli.adapters.files import save_adapter, state_digest
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.errors import DataError, UsageError
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.search.building import index_folder, update_index
from motacli.search.index import Index


@pytest.fixture
def index_path(tmp_path: Path, host: PluginHost) -> Path:
    draw_all(tmp_path / "pictures", 9)
    index_folder(tmp_path / "my.mota", tmp_path / "pictures", host=host)
    return tmp_path / "my.mota"


def make_adapter(folder: Path, host: PluginHost, backbone: Any, phi: Any) -> Any:
    component = host.component("adapters", "mota")
    torch.manual_seed(3)
    adapter = component.make(backbone, component.load().Options())  # type: ignore[attr-defined]
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    digest = state_digest(phi)
    save_adapter(folder, adapter, inversion=phi.name, backbone=backbone, about={}, inversion_digest=digest)
    return adapter.eval()


def test_it_answers_by_itself_wherever_it_is_moved(tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> None:
    """Pictures, weights and the run folders it was made from may all be gone."""
    draw_all(tmp_path / "pictures", 9)
    phi = load_inversion(host, "lincir", tiny_backbone)
    adapter = make_adapter(tmp_path / "run", host, tiny_backbone, phi)
    path = tmp_path / "my.mota"
    how: dict[str, Any] = {"inversion": "lincir", "adapter": tmp_path / "run"}
    index_folder(path, tmp_path / "pictures", host=host, **how)
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(tmp_path / "pictures")
    with Index.open(shutil.move(path, tmp_path / "moved.mota")) as index:
        backbone = index.load_backbone(host, "cpu")
        inversion = index.load_inversion(host, backbone)
        assert inversion is not None
        mine = index.load_adapter(host, backbone, inversion)
        assert mine is not None
        features = torch.from_numpy(index.vectors.stored[:4].astype(np.float32))
        prompts = [tokenize_prompt(backbone, Prompt("a photo of", "that is red"))] * 4
        with torch.no_grad():
            composed = mine.compose(backbone, inversion, features, prompts)
            wanted = adapter.compose(tiny_backbone, phi, features, prompts)
        torch.testing.assert_close(composed, wanted, atol=0, rtol=0)
        assert (index.config.inversion, index.config.adapter) == ("lincir", "mota")
        rows, _ = index.open_store(host).search(index.vectors.units(np.arange(9)), 1)
        assert rows[:, 0].tolist() == list(range(9))


def test_an_inversion_from_a_run_or_a_file_is_copied(tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> None:
    from motacli.inversions.files import read_record, save_inversion

    draw_all(tmp_path / "pictures", 3)
    phi: Any = load_inversion(host, "searle", tiny_backbone)
    recipe = {"steps": 3}
    save_inversion(tmp_path / "run/inversion.safetensors", phi, backbone=tiny_backbone, recipe=recipe)
    torch.save(phi.state_dict(), tmp_path / "plain.pt")
    choices: list[dict[str, Any]] = [
        {"inversion": str(tmp_path / "run")},
        {"inversion": "searle", "inversion_weights": tmp_path / "run/inversion.safetensors"},
        {"inversion": "searle", "inversion_weights": tmp_path / "plain.pt"},
        {"inversion": "searle"},
    ]
    for number, choice in enumerate(choices):
        path = tmp_path / f"{number}.mota"
        index_folder(path, tmp_path / "pictures", host=host, **choice)
        with Index.open(path) as index:
            assert index.config.inversion == "searle"
            assert state_digest(index.load_inversion(host, tiny_backbone)) == state_digest(phi)
            assert index.config.inversion_digest == state_digest(phi)
        record = read_record(path / "inversion.safetensors")
        assert record is not None and record.recipe == (recipe if number < 2 else {})


def test_an_inversion_without_weights(tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> None:
    draw_all(tmp_path / "pictures", 3)
    index_folder(tmp_path / "my.mota", tmp_path / "pictures", host=host, inversion="searle-oti")
    with Index.open(tmp_path / "my.mota") as index:
        found = index.load_inversion(host, tiny_backbone)
        assert found is not None and found.name == "searle-oti"
        assert not (tmp_path / "my.mota/inversion.safetensors").exists()


def test_without_parts(index_path: Path, host: PluginHost, tiny_backbone: Any) -> None:
    with Index.open(index_path) as index:
        assert index.load_inversion(host, tiny_backbone) is None
        assert index.load_adapter(host, tiny_backbone, None) is None
        assert index.thumbnail(index.entries.get([0])[0]) is None


def test_a_reader_goes_on_while_the_index_is_updated(index_path: Path, host: PluginHost, tmp_path: Path) -> None:
    index = Index.open(index_path)
    store = index.open_store(host)
    queries = index.vectors.units(np.arange(9))
    before, entries = store.search(queries, 4), list(index.entries)
    assert not index.is_stale()
    for number in range(3):
        draw(tmp_path / f"pictures/a{number}.jpg", 100 + number)
        update_index(index_path, host=host)
    assert index.is_stale() and index.generation == 1
    assert not index.state.exists()
    for one, other in zip(store.search(queries, 4), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(index.entries) == entries
    with Index.open(index_path) as again:
        assert again.generation == 4 and len(again.entries) == 12 and not again.is_stale()


def test_a_state_that_is_removed_while_it_is_opened(
    index_path: Path, host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motacli.search import index as module

    read, updates = module.read_config, iter(range(2))

    def slow(path: Path) -> Any:
        config = read(path)
        if (number := next(updates, None)) is not None:  # an update comes between reading and opening
            draw(tmp_path / f"pictures/a{number}.jpg", 100 + number)
            with monkeypatch.context() as undisturbed:
                undisturbed.setattr(module, "read_config", read)
                update_index(index_path, host=host)
        return config

    monkeypatch.setattr(module, "read_config", slow)
    assert Index.open(index_path).generation == 3


def test_pictures_are_only_read_from_inside_the_folder(index_path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    with Index.open(index_path) as index:
        first, second, third, fourth, fifth = index.entries.get(range(5))
        assert index.picture(first) == tmp_path / "pictures" / first.id
        index.picture(second).unlink()
        os.symlink(secret, tmp_path / "pictures" / second.id)
        index.picture(third).unlink()
        (tmp_path / "pictures" / third.id).mkdir()
        index.picture(fourth).unlink()
        index.picture(fifth).unlink()
        os.symlink(Path(fifth.id).name, tmp_path / "pictures" / fifth.id)
        from dataclasses import replace

        ways_out = [
            replace(first, path=path) for path in ("../secret.jpg", str(secret), "00/../../secret.jpg", ".", "")
        ]
        for entry in (second, third, fourth, fifth, *ways_out):
            with pytest.raises(DataError, match="not in its folder any more"):
                index.picture(entry)


def test_pictures_elsewhere(index_path: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "pictures", tmp_path / "elsewhere")
    with Index.open(index_path, tmp_path / "elsewhere") as index:
        first = index.entries.get([0])[0]
        assert index.picture(first) == tmp_path / "elsewhere" / first.id
    with pytest.raises(UsageError, match="no such folder"):
        Index.open(index_path, tmp_path / "nowhere")


def test_another_backbone_is_refused_by_what_differs(
    index_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch, tiny_backbone: Any
) -> None:
    config = json.loads((index_path / "index.json").read_text())
    config["preprocess"] = "targetpad"
    (index_path / "index.json").write_text(json.dumps(config))
    with (
        Index.open(index_path) as index,
        pytest.raises(DataError, match=r"what differs: preprocess \(clip, not target"),
    ):
        index.load_backbone(host)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("index.json", lambda text: text[:50], "not valid JSON"),
        ("index.json", lambda text: "[]", "format None"),
        ("index.json", lambda text: text.replace('"format": 1', '"format": 2'), "format 2 is not 1"),
        ("index.json", lambda text: text.replace('"rows": 9', '"rows": 8'), "damaged"),
        ("index.json", lambda text: text.replace('"rows": 9', '"rows": "many"'), "rows"),
        ("index.json", lambda text: text.replace('"state": 1', '"state": 7'), "000007"),
    ],
)
def test_damage_is_told(index_path: Path, name: str, change: Any, said: str) -> None:
    file = index_path / name
    file.write_text(change(file.read_text()))
    with pytest.raises(Exception, match=said) as error:
        Index.open(index_path)
    assert type(error.value).__module__ == "motacli.errors"


def test_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        Index.open(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no index.json in it.*mota index FOLDER"):
        Index.open(tmp_path)
