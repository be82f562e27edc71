"""An LLM client by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from motacli.config import parse_options
from motacli.contracts import LLMClient
from motacli.errors import UsageError
from motacli.plugins import PluginHost


def load_client(host: PluginHost, name: str, values: Mapping[str, Any]) -> LLMClient:
    """The registered LLM client of that name with these options.

    A target that has an ``Options`` dataclass is called with one, made by `parse_options`; any other with ``**values``.
    """
    component = host.component("llms", name)
    target: Any = component.load()
    options = getattr(target, "Options", None)
    if options is not None:
        return cast(LLMClient, component.make(parse_options(options, values, f"options of LLM client {name!r}")))
    try:
        return cast(LLMClient, component.checked(target(**values)))
    except TypeError as error:
        raise UsageError(f"LLM client {name!r} does not take these options: {error}") from error
