"""Prompts that ask a language model for triplets: files with slots, digested into every record."""

from __future__ import annotations

import hashlib
import json
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from motacli.errors import UsageError
from motacli.triplets.contexts import CONTEXT_SHARES

TYPES = (
    "addition",
    "removal",
    "substitution",
    "attribute",
    "count",
    "background",
    "viewpoint",
    "style",
    "spatial",
    "negation",
)
"""The kinds of change that are asked for."""
WANTED_TYPES = 2
"""How many types a request prefers for each of its triplets."""
_SLOTS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"types"}),
    "user": frozenset({"caption", "count", "spread", "context"}),
    "picture": frozenset(),
    "recaption": frozenset(),
    "spread": frozenset({"wanted"}),
}


@dataclass(frozen=True)
class PromptTemplate:
    """The texts of a prompt file; ``digest`` is that of the whole file, in 12 hexadecimal digits."""

    system: str
    user: str
    picture: str
    recaption: str
    spread: str
    context: Mapping[str, str]
    digest: str

    def system_text(self) -> str:
        """What the model is to do, the same for every row."""
        return self.system.format(types=", ".join(TYPES)).strip()

    def user_text(self, caption: str, count: int, context: str, wanted: Sequence[str], about_picture: str) -> str:
        """What is asked about one row: ``about_picture`` is ``""``, ``"picture"`` or ``"recaption"``."""
        head = getattr(self, about_picture).format() if about_picture else ""
        body = self.user.format(
            caption=json.dumps(caption, ensure_ascii=False),
            count=count,
            spread=self.spread.format(wanted=", ".join(wanted)) if wanted else "",
            context=self.context[context],
        )
        return f"{head.strip()}\n\n{body.strip()}".strip()


def read_prompt(path: Path | None = None) -> PromptTemplate:
    """A prompt file, ours without ``path``. `UsageError` names what is missing or an unknown slot."""
    where = str(path or "the built-in prompt")
    try:
        text = (path or files("motacli.triplets").joinpath("prompts/triplets.toml")).read_text("utf-8")
        raw = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the prompt {where}: {error}") from error
    texts = {name: _template(raw, name, slots, where) for name, slots in _SLOTS.items()}
    context = raw.get("context")
    if not isinstance(context, dict) or not all(isinstance(context.get(mode), str) for mode in CONTEXT_SHARES):
        raise UsageError(f"{where}: [context] must say what {', '.join(CONTEXT_SHARES)} mean")
    if "caption" not in _slots(texts["user"]):
        raise UsageError(f"{where}: 'user' has no slot {{caption}}")
    return PromptTemplate(**texts, context=context, digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _template(raw: Mapping[str, Any], name: str, slots: frozenset[str], where: str) -> str:
    text = raw.get(name)
    if not isinstance(text, str):
        raise UsageError(f"{where}: no text {name!r}", f"a prompt has {', '.join(_SLOTS)} and a table [context]")
    try:
        found = _slots(text)
    except ValueError as error:
        raise UsageError(f"{where}: {name!r}: {error}", "a brace that is no slot is written twice") from error
    unknown = next((slot for slot in found if slot not in slots), None)
    if unknown is not None:
        raise UsageError(
            f"{where}: {name!r} has an unknown slot {{{unknown}}}",
            f"known: {', '.join(sorted(slots)) or 'none'}; a brace that is no slot is written twice",
        )
    return text


def _slots(text: str) -> list[str]:
    """What is between single braces, a conversion or format included; `ValueError` for a brace without another."""
    parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
    return [
        f"{slot}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
        for _, slot, form, conversion in parts
    ]


def wanted_types(rng: Random, count: int) -> list[str]:
    """The types that a request prefers, drawn evenly so that a data set has all of them [ours]."""
    return rng.sample(TYPES, min(len(TYPES), WANTED_TYPES * count))


def answer_schema(count: int, recaption: bool) -> dict[str, Any]:
    """The JSON schema of an answer."""
    text = {"type": "string"}
    triplet = {
        "type": "object",
        "properties": {
            "relative_caption": text,
            "target_caption": text,
            "modification_type": {"type": "string", "enum": list(TYPES)},
        },
        "required": ["relative_caption", "target_caption", "modification_type"],
        "additionalProperties": False,
    }
    properties: dict[str, Any] = {"reference_caption": text} if recaption else {}
    properties["triplets"] = {"type": "array", "items": triplet, "maxItems": count}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
