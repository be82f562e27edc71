"""Search indexes of small tiny-world benchmarks, and an adapter that changes what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from motacli.adapters.files import load_adapter, save_adapter, state_digest
from motacli.evaluating import UnitData, load_units
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.query_sources import Composed
from motacli.search.building import index_folder
from motacli.tiny.mini import write_circo, write_cirr

WORLDS: dict[str, tuple[Callable[..., None], str]] = {
    "circo": (partial(write_circo, queries=16, others=120), "COCO2017_unlabeled/unlabeled2017"),
    "cirr": (partial(write_cirr, sets=10), "dev"),
}


@dataclass(frozen=True)
class TinyIndex:
    """A benchmark, an index of its pictures, and how `mota eval` sees both."""

    path: Path
    pictures: Path
    data: UnitData
    source: Composed
    root: Path

    def id_of(self, image: str) -> str:
        """A picture's id in the index."""
        return self.data.unit.images[image].path.relative_to(self.pictures).as_posix()

    def file_of(self, image: str) -> Path:
        return self.data.unit.images[image].path


def random_adapter(folder: Path, host: PluginHost, backbone: Any, inversion: Any) -> Path:
    """An adapter on disk whose weights are random: a fresh one changes nothing."""
    build: Any = host.component("adapters", "mota").load()
    torch.manual_seed(1)
    adapter = build(backbone, build.Options())
    for parameter in adapter.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    digest = state_digest(inversion)
    save_adapter(folder, adapter, inversion=inversion.name, backbone=backbone, about={}, inversion_digest=digest)
    return folder


def tiny_index(root: Path, name: str, host: PluginHost, backbone: Any, **how: Any) -> TinyIndex:
    """Draw a benchmark and index its pictures, by default in float32 with ``lincir`` and an adapter."""
    write, below = WORLDS[name]
    data = root / name
    write(data, 3, "val")
    [unit] = load_units(host.component("benchmarks", name).make(), data, backbone)
    inversion = load_inversion(host, "lincir", backbone)
    adapter = random_adapter(root / "adapter", host, backbone, inversion)
    options: dict[str, Any] = {"dtype": "float32", "inversion": "lincir", "adapter": adapter, **how}
    index_folder(root / "my.mota", data / below, host=host, **options)
    source = Composed(inversion, load_adapter(host, adapter, backbone, inversion))
    return TinyIndex(root / "my.mota", data / below, unit, source, data)
