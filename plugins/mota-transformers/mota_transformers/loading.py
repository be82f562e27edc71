"""From ``hf:OWNER/NAME`` or ``hf:./folder`` to a backbone; what cannot be one is refused before it is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mota_transformers.backbone import TransformersBackbone
from mota_transformers.text import CAUSAL
from mota_transformers.tokens import read_markers
from motacli.errors import DataError, MotaError, UnknownNameError, UsageError, listed

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MODELS = ("clip", "metaclip_2", "siglip", "siglip2", "vision-text-dual-encoder")
"""The kinds of models, by the library's names: the last joins any image tower with one of the others' text towers."""
_WAYS = "write --model hf:OWNER/NAME, or --model hf:./FOLDER for a folder"
_NO_PICKLE = "pickled weights are never loaded, as they can run code: save them with save_pretrained as safetensors"
_REACH = "is the id right, and the hub within reach?"
_OPEN_CLIP = "perhaps open_clip knows the model: see `mota ls pretrained`"


@dataclass(frozen=True)
class _Source:
    """Where a model's files are: ``name`` is what the user wrote, ``given`` the keywords for every loader."""

    name: str
    place: str
    given: dict[str, Any]
    folder: bool


def load_hf(
    model: str,
    pretrained: str | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    preprocessing: str = "clip",
) -> TransformersBackbone:
    """A model of the Hugging Face hub or of a folder; ``pretrained`` is a branch, tag or commit of the hub.

    Weights are read from safetensors files only, and no code of a model's repository is ever run. Raises `UsageError`
    for models that cannot be a backbone, `DataError` for a folder that lacks what it should hold, `MotaError` where
    files cannot be fetched or read.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    source = _find(model, pretrained)
    config = _read_config(source)
    causal = CAUSAL[config.text_config.model_type]
    tokens = read_markers(_load(source, "AutoTokenizer", "tokenizer"), source.name, config.text_config, causal)
    processor = _load(source, "AutoImageProcessor", "image processor")
    net, told = _load(
        source,
        "AutoModel",
        "weights",
        config=config,
        dtype=PRECISIONS[precision],
        attn_implementation="sdpa",
        use_safetensors=True,
        output_loading_info=True,
    )
    if missing := sorted(told["missing_keys"]):
        # transformers only warns, and fills them with random numbers
        raise DataError(f"model {source.name!r} lacks weights: {listed(missing)}", "is the file of weights whole?")
    return TransformersBackbone(net, tokens, processor, name=f"hf:{model}", device=device, preprocessing=preprocessing)


def _find(model: str, revision: str | None) -> _Source:
    path = Path(model).expanduser()
    if model in ("", "hf"):
        raise UsageError("no model of transformers is named", _WAYS)
    if not path.is_dir():
        if model.startswith((".", "/", "~")) or model.count("/") > 1:
            raise DataError(f"there is no folder {model}", _WAYS)
        return _Source(model, model, {"revision": revision or "main", "trust_remote_code": False}, folder=False)
    if revision is not None:
        raise UsageError(f"a folder has no revision {revision!r}", "leave --pretrained out")
    if not (path / "config.json").is_file():
        other = (path / "open_clip_config.json").is_file()
        hint = f"it is a model of open_clip: write --model local-dir:{model}" if other else "it should be a saved model"
        raise DataError(f"folder {model} holds no config.json", hint)
    if not any(path.glob("*.safetensors")):
        raise DataError(f"folder {model} holds no safetensors weights", _NO_PICKLE)
    return _Source(model, str(path), {"local_files_only": True, "trust_remote_code": False}, folder=True)


def _read_config(source: _Source) -> Any:
    """The model's configuration; `UsageError` where it is of a kind that cannot be a backbone."""
    from transformers import AutoConfig, PretrainedConfig

    with _explained(source, "configuration"):
        raw, _ = PretrainedConfig.get_config_dict(source.place, **source.given)
    kind = raw.get("model_type")
    if kind not in MODELS:
        towers = "" if "vision_config" in raw else ", which has no image tower"
        code = "code from the hub is never run; " if "auto_map" in raw else ""
        raise UsageError(
            f"model {source.name!r} is of type {kind!r}{towers}: {', '.join(MODELS[:-1])} can be backbones",
            f"{code}{_OPEN_CLIP}",
        )
    with _explained(source, "configuration"):
        config = AutoConfig.from_pretrained(source.place, **source.given)
    if config.text_config.model_type not in CAUSAL:
        raise UsageError(
            f"the text tower of model {source.name!r} is of type {config.text_config.model_type!r}, which takes no "
            f"pseudo-words: {', '.join(CAUSAL)} do",
            _OPEN_CLIP,
        )
    return config


def _load(source: _Source, loader: str, what: str, **more: Any) -> Any:
    import transformers

    with _explained(source, what), _quiet(source.folder):
        return getattr(transformers, loader).from_pretrained(source.place, **source.given, **more)


@contextmanager
def _quiet(on: bool) -> Iterator[None]:
    """Without the library's progress bar, which does not know of ``--quiet``; downloads keep theirs."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    if on:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if on and was_on:
            logging.enable_progress_bar()


@contextmanager
def _explained(source: _Source, what: str) -> Iterator[None]:
    """What the library raises as one line that says which model and which of its files."""
    from safetensors import SafetensorError

    try:
        yield
    # KeyError and TypeError: files that are JSON, but not what they should be
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        message = f"could not load the {what} of model {source.name!r}: {reason}"
        if source.folder:
            raise DataError(message, "is the folder whole?") from error
        raise MotaError(message, _NO_PICKLE if what == "weights" else _REACH) from error
