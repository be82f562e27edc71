"""Whether features are those of a backbone, and what differs where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from motacli.cache.header import Header
from motacli.contracts import Backbone
from motacli.errors import DataError

_NOT_KNOWN = "not known"


def made_of(backbone: Backbone) -> dict[str, str]:
    """What a fingerprint is made of, by part: of backbones that do not tell, nothing."""
    tell = getattr(backbone, "fingerprint_parts", None)
    return dict(tell()) if tell is not None else {}


def require_backbone(header: Header, path: Path, backbone: Backbone) -> None:
    """Raise `DataError`, naming what differs, unless ``backbone`` made the features that ``header`` is about."""
    if header.fingerprint != backbone.fingerprint():
        raise DataError(
            f"the features in {path} come from another backbone, {named(header.backbone, header.fingerprint)}, "
            f"not {named(backbone.name, backbone.fingerprint())}{difference(header.made_of, made_of(backbone))}",
            "give the --model, --pretrained, --precision and --preprocess they were made with, or make them again",
        )


def difference(kept: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """`": weights differ (1a2b…, not 3c4d…)"`, or nothing where one side does not tell."""
    if not kept or not wanted:
        return ""
    names = [name for name in dict.fromkeys((*kept, *wanted)) if kept.get(name) != wanted.get(name)]
    said = (f"{name} ({kept.get(name, _NOT_KNOWN)}, not {wanted.get(name, _NOT_KNOWN)})" for name in names)
    return f"; what differs: {', '.join(said)}" if names else ""


def named(name: str, fingerprint: str) -> str:
    """A backbone for a message."""
    return f"{name!r} ({fingerprint})"
