"""What `docs/scale.md` shows is what `mota plan` prints."""

from __future__ import annotations

import re
import shlex

import pytest
from places import REPOSITORY

from motacli.cli import main
from motacli.plugins import PluginHost

DOCUMENT = (REPOSITORY / "docs" / "scale.md").read_text("utf-8")
SHOWN = [block.split("\n", 1) for block in re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.M | re.S)]


def test_it_walks_through_three_sizes() -> None:
    sizes = {shlex.split(command)[shlex.split(command).index("--pictures") + 1] for command, _ in SHOWN}
    assert sizes == {"3e6", "400M", "5B"}


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_tables_are_what_is_printed(
    command: str,
    shown: str,
    host: PluginHost,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(REPOSITORY)
    prompt, mota, *words = shlex.split(command)
    assert (prompt, mota) == ("$", "mota")
    assert main(words, host=host) == 0
    assert capsys.readouterr().out == shown
