"""How an adapter is trained: every option of it, with its default."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.errors import UnknownNameError

SCOPES = ("batch", "bank")
AUTOCASTS = ("auto", "off", "bf16")
CHECKPOINTING = ("none", "layers", "chunks")
LONG_CAPTIONS = ("refuse", "cut")


@dataclass(frozen=True)
class TrainOptions:
    """How the adapter is trained. The contrastive objective and its entropy weights (``beta``) are the paper's.

    [ours] are the values and all of the following.

    Objective: ``scope``, what the entropy is over, ``batch`` or a fixed ``bank`` of targets. ``reference_negatives``:
    the batch's reference captions are wrong answers too. ``mined_negatives``: so many near misses per triplet are as
    well, the target captions most like its own among ``mining_pool`` others, those above a cosine of
    ``mining_ceiling`` left out as equals. ``symmetric``: targets choose among queries as well. ``balance``: weight of
    the load-balancing loss. ``anchor``: weight of one minus the cosine to the base model's composed feature, which
    keeps queries from wandering where no caption holds them back but pictures would. ``noise``: of the image features,
    in units of their size.

    Data: ``held_out``, the share of the pictures whose triplets are only validated on. ``bucket``: batches are cut from
    so many batches' rows sorted by length; 1 is off. ``long_captions``: what does not fit the text encoder is
    refused, or loses its end.

    Computation, which changes rounding only: ``chunk`` rows go through the text encoder together, 0 is 32 on a CPU and
    512 elsewhere. ``autocast``: bfloat16 where the hardware has it, never, or always. ``checkpointing``: what is kept
    for the backward pass: all (``none``), each layer's input (``layers``), or nothing but the composed features, every
    chunk being run twice (``chunks``: the gradient cache of Gao et al., arXiv 2101.06983). ``compile``: torch.compile
    the text encoder.
    """

    steps: int = 200
    batch_size: int = 128
    lr: float = 4e-3
    wd: float = 0.01
    warmup: int = 20
    beta: float = 1.0
    scope: str = "batch"
    reference_negatives: bool = False
    mined_negatives: int = 0
    mining_pool: int = 16_384
    mining_ceiling: float = 0.98
    symmetric: bool = False
    balance: float = 0.1
    anchor: float = 2.0
    noise: float = 0.6
    held_out: float = 0.02
    bucket: int = 1
    long_captions: str = "refuse"
    chunk: int = 0
    autocast: str = "auto"
    checkpointing: str = "none"
    compile: bool = False
    seed: int = 0
    template: str = "a photo of {slot} that {caption}"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("scope of the entropy", self.scope, SCOPES),
            ("autocast", self.autocast, AUTOCASTS),
            ("checkpointing", self.checkpointing, CHECKPOINTING),
            ("treatment of long captions", self.long_captions, LONG_CAPTIONS),
        ):
            if value not in known:
                raise UnknownNameError(what, value, known)
        if self.batch_size < 2:
            raise ValueError(f"batch_size {self.batch_size} is too small: triplets are told from one another")
        if min(self.lr, self.wd, self.warmup, self.balance, self.anchor, self.noise, self.seed) < 0:
            raise ValueError("lr, wd, warmup, balance, anchor, noise and seed must not be negative")
        if min(self.mined_negatives, self.chunk) < 0 or min(self.mining_pool, self.bucket) < 1:
            raise ValueError("mined_negatives and chunk must not be negative; mining_pool and bucket are at least 1")
        if not 0 <= self.held_out < 1 or not 0 < self.mining_ceiling <= 1:
            raise ValueError("held_out must lie in 0..1, without 1, and mining_ceiling in 0..1, without 0")
        if self.template.count("{slot}") != 1 or "{caption}" not in self.template.partition("{slot}")[2]:
            raise ValueError(f"template {self.template!r} needs one {{slot}}, and {{caption}} behind it")

    @property
    def needs_base(self) -> bool:
        """Whether the base model's composed features are read."""
        return bool(self.beta or self.anchor)

    @property
    def needs_entropy(self) -> bool:
        """Whether the base model's entropies over a fixed bank are read."""
        return bool(self.beta) and self.scope == "bank"
