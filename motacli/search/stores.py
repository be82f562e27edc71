"""An index store by name: built, opened and forgotten, its options checked and its mistakes told as its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from motacli.config import parse_options

if TYPE_CHECKING:
    from motacli.console import Progress
    from motacli.contracts import IndexStore
    from motacli.plugins import PluginHost
    from motacli.search.vectors import Vectors

STORE = "store"
"""The folder of a store beside the vectors that it finds."""


@dataclass(frozen=True)
class StoreChoice:
    """What ``--store`` and ``--store-option`` say."""

    name: str = "exact"
    options: Mapping[str, Any] = field(default_factory=dict)

    def parsed(self, host: PluginHost) -> Any:
        """The options as the store's own; `UsageError` for what it does not know, and for a store there is none of."""
        target: Any = host.component("stores", self.name).load()
        return parse_options(target.Options, self.options, f"options of index store {self.name!r}")

    def build(self, folder: Path, vectors: Vectors, host: PluginHost, progress: Progress) -> None:
        """Have the store write what it needs below ``folder``, which is empty."""
        component, options = host.component("stores", self.name), self.parsed(host)
        target: Any = component.load()
        with component.blamed():
            target.build(folder, vectors, options, progress)

    def open(self, folder: Path, vectors: Vectors, host: PluginHost) -> IndexStore:
        """What was built in ``folder``, to be closed in the end."""
        component, options = host.component("stores", self.name), self.parsed(host)
        target: Any = component.load()
        with component.blamed():
            return cast("IndexStore", component.checked(target.open(folder, vectors, options)))

    def forget(self, folder: Path, host: PluginHost) -> None:
        """Let a store that keeps rows elsewhere remove those of ``folder``; `MotaError` where it cannot."""
        target: Any = host.component("stores", self.name).load()
        if hasattr(target, "forget"):
            target.forget(folder, self.parsed(host))
