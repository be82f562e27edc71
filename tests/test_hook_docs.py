"""Every hook, contract, command and option says what it is; the pages are what the docstrings say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from places import REPOSITORY

from motacli import UnknownNameError
from motacli.cli import build_app, main
from motacli.components import KINDS
from motacli.hook_docs import hook_names, hook_page, undocumented
from motacli.keeping import CONTRACTS, members, missing_members
from motacli.plugins import PluginHost

PAGES = REPOSITORY / "plugins" / "docs"


def commands(command: Any, path: str = "mota") -> Iterator[tuple[str, Any]]:
    """A command and all below it, by how they are called."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def test_every_command_and_option_says_what_it_is(host: PluginHost) -> None:
    found = dict(commands(build_app(host)))
    assert {"mota plugins new", "mota cache info", "mota tiny make"} <= found.keys()
    silent = [path for path, command in found.items() if not command.help]
    silent += [
        f"{path} {p.name}" for path, command in found.items() for p in command.params if not getattr(p, "help", "")
    ]
    assert silent == []


def test_every_hook_and_contract_says_what_it_is() -> None:
    assert undocumented() == []
    assert set(hook_names()) == {*KINDS.values(), "register_commands"} and CONTRACTS.keys() == KINDS.keys()


@pytest.mark.parametrize("name", hook_names())
def test_the_pages_are_in_step(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    assert page == hook_page(name), f"write it again: mota plugins docs {name} > plugins/docs/{name}.md"


def test_there_is_a_page_per_hook_and_a_link_to_it() -> None:
    assert {path.stem for path in PAGES.iterdir()} == set(hook_names())
    guide = (PAGES.parent / "README.md").read_text("utf-8")
    assert all(f"(docs/{name}.md)" in guide for name in hook_names())


def test_printed(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "docs", "register_llm_clients"], host=host) == 0
    assert capsys.readouterr().out == hook_page("register_llm_clients")
    assert main(["plugins", "docs"], host=host) == 0
    everything = capsys.readouterr().out
    assert all(f"# {name}\n" in everything for name in hook_names())
    with pytest.raises(UnknownNameError, match="did you mean 'register_inversions'"):
        hook_page("register_inversion")


def test_what_a_part_lacks() -> None:
    class Half:
        name = "half"

        @property
        def info(self) -> str:
            raise RuntimeError("not bound yet")

    assert members(CONTRACTS["generators"]) == ["name", "info", "generate"]
    assert missing_members(CONTRACTS["generators"], Half()) == ["generate"]
    assert missing_members(CONTRACTS["inversions"], Half()) == ["__call__"]
