"""How an adapter is trained: every option of it, with its default."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.errors import UnknownNameError

SCOPES = ("batch", "bank")


@dataclass(frozen=True)
class TrainOptions:
    """How the adapter is trained. The contrastive objective and its entropy weights (``beta``) are the paper's.

    [ours] are the values and all of the following. ``scope``: what the entropy is over, ``batch`` or ``bank``.
    ``reference_negatives``: reference captions are wrong answers too. ``symmetric``: targets choose among queries as
    well. ``balance``: weight of the load-balancing loss. ``anchor``: weight of one minus the cosine to the base model's
    composed feature, which keeps queries from wandering where no caption holds them back but pictures would.
    ``noise``: of the image features, in units of their size.
    """

    steps: int = 200
    batch_size: int = 128
    lr: float = 2e-3
    wd: float = 0.01
    warmup: int = 20
    beta: float = 1.0
    scope: str = "batch"
    reference_negatives: bool = False
    symmetric: bool = False
    balance: float = 0.1
    anchor: float = 2.0
    noise: float = 0.3
    seed: int = 0
    template: str = "a photo of {slot} that {caption}"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise UnknownNameError("scope of the entropy", self.scope, SCOPES)
        if self.batch_size < 2:
            raise ValueError(f"batch_size {self.batch_size} is too small: triplets are told from one another")
        if min(self.lr, self.wd, self.warmup, self.balance, self.anchor, self.noise, self.seed) < 0:
            raise ValueError("lr, wd, warmup, balance, anchor, noise and seed must not be negative")
        if self.template.count("{slot}") != 1 or "{caption}" not in self.template.partition("{slot}")[2]:
            raise ValueError(f"template {self.template!r} needs one {{slot}}, and {{caption}} behind it")

    @property
    def needs_base(self) -> bool:
        """Whether the base model's composed features are read."""
        return bool(self.beta or self.anchor)
