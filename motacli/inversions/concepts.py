"""Which words name what is in a picture: the first stage of SEARLE (Baldrati et al., ICCV 2023)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.processes.sharing import encode_texts_shared

NAME_COLUMNS = ("DisplayName", "name", "concept", "class")
_AT_ONCE = 256
"""Concepts whose templates are encoded together."""


def templates() -> tuple[str, ...]:
    """The 24 sentences around ``{}`` that PALAVRA (Cohen et al., ECCV 2022) and SEARLE average over."""
    found = []
    for medium in ("photo", "illustration", "sketch", "diagram"):
        article = "an" if medium[0] in "aeiou" else "a"
        found += [f"This is {article} {medium} of a {{}}", f"This {medium} contains a {{}}"]
        found.append("An illustrations of a {}" if medium == "illustration" else f"A {medium} of a {{}}")
    found += ["A {}", "We see a {}", "{}"]
    for medium in ("photo", "image", "illustration"):
        found += [f"We see a {{}} in this {medium}", f"We see a {{}} {medium}", f"{{}} {medium}"]
    return tuple(found)


def read_concepts(path: Path) -> tuple[str, ...]:
    """Names of concepts: one per line, or the column ``DisplayName`` of a CSV file, as Open Images has them.

    Raises `DataError` for a missing or empty file. Repeated names are taken once.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no such file of concepts: {path}", "one name per line, or a CSV with DisplayName") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", "expected UTF-8 text") from error
    names = _column(text, path) if path.suffix.lower() == ".csv" else text.splitlines()
    found = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not found:
        raise DataError(f"{path} names no concept", "one name per line, or a CSV with DisplayName")
    return found


def associate(
    backbone: Backbone, image: Tensor, names: Sequence[str], top: int, progress: Progress | None = None
) -> np.ndarray:
    """The ``top`` concepts of each picture ``(N, top)``, as rows of ``names``, the closest first.

    ``image`` ``(N, d)``; a concept's feature is the mean of its templates' unit features.
    """
    features = concept_features(backbone, names, progress).to(image.device)
    top = min(top, len(names))
    rows = [(F.normalize(part, dim=1) @ features.T).topk(top, dim=1).indices.cpu() for part in image.split(4096)]
    return torch.cat(rows).numpy()


def concept_features(backbone: Backbone, names: Sequence[str], progress: Progress | None = None) -> Tensor:
    """Unit features ``(C, d)`` of concepts, each the mean over its templates, on the CPU."""
    frames, parts = templates(), []
    starts = range(0, len(names), _AT_ONCE)
    for start in (progress or NullProgress()).track(starts, "encoding concepts"):
        some = names[start : start + _AT_ONCE]
        texts = [frame.format(f" {name} ") for name in some for frame in frames]
        features = F.normalize(torch.from_numpy(encode_texts_shared(backbone, texts)), dim=1)
        parts.append(F.normalize(features.reshape(len(some), len(frames), -1).mean(1), dim=1))
    return torch.cat(parts)


def _column(text: str, path: Path) -> list[str]:
    rows = list(csv.reader(text.splitlines()))
    column = next((rows[0].index(name) for name in NAME_COLUMNS if rows and name in rows[0]), None)
    if column is None:
        raise DataError(f"{path}: no column {' or '.join(NAME_COLUMNS)}", "or give a text file with one name per line")
    return [row[column] for row in rows[1:] if len(row) > column]
