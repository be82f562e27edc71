"""A working package to start a plugin from, written from the templates in ``skeletons/``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from motacli.components import KINDS
from motacli.errors import UsageError
from motacli.runs import partial_path, refuse_existing

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_COMMANDS = {
    "inversion": "mota train-inversion $name --data PAIRS --out phi",
    "backbone": "mota eval cirr --data-root CIRR --model $name --query sum",
    "adapter": "mota train --adapter-type $name --inversion lincir --triplets T.jsonl --features F.h5 --out adapted",
    "benchmark": "mota eval $name --data-root FOLDER --inversion lincir",
    "generator": "mota gen-triplets PAIRS --generator $name --out T.jsonl",
    "llm": "mota gen-triplets PAIRS --generator llm --llm $name --out T.jsonl",
    "store": "mota index PICTURES -o my.mota --store $name",
}
"""Each kind of part, and a command that uses one."""
_PLURAL = {"llm": "llms"}


@dataclass(frozen=True)
class Skeleton:
    """A package that was written: its folder and its files."""

    folder: Path
    files: tuple[Path, ...]


def write_skeleton(name: str, kind: str, folder: Path | None = None) -> Skeleton:
    """Write a package whose part of this kind is called ``name`` to ``folder``, by default ``mota-NAME`` here.

    Raises `UsageError` for a name that cannot be one, `motacli.errors.MotaError` where the folder is taken.
    """
    if not NAME.fullmatch(name) or name.startswith("mota-"):
        hint = f"as in my-{kind}: lower-case letters, digits and single hyphens, a letter first, without mota-"
        raise UsageError(f"{name!r} cannot be the name of a plugin", hint)
    folder = folder or Path(f"mota-{name}")
    refuse_existing(folder)
    texts = _texts(name, kind)
    partial = partial_path(folder)
    partial.mkdir(parents=True)
    for place, text in texts.items():
        (partial / place).parent.mkdir(exist_ok=True)
        (partial / place).write_text(text, encoding="utf-8")
    partial.rename(folder)
    return Skeleton(folder, tuple(folder / place for place in texts))


def _texts(name: str, kind: str) -> dict[str, str]:
    """What each file holds, by its path in the package."""
    module = f"mota_{name.replace('-', '_')}"
    target = "".join(part.capitalize() for part in name.split("-"))
    words = {
        "name": name,
        "kind": kind,
        "module": module,
        "target": target,
        "hook": KINDS[_PLURAL.get(kind, f"{kind}s")],
        "article": "an" if kind[0] in "aeiou" or kind == "llm" else "a",
        "command": Template(_COMMANDS[kind]).substitute(name=name),
    }
    hook_words = {**words, "target": "load"} if kind == "backbone" else words
    return {
        "pyproject.toml": _filled("pyproject.toml", words),
        "README.md": _filled("README.md", words),
        f"{module}/__init__.py": _filled("hook.py", hook_words),
        f"{module}/{kind}.py": _filled(f"{kind}.py", words),
        f"test_{module}.py": _filled(f"test_{kind}.py", words),
    }


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = files("motacli").joinpath("skeletons", f"{template}.tmpl").read_text("utf-8")
    return Template(text).substitute(words)
