"""An index and its models, to be asked: ``Searcher.open("my.mota").search(image="lamp.jpg", text="in brass")``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from motacli.errors import UsageError
from motacli.plugins import PluginHost, load_plugins
from motacli.search.composers import Composers
from motacli.search.index import Index
from motacli.search.leasing import Current
from motacli.search.opened import Opened, Wanted
from motacli.search.pictures import Picture, as_list, encode_picture, name_of
from motacli.search.queries import Composer, image_vector, kind_of
from motacli.search.results import Asked, SearchResults

if TYPE_CHECKING:
    from typing import Self


class Searcher:
    """Answers questions about the pictures of an index; may be asked from several threads at once.

    The backbone, and the inversion and adapter where the index has them, are loaded when a question first needs them.
    ``plain`` leaves the adapter out for good.
    """

    def __init__(
        self, path: Path | str, *, host: PluginHost | None = None, device: str = "auto", plain: bool = False
    ) -> None:
        self._path, self._plain = Path(path), plain
        self._host = host or load_plugins()
        self._composers = Composers(self._host, device, plain)
        self._current = Current(Opened.open(self._path, self._host), f"the searcher of {path}")

    @classmethod
    def open(
        cls, path: Path | str, *, host: PluginHost | None = None, device: str = "auto", plain: bool = False
    ) -> Self:
        """The index in a folder. Raises what `Index.open` and `Index.open_store` raise."""
        return cls(path, host=host, device=device, plain=plain)

    @property
    def index(self) -> Index:
        """The index as it was opened last."""
        return self._current.value.index

    def encode(self, image: Picture) -> np.ndarray:
        """The feature ``(d,)`` of a picture, float32, not normalised, which `search` takes in its place.

        Raises as `motacli.search.pictures.encode_picture` does.
        """
        with self._current.using() as state:
            return encode_picture(self._composers.of(state.index).backbone, image)

    def search(
        self,
        image: Picture | Sequence[Picture] | None = None,
        text: str = "",
        *,
        negative: str = "",
        k: int = 20,
        alpha: float = 0.0,
        min_score: float | None = None,
        where: Sequence[str] = (),
        adapted: bool = True,
        exclude: Sequence[str] = (),
        references: Sequence[str] = (),
    ) -> SearchResults:
        """The ``k`` pictures that fit best: what looks like ``image`` changed as ``text`` says, or like either alone.

        ``image`` is a path, a PIL image, a feature ``(d,)`` that `encode` gave, or a list of these; ``references`` are
        ids of pictures in the index. Several pictures are one reference together. ``negative`` says what it should not
        look like, ``alpha`` in [0, 1) leads from the composition to the pictures alone. Kept are pictures with at least
        ``min_score`` that meet every condition of ``where`` (``"price<20"``) and are not named in ``exclude``, where
        ids that the index does not have are without effect. ``adapted`` false leaves the adapter out.

        Raises `UsageError` for questions that cannot be answered and `DataError` for pictures that cannot be read.
        """
        started = time.perf_counter()
        text, negative = _said(text), _said(negative)
        pictures = as_list(image)
        wanted = Wanted(k, min_score, tuple(where), tuple(exclude))
        _refuse(bool(pictures or references or text), alpha, wanted)
        with self._current.using() as state:
            config = state.index.config
            known = state.features(references)
            composer = self._composers.of(state.index) if pictures or text or negative else None
            features = np.concatenate([known, self._encoded(composer, pictures, known.shape[1])])
            kind = kind_of(len(features), text, config.inversion is not None)
            adapted = adapted and not self._plain and kind == "composed"
            if composer is None:
                vector = image_vector(features)
            else:
                vector = composer.vector(features, text, negative=negative, alpha=alpha, adapted=adapted)
            found = state.best(vector, wanted)
        asked = Asked(
            *(text, negative, tuple(map(name_of, pictures)), tuple(references), alpha, k, min_score, tuple(where)),
            inversion=config.inversion if kind == "composed" else None,
            adapter=config.adapter if adapted else None,
        )
        ms = 1000 * (time.perf_counter() - started)
        return SearchResults(found.hits, kind, asked, found.total, found.background, ms)

    @staticmethod
    def _encoded(composer: Composer | None, pictures: Sequence[Picture], width: int) -> np.ndarray:
        if composer is None or not pictures:
            return np.empty((0, width), np.float32)
        return np.stack([encode_picture(composer.backbone, picture) for picture in pictures])

    # ---------------------------------------------------------------------------------------- states

    def reload_if_stale(self) -> bool:
        """Look for a newer state of the index and go over to it; searches under way end in the one they began in.

        Where it cannot be opened, the error is raised and the searcher goes on as it was.
        """
        if not self._current.value.index.is_stale():
            return False
        self._current.replace(Opened.open(self._path, self._host))
        return True

    def close(self) -> None:
        """Let go of the index, once the searches under way have ended."""
        self._current.replace(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _said(text: str) -> str:
    """The text as typed, nothing where it is blank; `UsageError` for what a wrong encoding leaves of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text[:80]!r} is not valid text", "is it in UTF-8?") from None
    return text if text.strip() else ""


def _refuse(asked: bool, alpha: float, wanted: Wanted) -> None:
    if not asked:
        raise UsageError("nothing is asked", "give a picture, a reference of the index, a text, or several of them")
    if not 0 <= alpha < 1:
        raise UsageError(f"alpha has to be at least 0 and less than 1, not {alpha}", "for 1, leave the text out")
    if wanted.k < 1:
        raise UsageError(f"k has to be at least 1, not {wanted.k}")
    if wanted.min_score is not None and not np.isfinite(wanted.min_score):
        raise UsageError(f"min_score has to be a number, not {wanted.min_score}", "2 keeps what stands out a little")
