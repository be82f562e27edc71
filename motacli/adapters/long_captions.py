"""Captions that the text encoder has no room for are found before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from motacli.compose import TokenPrompt, text_room
from motacli.contracts import Backbone, Triplet
from motacli.errors import DataError

_HINT = "remove them, or let them lose their end with --train-option long_captions=cut"


def refuse_long_targets(backbone: Backbone, triplets: Sequence[Triplet]) -> None:
    """Raise `DataError` where a target caption is longer than the text encoder reads."""
    room = text_room(backbone)
    lengths = {text: len(backbone.tokenize(text)) for text in {triplet.target_caption for triplet in triplets}}
    long = [triplet for triplet in triplets if lengths[triplet.target_caption] > room]
    if long:
        raise DataError(
            f"{len(long)} of {len(triplets)} target captions are too long: that of triplet {long[0].id!r} has "
            f"{lengths[long[0].target_caption]} tokens, and there is room for {room}",
            _HINT,
        )


def refuse_long_prompts(
    backbone: Backbone, prompts: Sequence[TokenPrompt], pseudo_words: int, task_prompts: int
) -> None:
    """Raise `DataError` where a relative caption does not fit beside its pseudo-words and the task prompts."""
    room = text_room(backbone) - task_prompts
    lengths = [len(prompt) + pseudo_words * (1 + len(prompt.more)) for prompt in prompts]
    long = [row for row, length in enumerate(lengths) if length > room]
    if long:
        raise DataError(
            f"{len(long)} of {len(prompts)} relative captions are too long: the query of triplet {long[0] + 1} has "
            f"{lengths[long[0]]} tokens with its pseudo-words, and beside {task_prompts} task prompts there is room "
            f"for {room}",
            _HINT,
        )
