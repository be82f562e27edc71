"""The models that an index's questions go through, loaded when a question first needs them."""

from __future__ import annotations

import threading

from motacli.benchmarks.protocol import PromptRule
from motacli.plugins import PluginHost
from motacli.search.config import SLOT, IndexConfig
from motacli.search.index import Index
from motacli.search.queries import Composer


class Composers:
    """The models of an index, loaded when they are first needed and kept for as long as it has the same ones."""

    def __init__(self, host: PluginHost, device: str, plain: bool) -> None:
        self._host, self._device, self._plain = host, device, plain
        self._lock = threading.Lock()
        self._kept: tuple[object, Composer] | None = None

    def of(self, index: Index) -> Composer:
        """The models that ``index`` names; raises what `Index.load_backbone` and the like raise."""
        key = _models(index.config)
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = key, self._load(index)
            return self._kept[1]

    def _load(self, index: Index) -> Composer:
        backbone = index.load_backbone(self._host, self._device)
        inversion = index.load_inversion(self._host, backbone)
        adapter = None if self._plain else index.load_adapter(self._host, backbone, inversion)
        return Composer(backbone, PromptRule(index.config.prompt, SLOT), inversion, adapter)


def _models(config: IndexConfig) -> object:
    inversion, adapter = (config.inversion, config.inversion_digest), (config.adapter, config.adapter_digest)
    return config.fingerprint, inversion, adapter, config.prompt
