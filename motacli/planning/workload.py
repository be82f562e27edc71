"""What is to be done, on what, and what that costs: the words of `mota plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from motacli.errors import UsageError

Generator = Literal["rules", "llm", "vllm"]
Store = Literal["exact", "hnsw", "ivfpq"]
Remote = Literal["no", "parquet", "tar"]


@dataclass(frozen=True)
class Workload:
    """How much of everything.

    ``pictures`` are cached, with captions or without; ``triplets`` written and trained on. ``train_steps`` and
    ``inversion_steps`` are of ``train_batch`` and ``inversion_batch`` rows. ``queries`` are asked over a ``gallery``
    of pictures. An index takes the features of the cache unless it is to encode by itself (``index_encodes``).
    ``remote`` says in which kind of shards pictures come over the network, if they do; tar has to be read to be listed.
    """

    pictures: int
    triplets: int
    captions: bool = True
    dtype: Literal["float32", "float16"] = "float32"
    layout: Literal["single", "parts"] = "single"
    merge: bool = False
    generator: Generator = "rules"
    concurrency: int = 32
    train_steps: int = 200
    train_batch: int = 128
    inversion_steps: int = 20_000
    inversion_batch: int = 512
    store: Store = "exact"
    index_encodes: bool = False
    queries: int = 4181
    gallery: int = 2315
    remote: Remote = "no"

    def __post_init__(self) -> None:
        if self.pictures < 1:
            raise UsageError("a plan needs at least one picture", "as in --pictures 3e6")
        if self.triplets < 0:
            raise UsageError(f"{self.triplets} triplets cannot be written")

    @property
    def number_bytes(self) -> int:
        """Bytes of a number of the cache on disk."""
        return 2 if self.dtype == "float16" else 4


@dataclass(frozen=True)
class Machines:
    """What it runs on: ``gpus`` and ``cores`` are those of all ``machines`` together; without GPUs, cores encode.

    ``builds`` is how many caches, of as many parts of the source, are built at once. With the ``local`` engine each is
    one process, on one GPU and one machine; with ``ray`` it uses its share of all.
    """

    gpus: int = 0
    cores: int = 1
    machines: int = 1
    builds: int = 1
    engine: Literal["local", "ray"] = "local"

    def __post_init__(self) -> None:
        for name, least in (("gpus", 0), ("cores", 1), ("machines", 1), ("builds", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @property
    def encoder(self) -> Literal["gpus", "cores"]:
        """What the model runs on."""
        return "gpus" if self.gpus else "cores"

    @property
    def machines_used(self) -> int:
        """Machines that builds reach."""
        return self.machines if self.engine == "ray" else min(self.builds, self.machines)

    @property
    def gpus_used(self) -> int:
        """GPUs that builds reach."""
        return self.gpus if self.engine == "ray" else min(self.gpus, self.builds)

    @property
    def cores_used(self) -> float:
        """Cores that builds reach."""
        return self.cores * self.machines_used / self.machines

    @property
    def cores_of_one(self) -> float:
        """Cores of one machine."""
        return self.cores / self.machines


@dataclass(frozen=True)
class Prices:
    """In any currency; what is not given costs nothing.

    ``gpu_hour`` and ``core_hour`` are paid for all GPUs of commands that use any, and for all cores; ``gb_month`` for
    what is kept, ``months`` long; ``gb_network`` for traffic; ``prompt`` and ``completion`` for a million tokens.
    """

    gpu_hour: float = 0.0
    core_hour: float = 0.0
    gb_month: float = 0.0
    months: float = 1.0
    gb_network: float = 0.0
    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise UsageError(f"the price {name} must not be negative: {value}")
