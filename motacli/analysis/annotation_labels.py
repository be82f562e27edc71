"""What annotators are asked about a triplet, and the words they answer in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHOWN = ("id", "image", "reference_caption", "relative_caption", "target_caption")
TYPE = "modification_type"
COMMENT = "comment"
QUESTIONS = {
    "relative_ok": "Could someone looking at the reference picture say the relative caption to ask for another one?",
    "target_ok": "Does the target caption describe what the reference becomes when the relative caption is followed?",
    "grammatical": "Are relative and target caption fluent and free of mistakes?",
    TYPE: "What kind of change does the relative caption ask for?",
}
"""The columns to fill that agreement is computed for."""
COLUMNS = (*SHOWN, *QUESTIONS, COMMENT)
ANSWERS = ("yes", "no", "unsure")
_MEANT = {"y": "yes", "true": "yes", "1": "yes", "n": "no", "false": "no", "0": "no", "?": "unsure"}


def label(column: str, cell: str) -> str:
    """The label that a cell's text means; empty where it is blank. What is no label comes back as it is."""
    text = " ".join(cell.split()).casefold()
    return text if column == TYPE else _MEANT.get(text, text)


def allowed(column: str, types: Sequence[str]) -> tuple[str, ...]:
    """The labels of a column; of `TYPE` they are ``types``, and empty means any."""
    return tuple(label(TYPE, name) for name in types) if column == TYPE else ANSWERS


def guide(types: Mapping[str, int]) -> str:
    """What annotators should read first."""
    questions = "\n".join(
        f"- `{name}`: {question} Answer {_either(types if name == TYPE else ANSWERS)}."
        for name, question in QUESTIONS.items()
    )
    return f"""# How to fill the sheet

Each row is a triplet: a reference picture (`image`) with its caption, a relative caption that asks for a change, and
the caption of the picture that was asked for. What the relative caption leaves open, such as the background, may differ
in the target.

Fill these columns, one label a cell, each row on its own and without asking the other annotators:

{questions}
- `{COMMENT}`: anything, or nothing.

Leave a cell empty where you have no answer. Do not change the other columns, nor add or remove rows; their order does
not matter. Save as CSV (UTF-8).

A cell that begins with `'` before one of `= + - @` has it so that no spreadsheet takes the text for a formula.
"""


def _either(names: Sequence[str] | Mapping[str, int]) -> str:
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} or {last}" if others else last
