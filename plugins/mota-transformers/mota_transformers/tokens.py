"""A tokenizer of transformers as mota asks for it: plain ids, and the markers around a text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from motacli.errors import DataError

_PROBE = "a photo"


@dataclass(frozen=True)
class Tokens:
    """A text's ids, and the markers that stand around it: ``start`` is None where there is none (SigLIP)."""

    tokenizer: Any
    start: int | None
    end: int
    padding: int

    def ids(self, text: str) -> list[int]:
        """Ids without markers, not truncated. The names of markers in a text are ordinary text, never markers."""
        # verbose=False: no warning about texts that are longer than the model's context
        given = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        # The vocabulary of XLM-R's kind of tokenizer (MetaCLIP 2) finds them in plain text nevertheless.
        markers = (self.start, self.end, self.padding)
        return [number for number in given["input_ids"] if number not in markers]

    def digest(self) -> str:
        """SHA-256 (first 16 digits) of the vocabulary and its ids."""
        entries = sorted(self.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def read_markers(tokenizer: Any, name: str, text_config: Any, causal: bool) -> Tokens:
    """The tokenizer with the markers that it puts around a text.

    Raises `DataError` where they are not what the text tower ``text_config`` describes is read by.
    """
    plain = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    framed = tokenizer(_PROBE)["input_ids"]
    before = len(framed) - len(plain) - 1
    unknown = {tokenizer.unk_token_id, framed[-1]} & set(plain)  # all of it, where the vocabulary's file is missing
    if not plain or unknown or before not in (0, 1) or framed[before:-1] != plain:
        raise DataError(
            f"model {name!r}: its tokenizer turns {_PROBE!r} into {framed}: not into known tokens, an end marker and "
            "at most one start marker",
            "are all files of its tokenizer there?",
        )
    highest = max(tokenizer.get_vocab().values())
    if highest >= text_config.vocab_size:
        raise DataError(
            f"model {name!r}: its tokenizer has ids up to {highest}, its text tower only {text_config.vocab_size}",
            "are model and tokenizer of the same folder?",
        )
    start, end = framed[0] if before else None, framed[-1]
    if causal:
        _refuse_other_reading(name, text_config, end, highest)
        return Tokens(tokenizer, start, end, end)
    if tokenizer.pad_token_id is None or tokenizer.padding_side != "right":
        raise DataError(
            f"model {name!r}: its tokenizer does not pad texts on the right, as its text tower needs it",
            'give it a pad_token, and "padding_side": "right" in tokenizer_config.json',
        )
    return Tokens(tokenizer, start, end, int(tokenizer.pad_token_id))


def _refuse_other_reading(name: str, text_config: Any, end: int, highest: int) -> None:
    """Raise `DataError` where transformers would read the feature elsewhere than at the end marker."""
    read = text_config.eos_token_id
    if text_config.model_type == "clip_text_model" and read == 2:
        # In early conversions of CLIP the number is wrong; transformers reads those at the highest id of a text.
        if end != highest:
            raise DataError(
                f"model {name!r} is read at the highest id of a text, but its tokenizer's end marker {end} is below "
                f"{highest}",
                "set eos_token_id of text_config in config.json to the end marker",
            )
    elif read != end:
        raise DataError(
            f"model {name!r} is read at token {read}, but its tokenizer ends a text with {end}",
            "set eos_token_id of text_config in config.json to the end marker",
        )
