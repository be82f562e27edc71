"""URLs without what is secret in them: passwords, keys and signatures. Light: every error passes through here."""

from __future__ import annotations

import re

HIDDEN = "***"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^\s'\"<>]+")
_USER = re.compile(r"(?<=:/)(/?)[^/@]+@")
_SECRET = re.compile(
    r"(?:^|[-_.]|api|access)(?:key|token|secret|password|passwd|pwd|sig|signature|credentials?|auth|authorization)"
    r"(?:$|[-_.])|^x-(?:amz|goog|oss|ms)-|^(?:accesskeyid|ossaccesskeyid|awsaccesskeyid|googleaccessid|policy)$",
    re.IGNORECASE,
)
_OF_SIGNATURES = frozenset(("expires", "se", "st", "sp", "sv", "sr", "ss", "srt", "spr", "ske", "skt", "sks", "skv"))
"""What stands beside a signature and changes with it: when and for what it holds."""


def without_secrets(text: str) -> str:
    """The text, with ``***`` for what is secret in the URLs in it. A URL that is signed anew gives the same text."""
    return _URL.sub(lambda match: _plain(match[0]), text) if ":/" in text else text


def is_secret(name: str) -> bool:
    """Whether a field of a query has a telling name."""
    return _SECRET.search(name) is not None


def _plain(url: str) -> str:
    address, mark, query = url.partition("?")
    address = _USER.sub(rf"\1{HIDDEN}@", address, count=1)
    fields = [field.partition("=") for field in query.split("&")]
    signed = any(equals and is_secret(name) for name, equals, _ in fields)
    hidden = (
        f"{name}={HIDDEN}"
        if equals and (is_secret(name) or (signed and name.lower() in _OF_SIGNATURES))
        else f"{name}{equals}{value}"
        for name, equals, value in fields
    )
    return f"{address}{mark}{'&'.join(hidden)}"
