"""Building an index, and bringing one up to date: what is new is encoded, and a new state takes the old one's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motacli.benchmarks.protocol import PromptRule
from motacli.cache.fingerprints import made_of
from motacli.cache.holding import held
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.datasets import open_pictures
from motacli.errors import MotaError, UsageError
from motacli.models import BackboneChoice, load_backbone
from motacli.plugins import PluginHost
from motacli.runs import refuse_existing
from motacli.search.config import BUILDING, CONFIG, PROMPT, SLOT, DType, IndexConfig, read_config, write_config
from motacli.search.given import Given
from motacli.search.index import Index
from motacli.search.metadata import read_metadata
from motacli.search.parts import PartsChoice, copy_parts
from motacli.search.renewing import IndexReport, Renewal, now
from motacli.search.states import drop_other_states, work_folder
from motacli.search.stores import StoreChoice


def index_folder(
    path: Path | str,
    folder: Path | str,
    *,
    host: PluginHost,
    choice: BackboneChoice | None = None,
    inversion: str | None = None,
    inversion_weights: Path | str | None = None,
    adapter: Path | None = None,
    store: str = "exact",
    store_options: Mapping[str, Any] | None = None,
    dtype: DType = "float16",
    thumbnails: int = 0,
    metadata: Path | None = None,
    prompt: str = PROMPT,
    features: Sequence[Path] = (),
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
) -> IndexReport:
    """Index the pictures below ``folder`` in a new folder ``path``; the same call goes on with an unfinished one.

    Pictures that caches among ``features`` have (`motacli.search.given`) are digested and not encoded. Those that
    cannot be read are left out and recorded. Raises `DataError` where there are no pictures and for files that cannot
    be used, `UsageError` for options that do not fit together, `MotaError` where ``path`` is taken or another process
    builds it.
    """
    path, folder = Path(path).absolute(), Path(folder).absolute()
    progress, choice = progress or NullProgress(), choice or BackboneChoice()
    given = dict(store_options or {})
    if _only_to_clear(path):
        how: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "progress": progress}
        return update_index(path, host=host, device=choice.device, **how)
    _refuse_taken(path)
    _refuse_unfit(host, store, given, prompt, thumbnails)
    open_pictures(folder)  # says so where there are none
    if metadata is not None:
        read_metadata(metadata, folder)  # says what is wrong with it before anything is encoded
    backbone = load_backbone(host, choice)
    parts = PartsChoice(inversion, inversion_weights, adapter)
    with held(path / CONFIG):
        work_folder(path, 1)
        config = IndexConfig(
            state=0,
            folder=str(folder),
            model=choice.model,
            pretrained=_absolute(choice.pretrained),
            precision=choice.precision,
            preprocess=choice.preprocess,
            backbone=backbone.name,
            fingerprint=backbone.fingerprint(),
            joint_dim=backbone.joint_dim,
            made_of=made_of(backbone),
            rows=0,
            dtype=dtype,
            store=store,
            store_options=given,
            prompt=prompt,
            thumbnails=thumbnails,
            metadata=None if metadata is None else str(Path(metadata).absolute()),
            created=now(),
            **copy_parts(path, parts, host, backbone),
        )
        there = Given.open(features, config)
        drop_other_states(path, config, host, progress)
        return Renewal(path, config, None, host, lambda: backbone, batch_size, workers, progress, given=there).run()


def update_index(
    path: Path | str,
    *,
    host: PluginHost,
    device: str = "auto",
    batch_size: int = 64,
    workers: int = 0,
    rehash: bool = False,
    metadata: Path | None = None,
    features: Sequence[Path] = (),
    progress: Progress | None = None,
) -> IndexReport:
    """Bring an index up to date with its folder: only contents that it does not have are encoded.

    A picture is looked into where its size or time differ; ``rehash`` looks into all, and tries again those that could
    not be read. The CSV of metadata is read again; ``metadata`` names another one. ``features`` are as in
    `index_folder`. Until all is done the old state answers. Raises `DataError` where the folder is not there or holds
    no picture, or the backbone is another one.
    """
    path, progress = Path(path).absolute(), progress or NullProgress()
    read_config(path)  # says so where there is no index
    with held(path / CONFIG), Index.open(path) as index:
        there = Given.open(features, index.config)
        drop_other_states(path, index.config, host, progress)
        config = index.config
        if metadata is not None:
            config = config.changed(metadata=str(Path(metadata).absolute()))
        elif config.metadata is not None and not Path(config.metadata).is_file():
            progress.warn(f"{config.metadata} is not there any more: pictures keep the metadata they have")
            config = config.changed(metadata=None)

        def backbone() -> Backbone:
            return index.load_backbone(host, device)

        return Renewal(path, config, index, host, backbone, batch_size, workers, progress, rehash, there).run()


def move_folder(path: Path | str, folder: Path | str) -> None:
    """Say that the pictures of an index are below another folder by now; `UsageError` where there is no such folder."""
    path, folder = Path(path).absolute(), Path(folder).absolute()
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", "give the one that the pictures are in by now")
    read_config(path)
    with held(path / CONFIG):
        write_config(path, read_config(path).changed(folder=str(folder)))


def _only_to_clear(path: Path) -> bool:
    """Whether a first build was killed when its index was there already, and only its work was left to be removed."""
    return (path / CONFIG).is_file() and (path / BUILDING).is_dir() and read_config(path).state == 1


def _refuse_taken(path: Path) -> None:
    if (path / CONFIG).is_file():
        raise MotaError(f"{path} is an index already", f"bring it up to date: `mota index --update {path}`")
    unfinished = path.is_dir() and {file.name for file in path.iterdir()} <= {BUILDING, f"{CONFIG}.lock"}
    if not unfinished and not (path / BUILDING).is_dir():
        refuse_existing(path)


def _refuse_unfit(host: PluginHost, store: str, options: Mapping[str, Any], prompt: str, thumbnails: int) -> None:
    StoreChoice(store, options).parsed(host)
    try:
        PromptRule(prompt, SLOT)
    except ValueError as error:
        raise UsageError(str(error), f"as in {PROMPT!r}") from error
    if thumbnails < 0:
        raise UsageError(f"thumbnails of {thumbnails} pixels")


def _absolute(pretrained: str | None) -> str | None:
    """Weights by a name stay one; a file is found from wherever the index is asked."""
    return str(Path(pretrained).absolute()) if pretrained is not None and Path(pretrained).is_file() else pretrained
