"""The key of a language model's server: from the environment only, and out of everything that is written or printed."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlsplit

from motacli.errors import UsageError

VARIABLES = ("MOTA_LLM_API_KEY", "OPENAI_API_KEY")
_TELLING = ("key", "token", "secret", "passw", "pwd", "signature", "credential", "auth")


class Key:
    """A key that shows itself only to who asks for it by name."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Key(***)" if self._value else "Key()"

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def redact(self, text: str) -> str:
        """The text without the key, which servers and models like to quote."""
        return text.replace(self._value, "***") if self._value else text


def key_from_environment() -> Key:
    """The first of `VARIABLES` that is set; no key where none is."""
    found = next((value for name in VARIABLES if (value := os.environ.get(name, "").strip())), "")
    if not found.isascii() or not found.isprintable():
        raise UsageError("the key of the language model holds characters that no key has", f"see {VARIABLES[0]}")
    return Key(found)


def refuse_secrets_in(url: str) -> None:
    """Raise `UsageError` for an address that carries a key or a password: addresses are recorded."""
    try:
        parts = urlsplit(url)
    except ValueError as error:  # it is not quoted: what is in it is not known
        raise UsageError(f"the address of the language model cannot be read: {error}") from error
    fields = (parts.query, parts.fragment)
    asked = [name for text in fields for name, _ in parse_qsl(text, keep_blank_values=True)]
    if parts.username or parts.password or any(word in name.lower() for name in asked for word in _TELLING):
        raise UsageError("the address of the language model holds a secret", f"put the key into {VARIABLES[0]} instead")
