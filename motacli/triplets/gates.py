"""Filters that look through a CLIP: does the caption fit its picture, and is the target near enough and far enough?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from motacli.contracts import Backbone, ImageRef
from motacli.datasets import open_image
from motacli.encoding import encode_texts, unique_rows
from motacli.errors import DataError
from motacli.triplets.filters import Candidate, Filter, FilterOptions

BATCH = 64
"""Pictures that are encoded at once."""


def make_gates(options: FilterOptions, backbone: Backbone) -> list[Filter]:
    """The gates that options ask for."""
    found: list[Filter] = []
    if options.picture_min:
        found.append(PictureGate(backbone, options.picture_min))
    if options.target_min or options.target_max:
        found.append(TargetGate(backbone, options.target_min, options.target_max))
    return found


class PictureGate:
    """Refuses reference captions that do not fit their picture, and pictures that cannot be read."""

    reason = "caption does not fit the picture"

    def __init__(self, backbone: Backbone, least: float) -> None:
        self._backbone, self._least = backbone, least

    def __str__(self) -> str:
        return f"picture and reference caption at least {self._least} by {self._backbone.name}"

    def check(self, candidates: Sequence[Candidate]) -> list[str]:
        """See `motacli.triplets.filters.Filter`."""
        found: list[str] = []
        for start in range(0, len(candidates), BATCH):
            found.extend(self._batch(candidates[start : start + BATCH]))
        return found

    def _batch(self, candidates: Sequence[Candidate]) -> list[str]:
        refs, rows = unique_rows([candidate.row.image for candidate in candidates])
        read = [self._pixels(ref) for ref in refs]
        features = np.zeros((len(refs), self._backbone.joint_dim), np.float32)
        good = [place for place, pixels in enumerate(read) if not isinstance(pixels, str)]
        if good:
            features[good] = self._encoded([pixels for pixels in read if not isinstance(pixels, str)])
        texts = encode_texts(self._backbone, [candidate.triplet.reference_caption for candidate in candidates])
        return [
            pixels if isinstance(pixels := read[row], str) else self._judge(cosine)
            for row, cosine in zip(rows.tolist(), _cosines(features[rows], texts), strict=True)
        ]

    def _pixels(self, ref: ImageRef) -> torch.Tensor | str:
        """A picture as the encoder wants it, or what is wrong with it."""
        try:
            return self._backbone.preprocess(open_image(ref))
        except DataError as error:
            return error.message

    def _encoded(self, pixels: Sequence[torch.Tensor]) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = (
                self._backbone.encode_image(torch.stack(list(pixels)).to(self._backbone.device)).cpu().numpy()
            )
        return found

    def _judge(self, cosine: float) -> str:
        return "" if cosine >= self._least else f"cosine {cosine:.3f}"


class TargetGate:
    """Refuses target captions that are too far from the reference caption, or too near."""

    reason = "target too far or too near"

    def __init__(self, backbone: Backbone, least: float, most: float) -> None:
        self._backbone, self._least, self._most = backbone, least, most

    def __str__(self) -> str:
        return f"reference and target caption within {self._least}..{self._most or 1} by {self._backbone.name}"

    def check(self, candidates: Sequence[Candidate]) -> list[str]:
        """See `motacli.triplets.filters.Filter`."""
        if not candidates:
            return []
        read: tuple[Callable[[Candidate], str], ...] = (
            lambda candidate: candidate.triplet.reference_caption,
            lambda candidate: candidate.triplet.target_caption,
        )
        reference, target = (encode_texts(self._backbone, list(map(one, candidates))) for one in read)
        return [self._judge(cosine) for cosine in _cosines(reference, target)]

    def _judge(self, cosine: float) -> str:
        wrong = cosine < self._least or (self._most and cosine > self._most)
        return f"cosine {cosine:.3f}" if wrong else ""


def _cosines(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Cosine similarity of each row ``(N, d)`` with the other's."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: list[float] = ((a * b).sum(1) / np.maximum(norms, 1e-12)).tolist()
    return cosines
