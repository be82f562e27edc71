"""What a trained adapter's folder says about its training."""

from __future__ import annotations

import json
from pathlib import Path

from motacli.adapters.files import read_adapter_record
from motacli.adapters.options import TrainOptions
from motacli.runs import PROVENANCE, explained

SEEN = "The adapter was trained on these very triplets, which flatters it: judge it by triplets that it has not seen."


def trained_template(folder: Path) -> str:
    """The template that the adapter was trained with, or the one that adapters are trained with by default."""
    training = read_adapter_record(folder).about.get("training")
    template = training.get("template") if isinstance(training, dict) else None
    return template if isinstance(template, str) else TrainOptions().template


def was_trained_on(folder: Path, digest: str) -> bool:
    """Whether a triplets file of that SHA-256 is among those that the training's record names."""
    path = folder / PROVENANCE
    if not path.is_file():
        return False
    try:
        with explained(path):
            digests = json.loads(path.read_text("utf-8")).get("digests", {})
        return any(name.startswith("triplets") and value == digest for name, value in digests.items())
    except (ValueError, AttributeError):
        return False
