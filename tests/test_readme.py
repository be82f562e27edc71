"""What the README and its neighbours tell people to type is what the tool understands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from places import REPOSITORY

from motacli.cli import build_app
from motacli.commands.session import schema_of
from motacli.config import option_defaults, read_config
from motacli.models import load_inversion
from motacli.plugins import PluginHost, load_plugins
from motacli.testing import check_inversion

README = (REPOSITORY / "README.md").read_text("utf-8")
PLUGINS = (REPOSITORY / "plugins" / "README.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def command_lines() -> list[str]:
    """Every ``mota`` command in shell blocks of the README and of ``docs``, and in the heads of the examples."""
    documents = [README, *(path.read_text("utf-8") for path in (REPOSITORY / "docs").glob("*.md"))]
    found = [block for text in documents for block in blocks(text, "sh")]
    sources = [*found, *(path.read_text("utf-8") for path in (REPOSITORY / "examples").iterdir())]
    lines = [line.strip("# ") for text in sources for line in text.replace("\\\n", " ").splitlines()]
    return [line.replace("$MODEL", "") for line in lines if line.startswith("mota ")]


def test_there_are_commands_to_check() -> None:
    assert {shlex.split(line)[1] for line in command_lines()} >= {"cache", "train-inversion", "train", "eval", "tiny"}


@pytest.mark.parametrize("line", command_lines())
def test_every_command_has_these_options(line: str, host: PluginHost) -> None:
    command: Any = build_app(host)
    words = shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = {flag for param in command.params for flag in param.opts}
    assert {word for word in words if word.startswith("--")} <= known
    required = [param.opts for param in command.params if param.required and param.opts[0].startswith("--")]
    assert "--config" in words or all(set(flags) & set(words) for flags in required)


def test_every_command_is_in_the_readme(host: PluginHost) -> None:
    assert [name for name in build_app(host).commands if f"mota {name}" not in README] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text()
    found = re.search(r"^command=\$\((awk .*)\)$", script, re.M)
    assert found
    said = subprocess.run(["bash", "-c", found[1]], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert said.strip() in [block.strip() for block in blocks(README, "sh")] and "pytest" in said


def test_example_configurations_are_understood(host: PluginHost) -> None:
    for path in (REPOSITORY / "examples").glob("*.toml"):
        if path.name != "rates.toml":  # of `mota plan --rates`
            assert option_defaults(read_config(path), schema_of(build_app(host)), str(path))


def test_the_plugin_of_the_plugin_guide_works(
    tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = blocks(PLUGINS, "python")
    (project,) = blocks(PLUGINS, "toml")
    (module_name,) = tomllib.loads(project)["project"]["entry-points"]["mota"].values()
    module = ModuleType(module_name)
    monkeypatch.setitem(sys.modules, module_name, module)
    exec(compile(source, "plugins/README.md", "exec"), module.__dict__)
    host = load_plugins(entry_points=[], modules={"mean-word": module})
    assert [row.status for row in host.rows()] == ["ok", "ok"]
    torch.save({"word": torch.ones(tiny_backbone.text_width)}, tmp_path / "word.pt")
    inversion = load_inversion(host, "mean-word", tiny_backbone, tmp_path / "word.pt")
    assert inversion(torch.zeros(3, tiny_backbone.joint_dim)).shape == (3, 1, tiny_backbone.text_width)
    assert "saved" in check_inversion(module.MeanWord).passed
