"""A page of Markdown per hook, rendered from the docstrings of the hook and of the contracts behind it."""

from __future__ import annotations

import inspect
import re
from typing import Any

from motacli import contracts, hookspecs
from motacli.components import KINDS
from motacli.errors import UnknownNameError
from motacli.keeping import CONTRACTS, members

_BEHIND: dict[str, tuple[Any, ...]] = {
    "register_backbones": (contracts.TunableText,),
    "register_inversions": (contracts.TrainableInversion,),
    "register_benchmarks": (contracts.EvalUnit, contracts.Query, contracts.ImageRef),
    "register_triplet_generators": (contracts.ImageText, contracts.Outcome, contracts.Triplet, contracts.Rejection),
    "register_llm_clients": (contracts.ChatRequest, contracts.ChatAnswer),
}
"""What belongs to a hook besides its kind's contract: what may be there in addition, and the records exchanged."""


def hook_names() -> list[str]:
    """Every hook, in the order of `motacli.hookspecs`."""
    return [name for name, value in vars(hookspecs).items() if name.startswith("register_") and callable(value)]


def hook_page(name: str) -> str:
    """The page of one hook; `UnknownNameError` where there is none."""
    if name not in hook_names():
        raise UnknownNameError("hook", name, hook_names())
    hook = getattr(hookspecs, name)
    head = f"# {name}\n\n```python\n@hookimpl\ndef {name}{_signature(hook)}: ...\n```\n\n{_text(hook)}\n"
    own = [CONTRACTS[kind] for kind, each in KINDS.items() if each == name]
    return head + "".join(_contract(contract) for contract in (*own, *_BEHIND.get(name, ())))


def undocumented() -> list[str]:
    """Hooks, contracts and what these ask for that say nothing about themselves, as ``Backbone.device``."""
    shown = [*CONTRACTS.values(), *(each for more in _BEHIND.values() for each in more)]
    silent = [name for name in hook_names() if not _text(getattr(hookspecs, name))]
    silent += [contract.__name__ for contract in shown if not _text(contract)]
    for contract in shown:
        methods = {member: vars(contract)[member] for member in members(contract) if member in vars(contract)}
        calls = {member: value for member, value in methods.items() if callable(value) or isinstance(value, property)}
        silent += [f"{contract.__name__}.{member}" for member, value in calls.items() if not _text(value)]
    return silent


def _contract(contract: Any) -> str:
    lines = [f"\n## {contract.__name__}\n", _text(contract), ""]
    hints = inspect.get_annotations(contract)
    for member in members(contract):
        value = vars(contract).get(member)
        if member in hints:
            lines.append(f"- `{member}: {hints[member]}`")
        elif isinstance(value, property):
            lines.append(f"- `{member}: {value.fget.__annotations__['return']}`{_item(value)}")
        else:
            lines.append(f"- `{member}{_signature(getattr(value, '__func__', value))}`{_item(value)}")
    return "\n".join(lines) + "\n"


def _item(value: Any) -> str:
    """A docstring as the rest of a list's item."""
    return "".join(f"\n  {line}".rstrip(" ") for line in _text(value).splitlines())


def _text(value: Any) -> str:
    """A docstring in Markdown, empty where there is none: code is marked as such, and names of ours too."""
    text = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _signature(function: Any) -> str:
    """Its arguments and result, with annotations as they are written."""
    return re.sub(r"'([\w.\[\], |]+)'", r"\1", str(inspect.signature(function)))
