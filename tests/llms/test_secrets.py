"""Keys come from the environment and appear nowhere else."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest

from motacli.errors import UsageError
from motacli.llms.secrets import VARIABLES, Key, key_from_environment, refuse_secrets_in

MARK = "sk-marked-0123456789"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_ours_comes_before_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not key_from_environment() and key_from_environment().reveal() == ""
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert key_from_environment().reveal() == "theirs"
    monkeypatch.setenv("MOTA_LLM_API_KEY", " \n")
    assert key_from_environment().reveal() == "theirs"
    monkeypatch.setenv("MOTA_LLM_API_KEY", f" {MARK}\n")
    assert key_from_environment().reveal() == MARK and key_from_environment()


@pytest.mark.parametrize("value", [f"{MARK}\r\nX-Other: 1", f"{MARK}ü", f"{MARK}\x00"[:-1] + "\x7f", f"a\t{MARK}"])
def test_what_is_no_key_is_refused_and_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTA_LLM_API_KEY", value)
    with pytest.raises(UsageError) as caught:
        key_from_environment()
    assert MARK not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"


def test_a_key_shows_itself_to_nobody() -> None:
    @dataclass
    class Holder:
        key: Key

    key = Key(MARK)
    for shown in (repr(key), str(key), f"{key}", f"{Holder(key)}", repr([key]), "%s" % key, repr(copy.copy(key))):  # noqa: UP031
        assert MARK not in shown
    assert (repr(key), repr(Key(""))) == ("Key(***)", "Key()")


def test_a_key_is_taken_out_of_texts() -> None:
    assert Key(MARK).redact(f"Bearer {MARK}, {MARK}!") == "Bearer ***, ***!"
    assert Key(MARK).redact("nothing") == "nothing" and Key("").redact("abc") == "abc"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{MARK}@host/v1",
        f"https://{MARK}@host/v1",
        f"https://:{MARK}@host/v1",
        f"https://host/v1?api_key={MARK}",
        f"https://host/v1?a=1&API-KEY={MARK}",
        f"https://host/v1?access_token={MARK}",
        f"https://host/v1?client_secret={MARK}",
        f"https://host/v1?password={MARK}",
        f"https://host/v1?X-Signature={MARK}",
        f"https://host/v1?Authorization={MARK}",
        "https://host/v1?key=",
        f"https://host/v1#token={MARK}",
        f"https://[{MARK}/v1",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_secrets_in(url)
    assert MARK not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "https://host/openai?api-version=2024-06-01", "http://[::1]:80/v1", "", "key"]
)
def test_other_addresses_pass(url: str) -> None:
    refuse_secrets_in(url)
