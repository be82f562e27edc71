"""What open_clip offers: models and pretrained weights, and which of them take pseudo-words, from configurations alone.

Nothing here builds a model or fetches a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from motacli.errors import UsageError

POOLS = ("argmax", "eos")
"""open_clip's words for a text feature that is read at the end token."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A model of open_clip with a tag of its weights.

    ``joint_dim`` is ``d``, ``text_width`` ``w`` (None where another library knows it); ``note`` says why a pair is not
    usable here and what is.
    """

    model: str
    pretrained: str
    joint_dim: int
    text_width: int | None
    usable: bool
    note: str


def list_pretrained(pattern: str = "*") -> list[Pretrained]:
    """Every pair whose model's name matches a shell pattern, whatever its case; `UsageError` where none does."""
    import open_clip

    pairs = open_clip.list_pretrained()
    found = [_describe(model, tag) for model, tag in pairs if fnmatch(model.lower(), pattern.lower())]
    if not found:
        raise UsageError(f"no pretrained model is called like {pattern!r}", "patterns are the shell's, as in 'ViT-B*'")
    return found


def text_problem(config: Mapping[str, Any]) -> str:
    """Why the text tower of a model's configuration takes no pseudo-words; empty where it does."""
    from open_clip import CLIPTextCfg

    text = CLIPTextCfg(**config["text_cfg"])
    if text.hf_model_name:
        return f"its text tower is {text.hf_model_name} of the transformers library"
    if text.no_causal_mask:
        return "its text tower has no causal mask"
    if text.embed_cls:
        return "its text is read at a class token"
    if text.pool_type not in POOLS:
        return f"its text is read at {text.pool_type!r}, not at the end token"
    if text.hf_tokenizer_name:
        return f"its tokenizer is {text.hf_tokenizer_name} of the transformers library"
    return ""


def activation_problem(model: str, pretrained: str) -> UsageError | None:
    """The error for weights trained with QuickGELU in an architecture that computes GELU.

    open_clip only warns of it, and every feature is wrong.
    """
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None or config.get("quick_gelu", False):
        return None
    tag = open_clip.get_pretrained_cfg(model, pretrained) or {}
    if not tag.get("quick_gelu", False) and pretrained != "openai":
        return None
    return UsageError(
        f"weights {pretrained!r} were trained with QuickGELU but {model!r} computes GELU",
        f"use --model {_quick(model)}",
    )


def _quick(model: str) -> str:
    return f"{model}-quickgelu"


def _describe(model: str, tag: str) -> Pretrained:
    import open_clip

    config = open_clip.get_model_config(model)
    text = open_clip.CLIPTextCfg(**config["text_cfg"])
    note = text_problem(config)
    if not note and activation_problem(model, tag) is not None:
        note = f"QuickGELU weights: use {_quick(model)}"
    width = None if text.hf_model_name else text.width
    return Pretrained(model, tag, config["embed_dim"], width, usable=not note, note=note)
