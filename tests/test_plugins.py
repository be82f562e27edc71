"""Plugins: what they may offer, and a zoo of broken ones that must not take the tool down."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from motacli import MotaError, UnknownNameError, UsageError, hookimpl, load_plugins
from motacli.builtin import COMMANDS
from motacli.cli import build_app, main
from motacli.components import KINDS
from motacli.plugins import PluginHost


@dataclass
class Point:
    """A stand-in for an installed entry point."""

    name: str
    loader: Callable[[], Any]
    dist: Any = None

    def load(self) -> Any:
        return self.loader()


def plugin(**hooks: Callable[..., Any]) -> ModuleType:
    module = ModuleType("some_plugin")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def offers(*names: str, target: Any = "json:loads") -> ModuleType:
    def register_backbones(register: Any) -> None:
        for name in names:
            register(name, target, summary=f"about {name}")

    return plugin(register_backbones=register_backbones)


def load(*points: Point, only: list[str] | None = None, **modules: Any) -> tuple[PluginHost, list[str]]:
    lines: list[str] = []
    names = [p.name for p in points] if only is None else only
    return load_plugins(entry_points=points, modules=modules, only=names, warn=lines.append), lines


def row(host: PluginHost, name: str) -> Any:
    return next(r for r in host.rows() if r.name == name)


def test_builtin_parts_are_there_and_lazy() -> None:
    host, lines = load()
    assert lines == []
    names = {kind: [c.name for c in host.components(kind)] for kind in KINDS}
    assert names["backbones"] == ["tiny", "open_clip"]
    assert names["inversions"] == ["pic2word", "searle", "searle-oti", "lincir"]
    assert names["benchmarks"] == ["fashioniq", "cirr", "circo", "genecis"]
    assert all(isinstance(c.target, str) and c.summary for kind in KINDS for c in host.components(kind))


def test_every_command_module_is_listed() -> None:
    assert {name.replace("_", "-") for name in COMMANDS} == set(build_app(load()[0]).commands)


def test_a_plugin_may_offer_several_parts() -> None:
    host, lines = load(Point("mine", lambda: offers("a", "b"), SimpleNamespace(version="1.2")))
    assert lines == []
    assert (row(host, "mine").status, row(host, "mine").version) == ("ok", "1.2")
    assert row(host, "mine").components == ("backbones:a", "backbones:b")
    import json

    found = host.component("backbones", "b")
    assert (found.plugin, found.summary, found.load()) == ("mine", "about b", json.loads)


def test_a_callable_target_is_returned_as_it_is() -> None:
    host, _ = load(mine=offers("a", target=len))
    assert host.component("backbones", "a").load() is len


def raising(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def hook_raises(register: Any) -> None:
    register("half", "json:loads")
    raise RuntimeError("first line\nsecond line")


ZOO: dict[str, tuple[Callable[[], Any], str]] = {
    "import-error": (raising(ImportError("no module named gone")), "no module named gone"),
    "syntax-error": (lambda: compile("def", "x.py", "exec"), "SyntaxError"),
    "exits": (raising(SystemExit(3)), "SystemExit"),
    "unprintable": (raising(Unprintable()), "Unprintable"),
    "nothing": (lambda: None, "no hook"),
    "unmarked": (lambda: SimpleNamespace(register_backbones=print), "@hookimpl"),
    "misspelt": (lambda: plugin(register_backbone=lambda register: None), "did you mean 'register_backbones'"),
    "wrong-argument": (lambda: plugin(register_backbones=lambda registry: None), "registry"),
    "hook-raises": (lambda: plugin(register_backbones=hook_raises), "first line"),
    "hook-exits": (lambda: plugin(register_backbones=lambda register: sys.exit("bye")), "bye"),
    "bad-name": (lambda: offers("two words"), "two words"),
    "colon": (lambda: offers("a:b"), "a:b"),
    "bad-target": (lambda: offers("a", target="no_colon"), "module:attribute"),
    "twice": (lambda: offers("a", "a"), "twice"),
    "a-class": (lambda: type("P", (), {"register_backbones": hookimpl(lambda self, register: None)}), "self"),
}


@pytest.mark.parametrize("name", ZOO)
def test_a_broken_plugin_is_a_failed_row_and_one_line(name: str) -> None:
    loader, reason = ZOO[name]
    host, lines = load(Point(name, loader), Point("zz-good", lambda: offers("good")))
    assert row(host, name).status == "failed"
    assert reason in row(host, name).reason
    assert len(lines) == 1 and "\n" not in lines[0] and name in lines[0] and reason in lines[0]
    assert host.component("backbones", "good").plugin == "zz-good"
    assert host.component("backbones", "tiny").plugin == "builtin"


def test_commands_that_raise_do_not_stop_others() -> None:
    def good(app: Any) -> None:
        app.command("fine")(lambda: None)

    def bad(app: Any) -> None:
        app.command("bad")(lambda: None)
        raise RuntimeError("no commands today")

    def unbuildable(app: Any) -> None:
        def command(value: object) -> None: ...

        command.__annotations__["value"] = "NoSuchName"
        app.command("unbuildable")(command)

    host, lines = load(
        a=plugin(register_commands=bad), b=plugin(register_commands=unbuildable), c=plugin(register_commands=good)
    )
    commands = build_app(host).commands
    assert "fine" in commands and "plugins" in commands and "bad" not in commands
    assert row(host, "a").reason == "RuntimeError: no commands today"
    assert len(lines) == 1 and lines[0].count("no commands today") == 1
    # A command is made when it is first asked for, and only then can it fail.
    assert commands["fine"].name == "fine" and row(host, "b").status == "ok"
    with pytest.raises(MotaError, match="command 'unbuildable' of plugin 'b' cannot be used"):
        commands["unbuildable"]
    assert row(host, "b").status == "failed" and "NoSuchName" in row(host, "b").reason and len(lines) == 2


def test_strict_tries_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    def unbuildable(app: Any) -> None:
        def command(value: object) -> None: ...

        command.__annotations__["value"] = "NoSuchName"
        app.command("unbuildable", help="Says what it would do.")(command)

    host, _ = load(b=plugin(register_commands=unbuildable))
    assert main(["--help"], host=host) == 0 and "Says what it would do." in capsys.readouterr().out
    assert main(["plugins"], host=host) == 0
    assert main(["unbuildable"], host=host) == 1
    assert "plugin 'b' cannot be used (see `mota plugins --strict`)" in capsys.readouterr().err
    host, _ = load(b=plugin(register_commands=unbuildable))
    assert main(["plugins", "--strict"], host=host) == 1 and "NoSuchName" in capsys.readouterr().out


def test_what_a_plugin_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    def chatty() -> ModuleType:
        print("hello from import")
        return offers("a")

    load(Point("chatty", chatty))
    captured = capsys.readouterr()
    assert captured.out == "" and "hello from import" in captured.err


def test_keyboard_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        load(Point("slow", raising(KeyboardInterrupt())))


@pytest.mark.parametrize(
    ("value", "statuses"),
    [
        (None, {"one": "ok", "two": "ok"}),
        ("", {"one": "disabled", "two": "disabled"}),
        ("two", {"one": "disabled", "two": "ok"}),
        (" one , two ", {"one": "ok", "two": "ok"}),
    ],
)
def test_mota_plugins_chooses(value: str | None, statuses: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTA_PLUGINS")
    if value is not None:
        monkeypatch.setenv("MOTA_PLUGINS", value)
    imported = []
    points = [Point(name, lambda name=name: imported.append(name) or offers(name)) for name in ("two", "one")]  # type: ignore[misc]
    host = load_plugins(entry_points=points)
    assert {r.name: r.status for r in host.rows() if r.name != "builtin"} == statuses
    assert imported == sorted(name for name, status in statuses.items() if status == "ok")


def test_a_chosen_plugin_that_is_not_installed_is_reported() -> None:
    host, lines = load(Point("mine", lambda: offers("a")), only=["mien"])
    assert "did you mean 'mine'?" in row(host, "mien").reason
    assert len(lines) == 1


def test_unreadable_entry_points_are_a_failed_row() -> None:
    def broken() -> Any:
        raise TypeError("malformed entry_points.txt")
        yield

    lines: list[str] = []
    host = load_plugins(entry_points=broken(), warn=lines.append)
    assert host.component("backbones", "tiny")
    assert "malformed" in lines[0]


def test_two_parts_with_one_name_is_an_error_only_when_asked_for() -> None:
    host, lines = load(Point("a", lambda: offers("same", "only-a")), Point("b", lambda: offers("same")))
    assert lines == []
    assert host.component("backbones", "only-a").plugin == "a"
    with pytest.raises(UsageError, match="'a' and 'b'"):
        host.component("backbones", "same")


def test_two_plugins_with_one_name() -> None:
    host, lines = load(Point("a", lambda: offers("x")), Point("a", lambda: offers("y")))
    assert [r.status for r in host.rows() if r.name == "a"] == ["ok", "failed"]
    assert len(lines) == 1


def test_unknown_names_get_a_suggestion() -> None:
    host, _ = load()
    with pytest.raises(UnknownNameError) as caught:
        host.component("inversions", "serale")
    assert caught.value.message == "unknown inversion 'serale'" and caught.value.hint == "did you mean 'searle'?"
    with pytest.raises(UnknownNameError, match="did you mean 'backbones'"):
        host.component("backbone", "tiny")


def test_failed_plugins_are_mentioned_when_a_name_is_missing() -> None:
    host, _ = load(Point("broken", raising(ImportError("x"))), Point("half", ZOO["hook-raises"][0]))
    with pytest.raises(UnknownNameError) as caught:
        host.component("backbones", "theirs")
    assert "'broken'" in caught.value.hint and "mota plugins" in caught.value.hint
    with pytest.raises(MotaError, match="comes from plugin 'half', which failed: RuntimeError: first line"):
        host.component("backbones", "half")


@pytest.mark.parametrize("target", ["no.such.module:x", "json:no_such", "json:__name__"])
def test_a_target_that_cannot_be_loaded_names_part_and_plugin(target: str) -> None:
    host, lines = load(mine=offers("a", target=target))
    assert lines == []
    with pytest.raises(MotaError, match="backbone 'a' of plugin 'mine' cannot be loaded"):
        host.component("backbones", "a").load()


def test_hosts_share_nothing() -> None:
    first, _ = load(mine=offers("a"))
    second, _ = load()
    assert first.component("backbones", "a")
    with pytest.raises(UnknownNameError):
        second.component("backbones", "a")
