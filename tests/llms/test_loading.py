"""LLM clients by their names, our own and a plugin's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import UnknownNameError, UsageError
from motacli.llms.hf import HFChat
from motacli.llms.loading import load_client
from motacli.llms.vllm import VLLMChat
from motacli.plugins import PluginHost, load_plugins


class Echo:
    name = "echo"

    def __init__(self, model: str = "m", times: int = 1) -> None:
        self.model, self.times = model, times

    def complete(self, request: ChatRequest) -> ChatAnswer:
        return ChatAnswer(request.user * self.times)


def with_echo() -> PluginHost:
    from motacli import hookimpl

    module = ModuleType("other")
    module.register_llm_clients = hookimpl(lambda register: register("echo", Echo))  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"other": module}, only=[])


def test_ours_are_made_with_their_options(host: PluginHost) -> None:
    one: Any = load_client(host, "hf", {"model": "a/b", "max-tokens": 7, "dtype": "bfloat16"})
    assert isinstance(one, HFChat) and (one.model, one.options.max_tokens, one.options.dtype) == ("a/b", 7, "bfloat16")
    assert isinstance(load_client(host, "vllm", {"model": "a/b"}), VLLMChat)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("hf", {"model": "a/b", "max_token": 7}, "did you mean 'max_tokens'"),
        ("hf", {"model": "a/b", "dtype": "int8"}, "options of LLM client 'hf': .*dtype"),
        ("hf", {"model": "a/b", "url": "http://localhost/v1"}, "url"),
        ("hf", {}, "which language model"),
        ("vllm", {}, "which language model"),
    ],
)
def test_mistakes_are_said(name: str, values: dict[str, Any], said: str, host: PluginHost) -> None:
    with pytest.raises(UsageError, match=said):
        load_client(host, name, values)


def test_an_unknown_client_is_named(host: PluginHost) -> None:
    with pytest.raises(UnknownNameError, match="opnai"):
        load_client(host, "opnai", {})


def test_a_plugins_client_takes_keywords() -> None:
    client: Any = load_client(with_echo(), "echo", {"times": 2})
    assert client.complete(ChatRequest("k", "ab")) == ChatAnswer("abab")
    with pytest.raises(UsageError, match=r"LLM client 'echo' does not take these options: .*tims"):
        load_client(with_echo(), "echo", {"tims": 2})
