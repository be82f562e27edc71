"""The HTTP client against a real server on loopback, friendly and hostile."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from llm_server import FAULTS, TOLERABLE, LLMServer, completion, good_text

from motacli.contracts import ChatAnswer, ChatRequest, ImageRef
from motacli.errors import UsageError
from motacli.llms.errors import LLMError, Remedy
from motacli.llms.openai import OpenAIChat, OpenAIOptions, completions_url, retry_after
from motacli.llms.secrets import Key

REQUEST = ChatRequest("k", 'Reference caption, as a JSON string: "a dog"\n\nWrite 1 different', "be brief", schema={})
MARK = "sk-marked-0123456789"
REMEDIES: dict[str, Remedy] = {
    "429": "wait",
    "429 with Retry-After": "wait",
    "500": "wait",
    "503": "wait",
    "408": "wait",
    "slow": "wait",
    "dropped": "wait",
    "dropped halfway": "wait",
    "quotes the key": "wait",
}
ANSWERED = {"truncated JSON", "wrong schema", "another schema", "plain prose"}
"""Faults that only a reader of the text can find."""


def once(server: LLMServer, request: ChatRequest = REQUEST, key: str = "", **options: Any) -> ChatAnswer:
    async def ask() -> ChatAnswer:
        client = OpenAIChat(OpenAIOptions(url=server.url, model="m", **options), Key(key))
        try:
            return await client.complete(request)
        finally:
            await client.close()

    return asyncio.run(ask())


def refused(server: LLMServer, request: ChatRequest = REQUEST, key: str = "", **options: Any) -> LLMError:
    with pytest.raises(LLMError) as caught:
        once(server, request, key, **options)
    return caught.value


def status(code: int, message: str = "no", **headers: str) -> Any:
    async def answer(request: web.Request, body: dict[str, Any], caption: str) -> web.Response:
        return web.json_response({"error": {"message": message}}, status=code, headers=headers)

    return answer


def test_what_is_sent_and_what_comes_back() -> None:
    with LLMServer() as server:
        answer = once(server, key=MARK, temperature=0.2, extra='{"chat_template_kwargs": {"enable_thinking": false}}')
    body, headers = server.bodies[0], server.headers[0]
    assert answer == ChatAnswer(good_text(body, "a dog"), 100, 10)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["model"], body["temperature"]) == ("m", 0.2)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["response_format"]["type"] == "json_schema" and headers["Authorization"] == f"Bearer {MARK}"


def test_without_a_key_none_is_sent() -> None:
    with LLMServer() as server:
        once(server)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("kind", sorted(set(FAULTS) - ANSWERED))
def test_every_fault_has_its_remedy(kind: str) -> None:
    with LLMServer(always=FAULTS[kind]) as server:
        error = refused(server, timeout=0.5)
    assert error.remedy == REMEDIES.get(kind, "ask again") and error.reached
    assert len(error.raw) < 5000
    if kind == "429 with Retry-After":
        assert error.after == 0.2


@pytest.mark.parametrize("kind", sorted(TOLERABLE))
def test_an_unasked_format_is_still_an_answer(kind: str) -> None:
    with LLMServer(always=TOLERABLE[kind]) as server:
        assert "number 0" in once(server).text


def test_nobody_there_is_a_request_that_never_arrived() -> None:
    with LLMServer() as server:
        pass
    error = refused(server)
    assert error.reason == "no connection" and error.remedy == "wait" and not error.reached


@pytest.mark.parametrize("code", [401, 403, 404])
def test_nobody_will_be_answered(code: int) -> None:
    with LLMServer(always=status(code)) as server:
        error = refused(server)
    assert error.remedy == "stop" and str(code) in error.reason and error.hint


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with LLMServer() as other, LLMServer(always=status(307, Location=other.url)) as server:
        error = refused(server, key=MARK)
    assert error.remedy == "stop" and other.url in error.detail and not other.headers


def test_a_bad_request_is_given_up() -> None:
    with LLMServer(always=status(400, "context length exceeded")) as server:
        error = refused(server)
    assert error.remedy == "give up" and "context length" in error.detail


@pytest.mark.parametrize("knows", ["json_object", None])
def test_a_server_that_lacks_structured_output_is_asked_for_less(knows: str | None) -> None:
    async def picky(request: web.Request, body: dict[str, Any], caption: str) -> web.Response:
        kind = body.get("response_format", {}).get("type")
        if kind != knows:
            return web.json_response({"error": f"response_format {kind} is not supported"}, status=400)
        return web.json_response(completion(good_text(body, caption)))

    async def ask(url: str) -> list[LLMError | ChatAnswer]:
        client = OpenAIChat(OpenAIOptions(url=url, model="m"), Key(""))
        found: list[LLMError | ChatAnswer] = []
        for _ in range(4):
            try:
                found.append(await client.complete(REQUEST))
            except LLMError as error:
                found.append(error)
        await client.close()
        return found

    with LLMServer(always=picky) as server:
        found = asyncio.run(ask(server.url))
    errors = [one for one in found if isinstance(one, LLMError)]
    assert len(errors) == (1 if knows else 2) and all(error.remedy == "ask again" for error in errors)
    assert isinstance(found[-1], ChatAnswer)


def test_a_format_that_was_asked_for_is_insisted_on() -> None:
    with LLMServer(always=status(400, "response_format is not supported")) as server:
        assert refused(server, response_format="json_schema").remedy == "give up"


def test_the_key_is_in_no_error_and_no_traceback() -> None:
    with LLMServer(always=FAULTS["quotes the key"]) as server:
        error = refused(server, key=MARK)
    assert "***" in error.raw and "***" in error.detail
    assert MARK not in "".join(traceback.format_exception(error)) + repr(error.__dict__)


def test_a_picture_goes_along(tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "p.png"
    Image.new("RGB", (2, 2)).save(picture)
    request = ChatRequest("k", REQUEST.user, image=ImageRef("p", picture))
    with LLMServer() as server:
        once(server, request)
    part = server.bodies[0]["messages"][0]["content"][0]
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(data) == picture.read_bytes()


def test_a_picture_that_cannot_be_sent_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"no picture")
    with LLMServer() as server:
        for name, said in (("gone.png", "no such picture"), ("p.png", "no picture that models take")):
            error = refused(server, ChatRequest("k", "?", image=ImageRef(name, tmp_path / name)))
            assert error.remedy == "give up" and said in error.detail
        assert not server.bodies


def test_the_address_may_be_written_in_several_ways() -> None:
    expected = "http://host:8000/v1/chat/completions"
    for url in ("http://host:8000/v1", "http://host:8000/v1/", expected):
        assert completions_url(url) == expected
    assert completions_url("https://host/x?api-version=2") == "https://host/x/chat/completions?api-version=2"


@pytest.mark.parametrize("url", ["host:8000/v1", "ftp://host/v1", "", "http://", "file:///etc/passwd"])
def test_what_is_no_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        OpenAIChat(OpenAIOptions(url=url, model="m"), Key(""))


@pytest.mark.parametrize(
    "url", [f"http://me:{MARK}@host/v1", f"http://{MARK}@host/v1", f"http://host/v1?api-key={MARK}"]
)
def test_an_address_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError, match="MOTA_LLM_API_KEY") as caught:
        completions_url(url)
    assert MARK not in str(caught.value)


def test_retry_after_is_seconds_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after({"Retry-After": "1.5"}) == 1.5 and retry_after({}) is None
    assert 80 < (retry_after({"Retry-After": later}) or 0) <= 90
    assert retry_after({"Retry-After": "soon"}) is None and retry_after({"Retry-After": "-4"}) == 0


@pytest.mark.parametrize(
    "options", [{"extra": "[1]"}, {"extra": "{"}, {"response_format": "xml"}, {"timeout": 0.0}, {"max_tokens": 0}]
)
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"extra|response_format|must"):
        OpenAIOptions(**options)


def test_usage_that_is_missing_or_nonsense_costs_nothing() -> None:
    from motacli.llms.openai import read_completion

    for usage in (None, 3, {}, {"prompt_tokens": "many", "completion_tokens": -1}):
        content = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage}).encode()
        assert read_completion(content) == ChatAnswer("x", 0, 0)
