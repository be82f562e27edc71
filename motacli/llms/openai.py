"""Chat completions over HTTP, as OpenAI defined them and vLLM, llama.cpp, Ollama, TGI and others answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import DataError, UsageError
from motacli.llms.errors import RATE_LIMIT, LLMError
from motacli.llms.secrets import VARIABLES, Key, key_from_environment, refuse_secrets_in
from motacli.triplets.pictures import data_uri

LONGEST_ANSWER = 256 * 1024
"""Bytes of an HTTP answer that are read; a chat completion of a few sentences has some thousand."""
LONGEST_QUOTE = 300
_WAIT = frozenset({408, 409, 425, 429, *range(500, 600)})
_STOP = {401: "the key is refused", 403: "access is denied", 404: "no such address or model", 405: "not a chat address"}
_FORMATS = ("json_schema", "json_object", "none")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class OpenAIOptions:
    """Where the model is and how it samples.

    ``response_format`` is how structured output is asked for; ``auto`` starts with a JSON schema and asks for less
    where the server refuses. ``timeout`` is in seconds for the whole of one answer. ``extra`` is a JSON object of
    further fields of the request, such as ``{"chat_template_kwargs": {"enable_thinking": false}}``.
    """

    url: str = field(default="", metadata={"identity": False})
    model: str = ""
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    response_format: str = "auto"
    extra: str = ""
    timeout: float = field(default=120.0, metadata={"identity": False})

    def __post_init__(self) -> None:
        if self.response_format not in ("auto", *_FORMATS):
            raise ValueError(f"response_format must be auto or one of {', '.join(_FORMATS)}")
        if self.timeout <= 0 or self.max_tokens < 1:
            raise ValueError("timeout and max_tokens must be positive")
        if self.extra:
            extra_fields(self.extra)


def extra_fields(text: str) -> dict[str, Any]:
    """The further fields of a request; `ValueError` for what is no JSON object."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"extra is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("extra must be a JSON object")
    return found


class OpenAIChat:
    """A client of one server; its key comes from the environment."""

    name = "openai"
    Options = OpenAIOptions

    def __init__(self, options: OpenAIOptions, key: Key | None = None) -> None:
        if not options.url:
            raise UsageError("where is the language model?", "give --llm-url, such as http://localhost:8000/v1")
        if not options.model:
            raise UsageError("which language model?", "give --llm-model")
        self.options = options
        self.model = options.model
        self.url = completions_url(options.url)
        self._key = key_from_environment() if key is None else key
        self._format = "json_schema" if options.response_format == "auto" else options.response_format
        self._session: aiohttp.ClientSession | None = None

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The JSON of a request; `LLMError` where its picture cannot be sent."""
        return {
            "model": self.model,
            "messages": messages(request),
            "temperature": self.options.temperature,
            "top_p": self.options.top_p,
            "max_tokens": self.options.max_tokens,
            **response_format(self._format, request.schema),
            **extra_fields(self.options.extra),
        }

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask once. Raises `LLMError`."""
        asked = self._format
        try:
            return read_completion(await self._post(json.dumps(self.body(request)).encode()))
        except LLMError as error:
            error = self._redacted(error)
            if error.remedy == "give up" and self._settle_for_less(asked, error):
                raise LLMError(error.reason, error.detail, remedy="ask again", raw=error.raw) from None
            raise error from None

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # ------------------------------------------------------------------------------------------ HTTP

    async def _post(self, body: bytes) -> bytes:
        try:
            async with self._connections().post(self.url, data=body, allow_redirects=False) as answer:
                content = await _read(answer)
                if answer.status != 200:
                    raise _refusal(answer.status, answer.headers, content)
                return content
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise LLMError("no connection", _words(error), remedy="wait", reached=False) from error
        except TimeoutError as error:
            detail = f"nothing came within {self.options.timeout:g} s"
            raise LLMError("timeout", detail, remedy="wait") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise LLMError("connection dropped", _words(error), remedy="wait") from error

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key.reveal()}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # how many are under way is decided elsewhere
                timeout=aiohttp.ClientTimeout(total=self.options.timeout, sock_connect=min(10.0, self.options.timeout)),
                headers=headers,
                trust_env=urlsplit(self.url).hostname not in _LOOPBACK,
            )
        return self._session

    # ------------------------------------------------------------------------------------------ answers that refuse

    def _settle_for_less(self, asked: str, error: LLMError) -> bool:
        """Whether a server that refuses the response format can be asked for less, now or because others found out."""
        if self.options.response_format != "auto" or asked == _FORMATS[-1]:
            return False
        if asked == self._format:
            if not any(word in error.raw.lower() for word in ("response_format", "schema", "json_object", "guided")):
                return False
            self._format = _FORMATS[_FORMATS.index(asked) + 1]
        return True

    def _redacted(self, error: LLMError) -> LLMError:
        return LLMError(
            error.reason,
            self._key.redact(error.detail),
            remedy=error.remedy,
            raw=self._key.redact(error.raw),
            after=error.after,
            reached=error.reached,
            hint=error.hint,
        )


def completions_url(url: str) -> str:
    """The address of chat completions below a server's ``.../v1``, or as given; `UsageError` for what is none."""
    refuse_secrets_in(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is no address of a language model", "such as http://localhost:8000/v1")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
    return parts._replace(path=path).geturl()


def messages(request: ChatRequest) -> list[dict[str, Any]]:
    """A request as chat messages; `LLMError` where its picture cannot be sent."""
    found: list[dict[str, Any]] = []
    if request.system:
        found.append({"role": "system", "content": request.system})
    if request.image is None:
        return [*found, {"role": "user", "content": request.user}]
    try:
        picture = data_uri(request.image)
    except DataError as error:
        raise LLMError("unreadable picture", str(error), remedy="give up") from error
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": request.user}]
    return [*found, {"role": "user", "content": content}]


def response_format(kind: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The field of a request that asks for JSON, if any."""
    if schema is None or kind == "none":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    form = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def read_completion(content: bytes | Mapping[str, Any]) -> ChatAnswer:
    """The answer in a chat completion; `LLMError` where it holds none."""
    raw = content.decode("utf-8", "replace") if isinstance(content, bytes) else json.dumps(content)
    try:
        record: Any = json.loads(content) if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise LLMError("not UTF-8", _words(error), remedy="ask again", raw=raw) from error
    except ValueError as error:
        raise LLMError("malformed response", _words(error), remedy="ask again", raw=raw) from error
    try:
        choice = record["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise LLMError("empty response", "no choice with a message", remedy="ask again", raw=raw) from error
    if not isinstance(text, str) or not text.strip():
        raise LLMError("empty response", "the message has no text", remedy="ask again", raw=raw)
    if choice.get("finish_reason") == "length":
        raise LLMError("cut off", "the answer ran past max_tokens", remedy="ask again", raw=text)
    usage = record.get("usage")
    counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    return ChatAnswer(text, *counts)


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and value >= 0 else 0


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """An answer's body, as long as it is of a sensible length."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > LONGEST_ANSWER:
            answer.close()
            start = b"".join(parts)[:LONGEST_QUOTE].decode("utf-8", "replace")
            raise LLMError("answer too long", f"over {LONGEST_ANSWER} bytes", remedy="ask again", raw=start)
    return b"".join(parts)


def _refusal(status: int, headers: Mapping[str, str], content: bytes) -> LLMError:
    """What a status other than 200 means."""
    raw = content.decode("utf-8", "replace")
    detail = _message(raw)
    if status in _WAIT:
        reason = RATE_LIMIT if status == 429 else f"server error {status}"
        return LLMError(reason, detail, remedy="wait", raw=raw, after=retry_after(headers))
    if status in _STOP:
        hint = f"see {VARIABLES[0]}" if status in (401, 403) else "see --llm-url and --llm-model"
        return LLMError(f"the server answers {status}, {_STOP[status]}", detail, remedy="stop", raw=raw, hint=hint)
    if 300 <= status < 400:
        where = headers.get("Location", "elsewhere")
        return LLMError("redirected", f"to {where}", remedy="stop", hint="give that address as --llm-url")
    return LLMError(f"refused with {status}", detail, remedy="give up", raw=raw)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: a number, or the time until a date."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        try:
            return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None


def _message(raw: str) -> str:
    """The server's own words in an error's body."""
    try:
        record = json.loads(raw)
        error = record["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = raw
    return " ".join(str(text).split())[:LONGEST_QUOTE]


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
