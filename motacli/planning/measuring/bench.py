"""What all measurements share: a backbone, rows of a source, a folder, and the rates found so far."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from motacli.bench.machine import this_machine
from motacli.console import Progress
from motacli.contracts import Backbone, ImageText
from motacli.datasets import open_source
from motacli.errors import DataError
from motacli.planning.measuring.options import MeasureOptions
from motacli.planning.rates import Rate
from motacli.plugins import PluginHost
from motacli.triplets.pictures import image_bytes


@dataclass
class Bench:
    """``source`` has at least `MeasureOptions.rows` rows and a quarter more."""

    host: PluginHost
    options: MeasureOptions
    folder: Path
    source: str
    backbone: Backbone
    progress: Progress
    rates: dict[str, Rate] = field(default_factory=dict)
    conditions: dict[str, dict[str, object]] = field(default_factory=dict)
    _paths: Counter[str] = field(default_factory=Counter)

    def rows(self, start: int, stop: int) -> Iterator[ImageText]:
        """Rows as they are read from the source."""
        return islice(iter(open_source(self.source, id_column="")), start, stop)

    @cached_property
    def items(self) -> list[ImageText]:
        """The rows of the larger run."""
        found = list(self.rows(0, self.options.rows))
        if len(found) < self.options.rows:
            raise DataError(
                f"{self.source} has {len(found)} rows, and {self.options.rows} are to be measured", "give fewer --rows"
            )
        return found

    @cached_property
    def threads(self) -> int:
        """Threads that the model computes in."""
        import torch

        return int(torch.get_num_threads())

    @property
    def is_cpu(self) -> bool:
        """Whether the model runs on cores."""
        return str(self.backbone.device).startswith("cpu")

    @property
    def unit(self) -> tuple[str, float]:
        """How keys of the model's rates end, and how many such units worked on them."""
        return ("per_core", self.threads) if self.is_cpu else ("per_gpu", 1)

    def path(self, name: str, suffix: str = "") -> Path:
        """A path that is not taken: ``name-000``, then ``name-001``."""
        self._paths[name] += 1
        return self.folder / f"{name}-{self._paths[name] - 1:03d}{suffix}"

    def condition(self, name: str, **more: Any) -> str:
        """Note what rates are measured on, and give its name."""
        options, machine = self.options, this_machine()
        self.conditions[name] = {
            "model": options.choice.model,
            "fingerprint": self.backbone.fingerprint(),
            "device": str(self.backbone.device),
            "threads": self.threads,
            "workers": options.workers,
            "batch_size": options.batch_size,
            "rows": f"{options.small} and {options.rows}",
            "runs": options.runs,
            "source": "drawn pictures" if options.pictures is None else options.pictures,
            **more,
            "cpu": machine.cpu,
            "cores": machine.cores,
            "versions": machine.versions,
            "date": datetime.now(UTC).date().isoformat(),
        }
        return name


def copied(items: Iterable[ImageText], folder: Path) -> Path:
    """Copy pictures below ``folder/images``, with ``captions.jsonl`` beside it: a source of its own."""
    pictures = folder / "images"
    pictures.mkdir(parents=True)
    lines = []
    for number, item in enumerate(items):
        name = f"{number:06d}{Path(item.image.member or item.image.path).suffix}"
        (pictures / name).write_bytes(image_bytes(item.image))
        lines.append(json.dumps({"image": f"images/{name}", "caption": item.caption}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def lengths(texts: Sequence[str]) -> list[int]:
    """UTF-8 bytes of texts."""
    return [len(text.encode()) for text in texts]
