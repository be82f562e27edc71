"""The command line from outside: exit codes, streams, options accepted everywhere, and a fast start."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer
from places import REPOSITORY

from motacli import MotaError, UsageError, __version__, hookimpl, load_plugins
from motacli.cli import build_app, main
from motacli.commands import options
from motacli.commands.session import chosen_options, session
from motacli.plugins import PluginHost
from motacli.runs import RunDir


def host_with(*functions: Callable[..., Any]) -> PluginHost:
    """A host whose plugin adds each function as a command."""
    module = ModuleType("testing")

    def register_commands(app: Any) -> None:
        for function in functions:
            app.command()(function)

    module.register_commands = hookimpl(register_commands)  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"testing": module}, only=[])


def fit(
    ctx: typer.Context,
    lr: options.LearningRate = 0.1,
    seed: options.Seed = 0,
    precision: options.PrecisionOption = options.Precision.fp32,
    tags: Annotated[list[str] | None, typer.Option("--tags")] = None,
    batch_size: options.BatchSize = 4,
    backbone: options.Model = "tiny",
    out: Annotated[Path | None, typer.Option("--out")] = None,
) -> None:
    """A command for tests."""
    chosen = chosen_options(ctx)
    if out is not None:
        with RunDir.create(out) as record:
            record.write_config("fit", chosen)
    session(ctx).console.data(chosen)


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost | None = None) -> tuple[int, str, str]:
    code = main(argv, host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def mota(*argv: str, env: dict[str, str] | None = None, code: str = "") -> subprocess.CompletedProcess[str]:
    words = ["-c", code] if code else ["-m", "motacli"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
    return subprocess.run([sys.executable, *words, *argv], capture_output=True, text=True, env=environment, check=False)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capsys) == (0, f"mota {__version__}\n", "")


def test_no_command_prints_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run([], capsys)
    assert code == 2 and "plugins" in out and "--version" in out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from motacli.cli import main; code = main(['--help'])\n"
        "heavy = {'torch', 'open_clip', 'h5py', 'torchvision', 'PIL', 'numpy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy), 'code:', code)"
    )
    done = mota(code=code)
    assert done.stdout.endswith("heavy: [] code: 0\n"), done.stdout + done.stderr


def test_python_dash_m_works() -> None:
    done = mota("ls", "benchmarks", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)[0]["name"] == "fashioniq"


def test_old_pythons_get_one_line() -> None:
    done = mota(code="import sys; sys.version_info = (3, 8, 1); import runpy; runpy.run_module('motacli')")
    assert done.returncode == 1
    assert done.stderr == "error: mota needs Python 3.11 or newer, and this is Python 3.8\n"


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_the_guard_parses_on_old_pythons(name: str) -> None:
    ast.parse((REPOSITORY / "motacli" / name).read_text(), feature_version=(3, 5))


# ---------------------------------------------------------------------------------------------- everywhere options


@pytest.mark.parametrize("argv", [["--json", "ls"], ["ls", "--json"], ["ls", "--quiet", "--json"]])
def test_json_at_root_or_after_the_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(argv, capsys)
    assert (code, err) == (0, "")
    assert {"kind": "backbones", "name": "tiny"}.items() <= json.loads(out)[0].items()


def test_plugin_commands_and_groups_accept_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleType("grouped")

    def register_commands(app: Any) -> None:
        group = typer.Typer()
        group.command("build")(fit)
        group.command("other")(lambda: None)
        app.add_typer(group, name="box")

    module.register_commands = hookimpl(register_commands)  # type: ignore[attr-defined]
    host = load_plugins(entry_points=[], modules={"grouped": module}, only=[])
    code, out, _ = run(["box", "build", "--seed", "3", "--json"], capsys, host)
    assert code == 0 and json.loads(out)["seed"] == 3


def test_a_command_keeps_its_own_option_of_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    def own(json: Annotated[str, typer.Option("--json")] = "") -> None:
        print(f"mine: {json}")

    assert run(["own", "--json", "x"], capsys, host_with(own)) == (0, "mine: x\n", "")


def test_every_command_documents_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    app = build_app(load_plugins(entry_points=[], only=[]))
    for name, command in app.commands.items():
        assert command.help, f"`mota {name}` has no docstring"
        assert not [p.name for p in command.params if not getattr(p, "help", None)], f"undocumented option of {name}"
        assert {"--json", "--quiet", "--debug", "--config"} <= {flag for p in command.params for flag in p.opts}


# ---------------------------------------------------------------------------------------------- precedence


def write(folder: Path, text: str, name: str = "mota.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_precedence(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_with(fit)
    config = write(tmp_path, 'seed = 1\n[fit]\nlr = 1\nbatch-size = 8\nprecision = "bf16"\ntags = ["a", "b"]\n')
    values = json.loads(run(["fit", "--config", config], capsys, host)[1])
    assert values.pop("model") == "tiny"
    assert values == {"seed": 1, "lr": 1.0, "batch-size": 8, "precision": "bf16", "tags": ["a", "b"]}
    monkeypatch.setenv("MOTA_FIT_BATCH_SIZE", "16")
    monkeypatch.setenv("MOTA_FIT_SEED", "16")
    values = json.loads(run(["fit", "--seed", "32", "--config", config], capsys, host)[1])
    assert (values["lr"], values["batch-size"], values["seed"]) == (1.0, 16, 32)


def test_config_at_root_and_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = host_with(fit)
    config = write(tmp_path, "[fit]\nseed = 5\nlr = 5.0\n")
    assert json.loads(run(["--config", config, "fit"], capsys, host)[1])["seed"] == 5
    nearer = write(tmp_path, '{"fit": {"seed": 6}}', "config.json")
    values = json.loads(run(["--config", config, "fit", "--config", nearer], capsys, host)[1])
    assert (values["seed"], values["lr"]) == (6, 5.0)
    monkeypatch.setenv("MOTA_CONFIG", config)
    assert json.loads(run(["fit"], capsys, host)[1])["seed"] == 5
    monkeypatch.setenv("MOTA_FIT_CONFIG", nearer)
    assert json.loads(run(["fit"], capsys, host)[1])["seed"] == 6


def test_the_config_of_a_run_gives_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = host_with(fit)
    flags = ["--lr", "3", "--precision", "fp16", "--tags", "x", "--tags", "y", "--model", "m"]
    first = json.loads(run(["fit", *flags, "--out", str(tmp_path / "one")], capsys, host)[1])
    again = json.loads(run(["fit", "--config", str(tmp_path / "one" / "config.json")], capsys, host)[1])
    assert first.pop("out") and again == first and again["model"] == "m" and again["tags"] == ["x", "y"]


def test_everywhere_options_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, "json = true\n")
    found = json.loads(run(["ls", "llms", "--config", config], capsys)[1])
    assert [row["name"] for row in found] == ["openai", "hf", "vllm"]


def test_a_stray_variable_does_not_ask_for_the_version(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTA_VERSION", "1")
    code, out, err = run(["ls", "llms", "--json"], capsys)
    assert (code, err) == (0, "") and json.loads(out)[0]["name"] == "openai"


def test_config_mistakes_are_listed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, 'sead = 1\n[fit]\nlr = "fast"\nseed = -1\n[fti]\nlr = 1\n')
    code, out, err = run(["fit", "--config", config], capsys, host_with(fit))
    assert (code, out) == (2, "")
    assert "4 mistakes" in err and "did you mean 'seed'?" in err and "did you mean 'fit'?" in err
    assert "[fit]: lr must be a number, not 'fast'" in err and "seed must lie in 0.., not be -1" in err


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["lss"], "Did you mean 'ls'?"),
        (["ls", "--jsno"], "did you mean '--json'?"),
        (["ls", "backbnes"], "did you mean 'backbones'?"),
        (["fit", "--seed", "many"], "'--seed'"),
        (["fit", "--seed", "-4"], "'--seed'"),
        (["fit", "--config", "nowhere.toml"], "cannot read configuration nowhere.toml"),
    ],
)
@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_usage_errors(argv: list[str], said: str, json_flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([*json_flag, *argv], capsys, host_with(fit))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and said in err


def raiser(error: BaseException) -> PluginHost:
    def burst() -> None:
        """Raise."""
        raise error

    return host_with(burst)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MotaError("it broke", "mend it"), 1, "error: it broke (mend it)"),
        (UsageError("wrong words"), 2, "error: wrong words"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (
            OSError(errno.ENOSPC, "x", "f.h5"),
            1,
            "error: no space left for f.h5 (free some space or choose another place)",
        ),
        (PermissionError(errno.EACCES, "x", "f.h5"), 1, "error: no permission for f.h5"),
        (OSError(errno.EROFS, "x", "f.h5"), 1, "error: f.h5 is on a read-only file system"),
        (FileNotFoundError(errno.ENOENT, "No such file", "f.h5"), 1, "error: f.h5: No such file"),
        (ZeroDivisionError("a\nb"), 1, "error: unexpected ZeroDivisionError: a (rerun with --debug for the traceback)"),
        (SystemExit(7), 7, ""),
        (SystemExit(None), 0, ""),
        (typer.Exit(4), 4, ""),
    ],
)
def test_errors_are_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, out, err = run(["burst"], capsys, raiser(error))
    assert (got, out) == (code, "")
    assert err.startswith(line) and err.count("\n") == bool(line)


@pytest.mark.parametrize("argv", [["--debug", "burst"], ["burst", "--debug"]])
def test_debug_shows_the_traceback(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(argv, capsys, raiser(MotaError("it broke")))
    assert (code, out) == (1, "") and "Traceback" in err and err.endswith("error: it broke\n")


def test_an_unknown_command_may_come_from_a_failed_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    host = load_plugins(entry_points=[], modules={"sad": object()}, only=[])
    code, _, err = run(["theirs"], capsys, host)
    assert code == 2 and "plugin 'sad' failed and might have offered it" in err


def test_a_command_that_two_plugins_offer_names_both_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def ls() -> None:
        """Not ours."""

    host = host_with(ls)
    assert run(["--help"], capsys, host)[0] == 0
    code, _, err = run(["ls", "--anything"], capsys, host)
    assert code == 2 and "'builtin' and 'testing'" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    with open("/dev/full", "w") as full:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": ""}
        words = [sys.executable, "-m", "motacli", "ls"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no space left") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_do_not_spin_unless_asked_to(given: str | None, found: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    code = """
import os, sys
from motacli.cli import main
main(["ls", "--quiet"])
assert "torch" not in sys.modules, "too late for OpenMP"
print(os.environ["OMP_WAIT_POLICY"])
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == found


def test_plugins_lists_failures(capsys: pytest.CaptureFixture[str]) -> None:
    host = load_plugins(entry_points=[], modules={"sad": object()}, only=[])
    capsys.readouterr()
    code, out, _ = run(["plugins", "--json"], capsys, host)
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and rows["sad"]["status"] == "failed" and "no hook" in rows["sad"]["reason"]
    assert "backbones:tiny" in rows["builtin"]["components"]
