"""mota: zero-shot composed image retrieval. The contracts, `hookimpl` and errors: the one import a plugin needs."""

import sys
from typing import TYPE_CHECKING, Any

# Checked before anything else is imported, in words that older interpreters can parse.
if sys.version_info < (3, 11):  # noqa: UP036
    raise SystemExit("error: mota needs Python 3.11 or newer, and this is Python %d.%d" % sys.version_info[:2])  # noqa: UP031

from motacli.contracts import (
    Adapter,
    Backbone,
    Benchmark,
    ChatAnswer,
    ChatRequest,
    EvalUnit,
    GeneratorInfo,
    ImageRef,
    ImageText,
    IndexStore,
    Inversion,
    LLMClient,
    Outcome,
    Prompt,
    Query,
    Ranking,
    Register,
    Rejection,
    Triplet,
    TripletGenerator,
)
from motacli.errors import DataError, MotaError, UnknownNameError, UsageError
from motacli.hookspecs import hookimpl
from motacli.plugins import load_plugins

if TYPE_CHECKING:
    from motacli.search.searcher import Searcher

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "Backbone",
    "Benchmark",
    "ChatAnswer",
    "ChatRequest",
    "DataError",
    "EvalUnit",
    "GeneratorInfo",
    "ImageRef",
    "ImageText",
    "IndexStore",
    "Inversion",
    "LLMClient",
    "MotaError",
    "Outcome",
    "Prompt",
    "Query",
    "Ranking",
    "Register",
    "Rejection",
    "Searcher",
    "Triplet",
    "TripletGenerator",
    "UnknownNameError",
    "UsageError",
    "__version__",
    "hookimpl",
    "load_plugins",
]


def __getattr__(name: str) -> Any:
    if name == "Searcher":  # it needs torch
        from motacli.search.searcher import Searcher

        return Searcher
    raise AttributeError("module %r has no attribute %r" % (__name__, name))  # noqa: UP031
