"""The packages below plugins/: small, complete, and what their READMEs say works."""

from __future__ import annotations

import csv
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from places import REPOSITORY

from motacli.cli import build_app, main
from motacli.plugins import PluginHost
from motacli.tiny.mini import write_cirr

PACKAGES = sorted(path.parent for path in (REPOSITORY / "plugins").glob("*/pyproject.toml"))
EXAMPLES = [path for path in PACKAGES if path.name.startswith("mota-example-")]


def readme(package: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (package / "README.md").read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_complete(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == package.name and "mota" in project["dependencies"][0]
    assert len(project["entry-points"]["mota"]) == 1 and list(package.glob("test_*.py"))
    shell = readme(package, "sh")
    assert "pip install" in shell[0] and any("mota " in block for block in shell)


@pytest.mark.parametrize("package", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short(package: Path) -> None:
    lines = [line for path in package.glob("mota_*/*.py") for line in path.read_text("utf-8").splitlines()]
    assert len(lines) < 150 + 20 * ("benchmark" in package.name)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_its_commands_have_these_options(package: Path, host: PluginHost) -> None:
    text = (package / "README.md").read_text("utf-8").replace("\n", " ")
    lines = [line for block in readme(package, "sh") for line in block.splitlines() if line.startswith("mota ")]
    for line in [*lines, *re.findall(r"`(mota [^`]+)`", text)]:
        command: Any = build_app(host)
        words = shlex.split(line)[1:]
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert {word for word in words if word.startswith("--")} <= {flag for p in command.params for flag in p.opts}


def test_the_tiny_world_as_a_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cirr(tmp_path / "world/test/cirr", 1, "test", sets=2)
    monkeypatch.chdir(tmp_path)
    (source,) = readme(REPOSITORY / "plugins/mota-example-benchmark", "python")
    exec(compile(source, "README.md", "exec"), {})
    rows = list(csv.DictReader((tmp_path / "mine/test.csv").open(newline="")))
    assert rows and all((tmp_path / "mine/images" / row["reference"]).is_file() for row in rows)


def test_the_guides_first_steps(tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = readme(REPOSITORY / "plugins", "console")
    lines = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[0] == "mota"]
    assert len(commands) == 2 and all(main(words, host=host) == 0 for words in commands)
    assert (tmp_path / lines[1][1] / "pyproject.toml").is_file()
