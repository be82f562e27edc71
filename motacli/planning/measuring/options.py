"""What rates are measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from motacli.models import BackboneChoice


@dataclass(frozen=True)
class MeasureOptions:
    """``pictures`` are rows with captions of any kind that `open_source` reads; None draws some.

    ``rows`` are those of the larger run, of which the smaller has a quarter; medians are over ``runs``. ``stages`` are
    the stages whose rates are wanted, all of them if there are none. A language model is asked, about ``llm_rows``,
    only where ``llm_url`` says of whom, and a Ray cluster is started only for the ``engine`` ray.
    """

    choice: BackboneChoice
    pictures: str | None = None
    inversion: str = "lincir"
    train_inversion: str = "lincir"
    batch_size: int = 64
    workers: int = 0
    rows: int = 1500
    runs: int = 3
    stages: tuple[str, ...] = ()
    llm_url: str | None = None
    llm_model: str | None = None
    llm_rows: int = 256
    concurrency: int = 32
    engine: Literal["local", "ray"] = "local"

    @property
    def small(self) -> int:
        """Rows of the smaller run."""
        return self.rows // 4
