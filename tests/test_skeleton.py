"""`mota plugins new`: what it writes works as it is, and passes the checks that our own code passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from places import REPOSITORY

from motacli import MotaError, UsageError
from motacli.cli import main
from motacli.commands.plugin_tools import Kind
from motacli.plugins import PluginHost
from motacli.skeleton import write_skeleton

KINDS = [kind.value for kind in Kind]


def python(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins of pytest take seconds to import
    return subprocess.run(
        [sys.executable, *argv], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A skeleton of each kind, in a folder that is called like it."""
    top = tmp_path_factory.mktemp("skeletons")
    for kind in KINDS:
        write_skeleton(f"some-{kind}", kind, top / kind)
    return top


def test_their_own_tests_pass(folder: Path) -> None:
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{kind}/test_mota_some_{kind}.py" in done.stdout for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["my", pytest.param("some", marks=pytest.mark.thorough), "some-longer"])
def test_a_skeleton_is_tidy(name: str, kind: str, tmp_path: Path) -> None:
    """As a project of its own, in which mota is third party; with names that are short and long."""
    write_skeleton(f"{name}-{kind}", kind, tmp_path / "made")
    ours = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["ruff"]
    style = ("--isolated", "--no-cache", "--line-length", str(ours["line-length"]))
    style += ("--target-version", ours["target-version"])
    for words in (("check", "--select", ",".join(ours["lint"]["select"])), ("format", "--check")):
        done = python("-m", "ruff", *words, *style, ".", cwd=tmp_path / "made")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_skeleton_is_a_package(kind: str, folder: Path) -> None:
    project = tomllib.loads((folder / kind / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["mota"]
    assert project["name"] == f"mota-some-{kind}" and points == {f"some-{kind}": f"mota_some_{kind}"}
    files = [path for path in (folder / kind).rglob("*") if path.suffix in (".py", ".md", ".toml")]
    assert len(files) == 5 and all("$" not in path.read_text() for path in files)


def test_what_is_printed(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine"
    assert main(["plugins", "new", "mine", "--kind", "llm", "--out", str(out), "--json"], host=host) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["folder"] == str(out) and sorted(map(Path, made["files"])) == sorted(
        p for p in out.rglob("*") if p.is_file()
    )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = write_skeleton("mine", "llm", tmp_path / "mine")
    before = {path: path.read_text() for path in first.files}
    with pytest.raises(MotaError, match="nothing is overwritten"):
        write_skeleton("mine", "adapter", tmp_path / "mine")
    assert {path: path.read_text() for path in first.folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "name", ["", "Mine", "my words", "a:b", "-x", "x-", "x--y", "1x", "../x", "x_y", "mota-x", "ä"]
)
def test_names_are_checked(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        write_skeleton(name, "llm", tmp_path / "out")
    assert not list(tmp_path.iterdir())
