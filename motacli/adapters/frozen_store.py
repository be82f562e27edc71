"""What stays frozen of a training, kept on disk for every training of the same backbone, inversion and data. [ours]

One file for each set of rows, ``<folder>/<kind>-<digest>.h5``: the digest is that of whatever the rows depend on, so
that a file never has to be told from a stale one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.adapters.files import state_digest, tensors_digest
from motacli.adapters.kept_rows import Origin, Work, computed_rows, kept_rows
from motacli.adapters.kept_together import make_together, shared_work
from motacli.adapters.objective import candidate_entropy
from motacli.compose import TokenPrompt, batches_by_length, compose_base
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Inversion
from motacli.encoding import by_length, encode_batch, unique_rows
from motacli.errors import MotaError
from motacli.hdf5 import text_digest
from motacli.processes.world import World

ENTROPY_ROWS = 4096
"""Rows whose entropies are computed together."""


class FrozenStore:
    """A folder of frozen features. Files in it may be removed at any time; they are made again.

    Every method computes what is not there yet, batch by batch: killed at any moment, the next call goes on. Processes
    that need the same file wait for the one that makes it. The batch size is not part of what a file is known by: it
    changes no more than the last digits. All raise what `motacli.adapters.kept_rows.kept_rows` does.

    The processes of ``world`` share the folder, call the same methods in the same order, and compute a part each.
    """

    def __init__(self, folder: Path, world: World | None = None) -> None:
        self.folder, self.world = Path(folder), world or World()

    def texts(
        self, backbone: Backbone, texts: Sequence[str], batch_size: int = 256, progress: Progress | None = None
    ) -> Tensor:
        """Features ``(N, d)`` of texts in the given order, float32 on the CPU, not normalised.

        The numbers are those of `motacli.encoding.encode_texts`.
        """
        unique, rows = unique_rows(texts)
        origin = Origin(
            "texts",
            {"backbone": backbone.fingerprint(), "texts": text_digest(unique).hexdigest()},
            {"backbone": backbone.name, "texts": f"{len(unique)} distinct texts"},
        )
        work = Work(
            count=len(unique),
            shape=(backbone.joint_dim,),
            order=lambda: by_length(backbone, unique),
            compute=lambda numbers: encode_batch(backbone, [unique[i] for i in numbers]),
            batch_size=batch_size,
            doing="encoding texts",
        )
        return self.rows(origin, work, progress, rows)

    def base(
        self,
        backbone: Backbone,
        inversion: Inversion,
        image: Tensor,
        prompts: Sequence[TokenPrompt],
        batch_size: int = 256,
        progress: Progress | None = None,
    ) -> Tensor:
        """The base model's unit composed features ``(N, d)`` of image features ``(N, d)``, float32 on the CPU.

        They are not kept, but computed at every call, for an inversion network without weights: nothing tells such a
        one from another that computes otherwise.
        """

        @torch.no_grad()
        def compute(numbers: np.ndarray) -> Tensor:
            features = image[torch.from_numpy(numbers).to(image.device)]
            composed = compose_base(backbone, inversion, features, [prompts[i] for i in numbers])
            return F.normalize(composed, dim=1)

        work = Work(
            count=len(prompts),
            shape=(backbone.joint_dim,),
            order=lambda: torch.cat(batches_by_length(prompts, batch_size)).numpy(),
            compute=compute,
            batch_size=batch_size,
            doing="composing with the base model",
            if_not_finite=not_finite(inversion),
        )
        weights = _weights_digest(inversion)
        if weights is None:
            return computed_rows(shared_work(work, self.world), progress or NullProgress())
        origin = Origin(
            "base",
            {
                "backbone": backbone.fingerprint(),
                "inversion": f"{type(inversion).__module__}.{type(inversion).__qualname__} {weights}",
                "image": tensors_digest({"image": image}),
                "prompts": text_digest(map(repr, prompts)).hexdigest(),
            },
            {"backbone": backbone.name, "inversion": inversion.name, "queries": str(len(prompts))},
        )
        return self.rows(origin, work, progress)

    def entropies(self, base: Tensor, candidates: Tensor, scale: float, progress: Progress | None = None) -> Tensor:
        """`candidate_entropy` ``(N,)`` of unit features ``(N, d)`` over unit candidates ``(M, d)``, on the CPU."""
        digests = {"base": tensors_digest({"base": base}), "candidates": tensors_digest({"candidates": candidates})}
        names = {"queries": str(len(base)), "candidates": str(len(candidates))}
        work = Work(
            count=len(base),
            shape=(),
            order=lambda: np.arange(len(base)),
            compute=lambda numbers: candidate_entropy(base[numbers[0] : numbers[-1] + 1], candidates, scale),
            batch_size=ENTROPY_ROWS,
            doing="computing entropies",
        )
        return self.rows(Origin("entropy", {**digests, "scale": scale}, names), work, progress)

    def rows(
        self, origin: Origin, work: Work, progress: Progress | None = None, picked: np.ndarray | None = None
    ) -> Tensor:
        """Any rows ``(N, *shape)``, or those of the numbers ``picked`` ``(P,)``, float32 on the CPU."""
        if not work.count:
            return torch.empty(0, *work.shape)
        path, progress = self.path(origin), progress or NullProgress()
        make_together(path, origin, work, progress, self.world)
        return kept_rows(path, origin, work, progress, picked)

    def path(self, origin: Origin) -> Path:
        """Where rows of this origin are."""
        return self.folder / f"{origin.kind}-{origin.digest()}.h5"


def not_finite(inversion: Inversion) -> MotaError:
    """What there is to say where base composed features hold NaN or infinity."""
    return MotaError(f"inversion {inversion.name!r} gives composed features that are not finite", "look at its weights")


def _weights_digest(inversion: object) -> str | None:
    """The digest of an inversion network's weights, None where it has none."""
    return state_digest(inversion) if isinstance(inversion, nn.Module) and inversion.state_dict() else None
