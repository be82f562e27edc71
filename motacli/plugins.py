"""Finding plugins, keeping broken ones from taking the tool down, and looking parts up by name.

Every plugin lives in a pluggy manager of its own: what one plugin raises stops no other, and a misspelt hook is
noticed where it was written. There is no global state; `load_plugins` returns a host.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pluggy

from motacli import hookspecs
from motacli.components import KINDS, Component, one_line, one_of
from motacli.errors import MotaError, UnknownNameError, UsageError, did_you_mean
from motacli.plugin_notes import HookCall, HookCalls, clashes, heavy_modules, loading_notes

if TYPE_CHECKING:
    import typer

GROUP = "mota"
_BUILTIN = "builtin"
T = TypeVar("T")


class EntryPointLike(Protocol):
    """What we need of `importlib.metadata.EntryPoint`."""

    @property
    def name(self) -> str: ...

    def load(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class PluginRow:
    """One line of ``mota plugins``: ``status`` is ok, failed or disabled, ``components`` are ``kind:name``.

    ``reason`` says why a plugin failed, and of one that is ok what its author or its user should know: that loading it
    was slow or imported something heavy, or that another plugin offers a part of the same name.
    """

    name: str
    version: str
    status: str
    reason: str
    hooks: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(slots=True)
class _Plugin:
    name: str
    version: str = ""
    status: str = "ok"
    reason: str = ""
    manager: pluggy.PluginManager | None = None
    hooks: tuple[str, ...] = ()
    components: list[Component] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def register(self, kind: str) -> Callable[..., None]:
        """The callback that the hook of this kind receives, bound to this plugin."""

        def register(name: str, target: Callable[..., Any] | str, *, summary: str = "") -> None:
            if not isinstance(name, str) or not name or ":" in name or name.split() != [name]:
                raise ValueError(f"{name!r} is no name: use a word without spaces and colons")
            if not callable(target) and not (isinstance(target, str) and all(target.partition(":"))):
                raise TypeError(f"target of {name!r} is neither callable nor 'module:attribute': {target!r}")
            if any((c.kind, c.name) == (kind, name) for c in self.components):
                raise ValueError(f"{one_of(kind)} {name!r} is registered twice")
            self.components.append(Component(kind, name, target, summary, self.name))

        return register


class PluginHost:
    """The loaded plugins: `component` looks a part up, `components` lists them, `rows` tells how each plugin fared."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._plugins: list[_Plugin] = []
        self._calls = HookCalls()

    def add(self, name: str, load: Callable[[], object], *, version: str = "") -> None:
        """Load one plugin and ask it for its components; whatever goes wrong becomes a ``failed`` row."""
        plugin, before, first = _Plugin(name, version), heavy_modules(), len(self._calls.made)
        with self._isolated(plugin):
            if any(name == other.name for other in self._plugins):
                raise ValueError(f"another plugin is called {name!r} too")
            with self._calls.timed(name, "import"):
                module = load()
            plugin.manager, plugin.hooks = _manage(module, name)
            for kind, hook in KINDS.items():
                if hook in plugin.hooks:
                    with self._calls.timed(name, hook):
                        getattr(plugin.manager.hook, hook)(register=plugin.register(kind))
        seconds = sum(call.seconds for call in self._calls.made[first:])
        plugin.notes = loading_notes(seconds, heavy_modules() - before)
        self._plugins.append(plugin)

    def add_row(self, name: str, status: str, reason: str) -> None:
        """Record a plugin that is not loaded; a failed one is also reported."""
        plugin = _Plugin(name, status=status, reason=reason)
        self._plugins.append(plugin)
        if status == "failed":
            self._report(plugin)

    def rows(self) -> list[PluginRow]:
        """How every plugin fared, built-ins first."""
        return [self._row(plugin) for plugin in self._plugins]

    def hook_calls(self) -> list[HookCall]:
        """Every import and hook call so far, in their order; hooks of commands are called by `build_app` alone."""
        return list(self._calls.made)

    def components(self, kind: str) -> list[Component]:
        """Every usable component of a kind, in order of registration."""
        if kind not in KINDS:
            raise UnknownNameError("kind of component", kind, KINDS)
        return [c for p in self._plugins if p.status == "ok" for c in p.components if c.kind == kind]

    def component(self, kind: str, name: str) -> Component:
        """The one component of that kind and name, or an error that says what to do."""
        known = self.components(kind)
        found = [c for c in known if c.name == name]
        if len(found) > 1:
            raise clash(f"{one_of(kind)} {name!r}", [c.plugin for c in found])
        if not found:
            self._raise_unknown(kind, name, known)
        return found[0]

    def command_apps(self, convert: Callable[[typer.Typer], Any]) -> Iterator[tuple[str, Any]]:
        """Each plugin's name and its commands: a fresh `typer.Typer` filled by the plugin, put through ``convert``."""
        import typer

        for plugin in self._plugins:
            if plugin.status != "ok" or plugin.manager is None or "register_commands" not in plugin.hooks:
                continue
            converted = None
            with self._isolated(plugin):
                app = typer.Typer()
                with self._calls.timed(plugin.name, "register_commands"):
                    plugin.manager.hook.register_commands(app=app)
                    converted = convert(app)
            if converted is not None:
                yield plugin.name, converted

    def guarded(self, name: str, make: Callable[[], T]) -> T | None:
        """What a loaded plugin makes; None where that goes wrong, which its row then tells."""
        plugin = next(plugin for plugin in self._plugins if plugin.name == name)
        with self._isolated(plugin):
            return make()
        return None

    def failures_hint(self) -> str:
        """A sentence about failed plugins, for errors they may have caused; empty when all is well."""
        failed = [p.name for p in self._plugins if p.status == "failed"]
        if not failed:
            return ""
        return f"plugin {', '.join(map(repr, failed))} failed and might have offered it: see `mota plugins`"

    def _row(self, plugin: _Plugin) -> PluginRow:
        reason = plugin.reason
        if plugin.status == "ok":
            others = [c for p in self._plugins if p.status == "ok" and p is not plugin for c in p.components]
            reason = "; ".join([*plugin.notes, *clashes(plugin.components, others)])
        offered = tuple(f"{c.kind}:{c.name}" for c in plugin.components)
        return PluginRow(plugin.name, plugin.version, plugin.status, reason, plugin.hooks, offered)

    def _raise_unknown(self, kind: str, name: str, known: list[Component]) -> None:
        for plugin in self._plugins:
            if plugin.status == "failed" and any((c.kind, c.name) == (kind, name) for c in plugin.components):
                what = f"{one_of(kind)} {name!r} comes from plugin {plugin.name!r}"
                raise MotaError(f"{what}, which failed: {plugin.reason}")
        error = UnknownNameError(one_of(kind), name, {c.name for c in known})
        error.hint = "; ".join(filter(None, [error.hint, self.failures_hint()]))
        raise error

    @contextmanager
    def _isolated(self, plugin: _Plugin) -> Iterator[None]:
        try:
            with redirect_stdout(sys.stderr):
                yield
        except (Exception, SystemExit) as error:
            plugin.status, plugin.reason = "failed", one_line(error)
            self._report(plugin)

    def _report(self, plugin: _Plugin) -> None:
        self._warn(f"warning: plugin {plugin.name!r} failed: {plugin.reason}")


def load_plugins(
    *,
    entry_points: Iterable[EntryPointLike] | None = None,
    modules: Mapping[str, object] | None = None,
    only: Iterable[str] | None = None,
    warn: Callable[[str], None] | None = None,
) -> PluginHost:
    """Load the built-in parts, then the installed plugins, then ``modules`` (plugins given as objects, by name).

    ``only`` names the entry points to load; by default the variable ``MOTA_PLUGINS`` does: unset means all, empty none,
    ``a,b`` those two. ``entry_points`` stands in for the installed ones. Never raises for a broken plugin.
    """
    host = PluginHost(warn or _to_stderr)
    host.add(_BUILTIN, lambda: import_module("motacli.builtin"), version=_own_version())
    _add_entry_points(host, entry_points, _wanted() if only is None else list(only))
    for name, module in (modules or {}).items():
        host.add(name, lambda module=module: module)  # type: ignore[misc]
    return host


def clash(what: str, plugins: Iterable[str]) -> UsageError:
    """The error for one name that several plugins offer."""
    names = " and ".join(map(repr, plugins))
    return UsageError(f"{what} is offered by more than one plugin: {names}", "choose with MOTA_PLUGINS=name,name")


def _add_entry_points(host: PluginHost, given: Iterable[EntryPointLike] | None, only: list[str] | None) -> None:
    try:
        points = sorted(_installed() if given is None else given, key=lambda point: point.name)
    except Exception as error:  # one unreadable distribution must not cost us the rest of the tool
        host.add_row("entry points", "failed", one_line(error))
        return
    for point in points:
        if only is None or point.name in only:
            host.add(point.name, point.load, version=_version(point))
        else:
            host.add_row(point.name, "disabled", "not in MOTA_PLUGINS")
    names = [point.name for point in points]
    for name in only or ():
        if name not in names and name != _BUILTIN:
            host.add_row(name, "failed", f"not installed ({did_you_mean(name, names)})")


def _manage(plugin: object, name: str) -> tuple[pluggy.PluginManager, tuple[str, ...]]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    known = sorted(caller for caller in vars(manager.hook) if not caller.startswith("_"))
    manager.register(plugin, name)
    hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(plugin) or ()))
    for hook in hooks:
        if hook not in known:
            raise ValueError(f"unknown hook {hook!r} ({did_you_mean(hook, known)})")
    if not hooks:
        raise ValueError("it implements no hook: are its functions marked with @hookimpl?")
    return manager, hooks


def _installed() -> Iterable[EntryPointLike]:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _wanted() -> list[str] | None:
    value = os.environ.get("MOTA_PLUGINS")
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _version(point: EntryPointLike) -> str:
    return str(getattr(getattr(point, "dist", None), "version", ""))


def _own_version() -> str:
    from motacli import __version__

    return __version__


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
