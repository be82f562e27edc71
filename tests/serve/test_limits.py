"""Settings, tokens, and what may be asked how often."""

from __future__ import annotations

from typing import Any

import pytest

from motacli.errors import UsageError
from motacli.serve.files import content_type
from motacli.serve.limits import BURST, REMEMBERED, Concurrency, Rate
from motacli.serve.problems import Refused
from motacli.serve.settings import Settings, read_size
from motacli.serve.tokens import Tokens

GOOD = "a-token-of-some-length"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"host": "0.0.0.0"}, "can be reached by others"),
        ({"host": "192.168.1.2"}, "can be reached by others"),
        ({"host": "photos.example"}, "can be reached by others"),
        ({"host": "::"}, "can be reached by others"),
        ({"token": ""}, "can be guessed"),
        ({"token": "short"}, "can be guessed"),
        ({"token": "with a space in it all"}, "ASCII"),
        ({"token": "ünïcödé-tökén-of-length"}, "ASCII"),
        ({"concurrency": 0}, "concurrency has to be more than 0"),
        ({"timeout": float("nan")}, "timeout has to be more than 0"),
        ({"max_upload": -1}, "max upload"),
    ],
)
def test_settings_that_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Settings(**values)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Settings(host=host).loopback and not Settings(host="0.0.0.0", token=GOOD).loopback


def test_sizes() -> None:
    sizes = {"20MB": 20_000_000, " 1.5 kb ": 1500, "7": 7, "2G": None, "1GB": 10**9, "MB": None, "-1": None}
    sizes |= {"nan": None, "infMB": None, "0": None, "1TB": None, "": None, "1e3": 1000}
    for text, size in sizes.items():
        if size is None:
            with pytest.raises(UsageError):
                read_size(text)
        else:
            assert read_size(text) == size


def test_a_client_has_so_many_requests_and_gets_new_ones_with_time() -> None:
    now = 0.0
    rate = Rate(2.0, clock=lambda: now)
    for _ in range(int(2 * BURST)):
        rate.take("a")
    with pytest.raises(Refused) as refused:
        rate.take("a")
    assert refused.value.status_code == 429 and refused.value.headers == {"retry-after": "1"}
    rate.take("b")
    now = 0.5
    rate.take("a")
    with pytest.raises(Refused):
        rate.take("a")
    for number in range(REMEMBERED + 9):
        rate.take(str(number))
    assert len(rate._left) == REMEMBERED


def test_no_rate_is_any_rate() -> None:
    rate = Rate(0.0)
    for _ in range(5000):
        rate.take("a")


def test_so_many_at_once() -> None:
    load = Concurrency(2)
    with load.slot(), load.slot():
        with pytest.raises(Refused) as refused, load.slot():
            pytest.fail("a third")
        assert refused.value.status_code == 429
    with load.slot(), load.slot():
        pass


def test_tokens() -> None:
    tokens = Tokens(GOOD)
    assert tokens.is_token(GOOD) and not any(map(tokens.is_token, ("", GOOD[:-1], GOOD + "x", "\ud800", GOOD.upper())))
    assert Tokens(None).is_token("whatever") and tokens.session() != Tokens(GOOD).session()


def test_kinds_of_files() -> None:
    assert content_type(b"\xff\xd8\xff\xe0") == "image/jpeg" and content_type(b"RIFF....WEBP") == "image/webp"
    for head in (b"", b"<svg", b"<!doctype html", b"II*\0", b"GIF88a", b"%PDF", b"RIFF....WAVE"):
        assert content_type(head) is None
