"""Triplets' captions as CLIP sees them: tokens, and how close targets are to references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motacli.analysis.distributions import Histogram, Summary, histogram, summary
from motacli.console import Progress
from motacli.contracts import Backbone, Triplet
from motacli.encoding import encode_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKERS = 2
"""Tokens that are added to every text: its start and its end."""
CONTEXT = 77
FIELDS = ("reference_caption", "relative_caption", "target_caption")
BINS = 20


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens per caption, markers included, and the share of captions that do not fit into ``context`` of them."""

    tokenizer: str
    context: int
    lengths: Mapping[str, Summary | None]
    too_long: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TextSimilarity:
    """Cosines of reference and target captions' CLIP features: all, per modification type, and their histogram."""

    backbone: str
    cosine: Summary | None
    by_type: Mapping[str, float]
    histogram: Histogram


def count_tokens(triplets: Sequence[Triplet], backbone: Backbone | None = None) -> TokenCounts:
    """The tokens of the triplets' captions, by a backbone's tokenizer or else the one that CLIP came with."""
    name, context, tokenize = (
        _clip_tokenizer() if backbone is None else (backbone.name, backbone.context_length, backbone.tokenize)
    )
    lengths: dict[str, Summary | None] = {}
    too_long: dict[str, float] = {}
    for field in FIELDS:
        counts = Counter(len(tokenize(getattr(triplet, field))) + MARKERS for triplet in triplets)
        lengths[field] = summary(counts)
        too_long[field] = sum(n for length, n in counts.items() if length > context) / max(len(triplets), 1)
    return TokenCounts(name, context, lengths, too_long)


def _clip_tokenizer() -> tuple[str, int, Callable[[str], list[int]]]:
    from open_clip.tokenizer import SimpleTokenizer

    return "CLIP", CONTEXT, SimpleTokenizer().encode


def text_similarity(
    backbone: Backbone, triplets: Sequence[Triplet], batch_size: int = 256, progress: Progress | None = None
) -> TextSimilarity:
    """How close the target captions are to their reference captions in the backbone's space."""
    texts = [t.reference_caption for t in triplets] + [t.target_caption for t in triplets]
    features = encode_texts(backbone, texts, batch_size, progress)
    features /= np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    cosines = (features[: len(triplets)] * features[len(triplets) :]).sum(1).astype(float)
    kinds = np.array([t.modification_type for t in triplets])
    by_type = {str(kind): float(cosines[kinds == kind].mean()) for kind in np.unique(kinds)}
    counts = Counter(np.clip(cosines, -1, 1).tolist())
    start = 0.0 if min(counts) >= 0 else -1.0
    return TextSimilarity(backbone.name, summary(counts), by_type, histogram(counts, start, (1 - start) / BINS, BINS))
