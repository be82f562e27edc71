"""Pictures and texts through a frozen backbone, in batches: float32 features ``(N, d)``, not normalised."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from motacli.contracts import Backbone, ImageRef
from motacli.datasets import open_image
from motacli.errors import MotaError

if TYPE_CHECKING:
    from motacli.console import Progress

PREFETCHED_BATCHES = 2

T = TypeVar("T", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


def encode_images(
    backbone: Backbone,
    refs: Sequence[ImageRef],
    batch_size: int = 256,
    workers: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """Features ``(N, d)`` of pictures in the given order, float32, not normalised.

    A picture that occurs several times is decoded once. ``workers`` threads decode ahead of the encoder; 0 decodes
    between batches. Raises `DataError` for a file that cannot be decoded, `MotaError` for features that are not finite.
    """
    unique, rows = unique_rows(refs)
    batches = image_batches(backbone, unique, batch_sizes(len(unique), batch_size), workers, progress)
    return _joined(list(batches), backbone.joint_dim)[rows]


def encode_texts(
    backbone: Backbone, texts: Sequence[str], batch_size: int = 256, progress: Progress | None = None
) -> np.ndarray:
    """Features ``(N, d)`` of texts in the given order, float32, not normalised.

    Equal texts are encoded once, and batches hold texts of like length, so that little of a batch is padding.
    """
    unique, rows = unique_rows(texts)
    order = by_length(backbone, unique)
    batches: Iterable[np.ndarray] = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if progress is not None:
        batches = progress.track(batches, "encoding texts")
    features = np.empty((len(unique), backbone.joint_dim), np.float32)
    for batch in batches:
        features[batch] = encode_batch(backbone, [unique[i] for i in batch])
    return features[rows]


def by_length(backbone: Backbone, texts: Sequence[str]) -> np.ndarray:
    """The numbers of the texts ``(N,)``, most tokens first: a batch that does not fit the memory fails at once."""
    lengths = [len(backbone.tokenize(text)) for text in texts]
    return np.argsort(lengths, kind="stable")[::-1].astype(np.int64)


def encode_batch(backbone: Backbone, texts: Sequence[str]) -> np.ndarray:
    """Features ``(B, d)`` of one batch of texts; `MotaError` where they are not finite."""
    return _features(backbone.encode_text, texts)


def image_batches(
    backbone: Backbone,
    refs: Sequence[ImageRef],
    sizes: Iterable[int],
    workers: int = 0,
    progress: Progress | None = None,
) -> Generator[np.ndarray, None, None]:
    """Features ``(size, d)``, one array for each of ``sizes``, which sum up to ``len(refs)``.

    Decoding runs on across the batches' borders; it stops when the iterator is closed.
    """
    sizes = list(sizes)
    most = PREFETCHED_BATCHES * max(sizes, default=1)
    with closing(ahead(lambda ref: backbone.preprocess(open_image(ref)), refs, workers, most)) as pictures:
        tracked = pictures if progress is None else progress.track(pictures, "encoding pictures", len(refs))
        for size in sizes:
            yield encode_pixels(backbone, list(islice(tracked, size)))


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """``count`` split into batches: all of ``batch_size`` but the last."""
    return [min(batch_size, count - start) for start in range(0, count, batch_size)]


def unique_rows(items: Sequence[T]) -> tuple[list[T], np.ndarray]:
    """The distinct items in order of appearance, and for every item its row among them ``(N,)``."""
    row: dict[T, int] = {}
    rows = np.array([row.setdefault(item, len(row)) for item in items], dtype=np.int64)
    return list(row), rows


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, most: int
) -> Generator[Result, None, None]:
    """Results in the order of the items, of which ``workers`` threads work on at most ``most`` at a time.

    Without workers each is worked on when it is asked for. Closing the iterator ends the threads.
    """
    if workers <= 0:
        yield from map(function, items)
        return
    yield from in_order(ThreadPoolExecutor(workers, thread_name_prefix="decode"), function, items, most)


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Generator[Result, None, None]:
    """Results in the order of the items, of which the pool works on at most ``most`` at a time.

    Closing the iterator, or its end, shuts the pool down; items that were not begun are given up.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def encode_pixels(backbone: Backbone, pictures: Sequence[Tensor]) -> np.ndarray:
    """Features ``(B, d)`` of one batch of prepared pictures; `MotaError` where they are not finite."""
    pixels = torch.stack(list(pictures))
    if torch.device(backbone.device).type == "cuda" and pixels.device.type == "cpu":
        pixels = pixels.pin_memory()
    return _features(backbone.encode_image, pixels.to(backbone.device, non_blocking=True))


@torch.no_grad()
def _features(encode: Callable[..., Tensor], batch: Tensor | Sequence[str]) -> np.ndarray:
    features: np.ndarray = encode(batch).float().cpu().numpy()
    if not np.isfinite(features).all():
        raise MotaError("the backbone returned features that are not finite", "try --precision fp32")
    return features


def _joined(batches: Sequence[np.ndarray], width: int) -> np.ndarray:
    return np.concatenate(batches) if batches else np.empty((0, width), np.float32)
