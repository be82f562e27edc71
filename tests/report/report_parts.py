"""Reports small enough to be read whole, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from motacli.contracts import ImageRef
from motacli.report import BaselineRow, Hit, InversionRow, Report, ReportTable, Routing, SampleQuery, Score

TABLE = ReportTable(
    columns=[("CIRR", "R@10"), ("GeneCIS", "R@1")],
    baselines=[BaselineRow("text only", [Score(20.0), Score(10.0)])],
    inversions=[
        InversionRow(
            "SEARLE",
            base=[Score(30.0), Score(12.0)],
            adapted=[Score(40.0, 0.5), None],
            base_fused=[Score(36.0), None],
            adapted_fused=[Score(35.0, 0.4), None],
        )
    ],
    note="Three seeds.",
)
"""The second column is unknown for the adapter."""


class Parts:
    """Makes parts of reports whose pictures lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, id: str, size: tuple[int, int] = (8, 8)) -> ImageRef:
        """A picture of noise."""
        path = self.folder / f"{id}.png"
        noise = np.random.default_rng(len(id)).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(path)
        return ImageRef(id, path)

    def sample(self, before: int | None, after: int | None, caption: str = "is blue", length: int = 12) -> SampleQuery:
        """A sample whose target has the given ranks in rankings of ``length``; None: it is not there."""
        right, wrong = self.image("right"), self.image("wrong")

        def hits(rank: int | None) -> list[Hit]:
            return [Hit(right if n == rank else wrong, 1 - n / 100, n == rank) for n in range(1, length + 1)]

        return SampleQuery("CIRR", caption, "colour", self.image("reference"), hits(before), hits(after))

    def report(self, *samples: SampleQuery) -> Report:
        """A report with every section."""
        return Report(
            title="A title",
            summary="A summary.",
            table=TABLE,
            samples=samples or [self.sample(4, 1), self.sample(2, None)],
            routing=Routing(["colour", "count"], 2, [[0.25, 0.75], [0.5, 0.5]]),
            commands=["mota tiny make world --seed 0", "mota ls"],
            facts={"Versions": {"mota": "1"}, "Run": {"device": "cpu", "seed": "0"}},
            inversion="SEARLE",
        )
