"""Which edits are better not made together."""

from __future__ import annotations

from motacli.triplets.editing.edit import Edit

CLASHES = (("snowy", "rainy"), ("snowy", "sunny"), ("desert", "winter"), ("beach", "winter"), ("night", "blue"))
"""Words that one picture would not have both of."""


def clash(edit: Edit, other: Edit) -> bool:
    """Whether two edits contradict each other, read badly together, or one brings in what the other speaks of."""
    doubled = all(any(tail.phrase.startswith("with ") for tail in one.tails) for one in (edit, other))
    said = {*edit.context.split(), *other.context.split()}
    named = [edit.words[slot] for slot in ("noun", "old", "thing") if edit.words.get(slot)]
    return (
        doubled
        or bool(edit.touches & other.touches)
        or any({one, two} <= said for one, two in CLASHES)
        or any(name.split()[-1].rstrip("s") in other.context for name in named)
    )
