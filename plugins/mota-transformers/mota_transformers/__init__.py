"""Backbones from Hugging Face transformers: ``--model hf:OWNER/NAME`` or ``--model hf:./folder``."""

from __future__ import annotations

from motacli import hookimpl
from motacli.contracts import Register


@hookimpl
def register_backbones(register: Register) -> None:
    register("hf", "mota_transformers.loading:load_hf", summary="CLIP, MetaCLIP, SigLIP of transformers: hf:OWNER/NAME")
