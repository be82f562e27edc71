"""Twelve plugins that are broken in ways that plugins are, all installed at once: all else goes on working."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from distributions import INVERSION, install, python

from motacli.tiny.mini import write_fashioniq

HOOK = "from motacli import hookimpl\n\n@hookimpl\n"
REGISTER = "def register_inversions(register): "
WRONG = INVERSION.format(name="contractless", target="zoo_wrong_contract:Contractless")
ZOO = {
    "zoo-import-error": "from json import nothing_like_it\n",
    "zoo-missing-dependency": "import no_such_package_anywhere\n",
    "zoo-syntax-error": "def (:\n",
    "zoo-misspelt-hook": HOOK + "def register_inversion(register): pass\n",
    "zoo-wrong-signature": HOOK + "def register_inversions(registry): pass\n",
    "zoo-raising-hook": HOOK + REGISTER + "register('lost', 'json:loads'); raise RuntimeError('not today')\n",
    "zoo-clash": INVERSION.format(name="searle", target="json:loads"),
    "zoo-slow-import": "import time\ntime.sleep(0.6)\n" + INVERSION.format(name="slow", target="json:loads"),
    "zoo-prints": "print('{not json')\n" + INVERSION.format(name="chatty", target="json:loads"),
    "zoo-wrong-contract": WRONG + "\nclass Contractless:\n    def __init__(self, **sizes): pass\n"
    "    @classmethod\n    def for_backbone(cls, backbone): return cls()\n",
    "zoo-heavy": "import torch\n" + INVERSION.format(name="heavy", target="json:loads"),
    "zoo-exits": "import sys\nsys.exit('goodbye')\n",
}
EXPECTED = {
    "zoo-import-error": ("failed", "ImportError: cannot import name 'nothing_like_it'"),
    "zoo-missing-dependency": ("failed", "ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
    "zoo-syntax-error": ("failed", "SyntaxError"),
    "zoo-misspelt-hook": ("failed", "unknown hook 'register_inversion' (did you mean 'register_inversions'?)"),
    "zoo-wrong-signature": ("failed", "registry"),
    "zoo-raising-hook": ("failed", "RuntimeError: not today"),
    "zoo-clash": ("ok", "inversion 'searle' is offered by 'builtin' too"),
    "zoo-slow-import": ("ok", " s to load"),
    "zoo-prints": ("ok", ""),
    "zoo-wrong-contract": ("ok", ""),
    "zoo-heavy": ("ok", "imports torch when it is loaded"),
    "zoo-exits": ("failed", "SystemExit: goodbye"),
}
COMMANDS = {
    "plugins": "plugins --json",
    "strict": "plugins --strict",
    "trace": "plugins --trace --json",
    "help": "--help",
    "ls": "ls --json",
    "demo": "demo --help",
    "eval": "eval fashioniq --data-root WORLD --inversion lincir --json",
    "clash": "eval fashioniq --data-root WORLD --inversion searle",
    "contract": "eval fashioniq --data-root WORLD --inversion contractless",
    "lost": "eval fashioniq --data-root WORLD --inversion lost",
}
DRIVER = """
import contextlib, io, json, sys
from motacli.cli import main
found = {}
for name, line in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line)
    found[name] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them installed."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, source in ZOO.items():
        install(folder, name, source)
    return folder


@pytest.fixture(scope="module")
def found(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """Exit code, stdout and stderr of each command, one after the other in a process where all are installed."""
    world = tmp_path_factory.mktemp("world")
    write_fashioniq(world, 1, "val", queries=3)
    lines = {
        name: [str(world) if word == "WORLD" else word for word in line.split()] for name, line in COMMANDS.items()
    }
    done = python(zoo, "-c", DRIVER, json.dumps(lines))
    assert done.returncode == 0, done.stderr
    return {name: tuple(result) for name, result in json.loads(done.stdout).items()}


def test_there_are_twelve() -> None:
    assert len(ZOO) == 12 and ZOO.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", ZOO)
def test_each_is_a_row_with_its_reason(name: str, found: dict[str, Any]) -> None:
    code, out, err = found["plugins"]
    rows = {row["name"]: row for row in json.loads(out)}
    status, reason = EXPECTED[name]
    assert code == 0 and rows[name]["status"] == status and reason in rows[name]["reason"]
    assert (f"plugin {name!r} failed" in err) == (status == "failed")


def test_what_is_printed_on_import_is_no_data(found: dict[str, Any]) -> None:
    assert "{not json" in found["plugins"][2] and "{not json" not in found["plugins"][1]


def test_strict_fails_and_lists_all_the_same(found: dict[str, Any]) -> None:
    code, out, _ = found["strict"]
    assert code == 1 and all(name in out for name in ZOO)


def test_the_trace_has_every_call_with_its_time(found: dict[str, Any]) -> None:
    calls = json.loads(found["trace"][1])
    outcomes = {(call["plugin"], call["call"]): call["outcome"] for call in calls}
    assert outcomes["builtin", "register_commands"] == outcomes["zoo-clash", "register_inversions"] == "ok"
    assert outcomes["zoo-raising-hook", "register_inversions"] == "RuntimeError"
    assert outcomes["zoo-exits", "import"] == "SystemExit"
    assert ("zoo-misspelt-hook", "register_inversions") not in outcomes
    assert all(call["milliseconds"] >= 0 for call in calls)


@pytest.mark.parametrize("name", ["help", "ls", "demo", "eval"])
def test_all_else_goes_on_working(name: str, found: dict[str, Any]) -> None:
    code, out, err = found[name]
    assert code == 0 and out and "Traceback" not in err
    if name == "ls":
        offered = {(part["kind"], part["name"]) for part in json.loads(out)}
        assert {("inversions", "lincir"), ("inversions", "chatty"), ("inversions", "slow")} <= offered
        assert ("inversions", "lost") not in offered
    if name == "eval":
        assert json.loads(out)["units"]["fashioniq_average"]["metrics"]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("clash", 2, "inversion 'searle' is offered by more than one plugin: 'builtin' and 'zoo-clash'"),
        ("contract", 1, "inversion 'contractless' of plugin 'zoo-wrong-contract' is no Inversion: Contractless has no"),
        ("lost", 1, "inversion 'lost' comes from plugin 'zoo-raising-hook', which failed: RuntimeError: not today"),
    ],
)
def test_a_broken_part_is_told_when_it_is_used(name: str, code: int, said: str, found: dict[str, Any]) -> None:
    assert found[name][0] == code and said in found[name][2]
    if name == "contract":
        assert "no name, __call__ (see `mota plugins docs register_inversions`)" in found[name][2]


def test_as_a_program_too(zoo: Path) -> None:
    done = python(zoo, "-m", "motacli", "--help")
    assert done.returncode == 0 and "Usage" in done.stdout and "{not json" not in done.stdout


def test_twenty_plugins_import_nothing_heavy(tmp_path: Path) -> None:
    for number in range(20):
        install(tmp_path, f"many-{number}", INVERSION.format(name=f"many-{number}", target="json:loads"))
    code = (
        "import json, sys\nfrom motacli.cli import main\n"
        "codes = [main(['--help']), main(['plugins', '--json'])]\n"
        "heavy = {'torch', 'open_clip', 'h5py', 'torchvision', 'PIL', 'numpy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy), 'codes:', codes)"
    )
    done = python(tmp_path, "-c", code)
    assert done.stdout.endswith("heavy: [] codes: [0, 0]\n"), done.stdout + done.stderr
    rows = json.loads(done.stdout[done.stdout.index("[\n") : done.stdout.rindex("heavy:")])
    assert sum(row["name"].startswith("many-") and row["status"] == "ok" for row in rows) == 20
