"""What can go wrong with a language model, told apart by whether asking again can help."""

from __future__ import annotations

from typing import Literal

from motacli.errors import MotaError

Remedy = Literal["ask again", "wait", "give up", "stop"]
"""``ask again``: the answer was no good, another may be. ``wait``: the server cannot answer now. ``give up``: this
request cannot be answered. ``stop``: no request will be, such as without a valid key."""

RATE_LIMIT = "rate limit"
"""The reason of a server that is asked too often."""


class LLMError(MotaError):
    """A request that was not answered. ``reason`` is a few words that can be counted, ``raw`` what came instead.

    ``after`` are seconds that the server asks to wait. ``reached`` is False where the request never got to the server,
    which then has not been asked.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        remedy: Remedy,
        raw: str = "",
        after: float | None = None,
        reached: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason, hint)
        self.reason, self.detail, self.raw = reason, detail, raw
        self.remedy, self.after, self.reached = remedy, after, reached
