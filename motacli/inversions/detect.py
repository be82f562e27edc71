"""Which network weights belong to: asked of every registered inversion, so that a plugin's is found like our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from motacli.errors import DataError, MotaError, UsageError
from motacli.inversions.networks import outline, sizes_of
from motacli.inversions.sizes import Sizes
from motacli.inversions.wrong_files import what_weights
from motacli.plugins import PluginHost


@dataclass(frozen=True)
class Network:
    """A class of networks, the sizes of one, and the names of the registered inversions that are such networks."""

    factory: Callable[..., Any]
    sizes: Sizes
    names: tuple[str, ...]


def detect(host: PluginHost, state: Mapping[str, Tensor], path: Path) -> Network:
    """The network with the weights that were read from ``path``, by their names and shapes.

    An inversion claims weights by its classmethod ``sizes(state)``, which raises `DataError` for all others; those that
    fit in every name and shape come first. Where several of one family do (SEARLE's and LinCIR's networks are the
    same), the class that they share is the answer. Raises `DataError` where none claims them, `UsageError` where
    inversions that have nothing in common do.
    """
    classes = _classes(host)
    sizes = {name: found for name, build in classes.items() if (found := _claim(build, state)) is not None}
    fitting = [name for name in sizes if _fits(classes[name], sizes[name], state)]
    names = tuple(fitting or sizes)
    if not names:
        known = ", ".join(classes) or "none"
        raise DataError(f"{path} holds {what_weights(state)}", f"expected those of an inversion network: {known}")
    factory = _shared([classes[name] for name in names], names, path)
    return Network(factory, factory.sizes(state), names)


def _classes(host: PluginHost) -> dict[str, Any]:
    """Registered inversions that can be asked; one that cannot be loaded is an error only when asked for by name."""
    found: dict[str, Any] = {}
    for component in host.components("inversions"):
        try:
            build = component.load()
        except MotaError:
            continue
        if hasattr(build, "sizes"):
            found[component.name] = build
    return found


def _claim(build: Any, state: Mapping[str, Tensor]) -> Sizes | None:
    try:
        return sizes_of(build, state)
    except DataError:
        return None


def _fits(build: Any, sizes: Sizes, state: Mapping[str, Tensor]) -> bool:
    own = outline(build, sizes).state_dict()
    return {key: value.shape for key, value in own.items()} == {key: value.shape for key, value in state.items()}


def _shared(classes: list[Any], names: tuple[str, ...], path: Path) -> Any:
    """The nearest class that all derive from and that tells sizes."""
    if len(classes) == 1:
        return classes[0]
    for base in getattr(classes[0], "__mro__", ()):
        if hasattr(base, "sizes") and all(isinstance(build, type) and issubclass(build, base) for build in classes):
            return base
    raise UsageError(f"{path} may hold any of {', '.join(names)}", "name the one it holds with --inversion")
