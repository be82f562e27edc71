"""Phrases around concepts that a language model writes, as SEARLE's authors had them written (ICCV 2023)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from motacli.console import NullProgress, Progress
from motacli.contracts import ChatRequest, LLMClient
from motacli.errors import MotaError
from motacli.llms.asking import Asker, AskOptions
from motacli.llms.errors import LLMError
from motacli.llms.pool import answered
from motacli.runs import explained, partial_path, refuse_existing, write_json

ASK = (
    "Continue the text 'a photo of {concept} that' in {count} different ways, each a short everyday caption of one "
    "picture. Keep the words '{concept}' as they are. Answer with one caption per line and nothing else."
)


def write_phrases(
    client: LLMClient,
    names: Sequence[str],
    count: int,
    out: Path,
    options: AskOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, list[str]]:
    """Let a language model write at most ``count`` phrases of each concept into ``out``, JSON ``{concept: [phrases]}``.

    Lines without the concept are left out, and a concept that has no other is asked about again, then left out. What an
    interrupted attempt was told is not asked again. Raises `MotaError` where ``out`` exists or not one phrase came.
    """
    refuse_existing(out)
    partial = partial_path(out)
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        found = dict(_told(partial))
        missing = [name for name in dict.fromkeys(names) if name not in found]

        async def ask(asker: Asker, name: str) -> tuple[str, list[str]]:
            request = ChatRequest(key=name, user=ASK.format(concept=name, count=count))
            asked = await asker.ask(request, lambda text: _phrases(text, name, count))
            return name, asked.value or []

        asking = answered(missing, client, options or AskOptions(), ask)
        with partial.open("a", encoding="utf-8") as file:
            for name, phrases in (progress or NullProgress()).track(asking, "asking for phrases", len(missing)):
                found[name] = phrases
                file.write(json.dumps([name, phrases]) + "\n")
                file.flush()
    kept = {name: found[name] for name in dict.fromkeys(names) if found.get(name)}
    if not kept:
        partial.unlink()
        raise MotaError(f"{client.name} wrote no phrase that keeps its concept", "ask another model, or give a file")
    write_json(out, kept)
    partial.unlink()
    return kept


def _told(partial: Path) -> Iterable[tuple[str, list[str]]]:
    """What an interrupted attempt was told; a last line that was not written to its end is cut off."""
    if not partial.exists():
        return []
    whole, end, _ = partial.read_text("utf-8").rpartition("\n")
    partial.write_text(whole + end, "utf-8")
    return [(name, phrases) for name, phrases in map(json.loads, whole.splitlines())]


def _phrases(text: str, name: str, count: int) -> list[str]:
    lines = [line.strip(" -*0123456789.") for line in text.splitlines()]
    found = [line for line in lines if name in line][:count]
    if not found:
        raise LLMError("no phrase", f"no line has {name!r}", remedy="ask again", raw=text)
    return found
