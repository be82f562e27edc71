"""Where a result came from: the command, the versions, the machine, and digests of what went in."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from motacli.remote.redaction import HIDDEN, without_secrets

_PACKAGES = ("torch", "open_clip_torch", "numpy", "h5py", "safetensors")
_SECRET = re.compile(r"(?:^|[-_.])(?:api-?key|key|token|secret|password|passwd|credentials?|authorization)$")


def provenance(
    *,
    command: Sequence[str] | None = None,
    plugins: Mapping[str, str] | None = None,
    device: str = "",
    seed: int | None = None,
    digests: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The contents of ``provenance.json``; torch is not imported to learn its version.

    ``command`` defaults to this process's command line. ``plugins`` maps names to versions, ``digests`` names of
    weights and data to their digests.
    """
    from motacli import __version__

    return {
        "command": redacted(sys.argv if command is None else command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"mota": __version__, "python": platform.python_version(), **_versions()},
        "plugins": dict(plugins or {}),
        "commit": _commit(Path(__file__).resolve().parents[1]),
        "platform": platform.platform(),
        "device": device,
        "seed": seed,
        "digests": dict(digests or {}),
    }


def redacted(command: Sequence[str]) -> list[str]:
    """A command line without its secrets.

    Hidden are values of options with a telling name, credentials in URLs, and whatever equals a secret in the
    environment.
    """
    known = sorted((v for k, v in os.environ.items() if _is_secret(k) and len(v) >= 6), key=len, reverse=True)
    words: list[str] = []
    hide_next = False
    for word in command:
        name, equals, _ = word.partition("=")
        if hide_next and not word.startswith("--"):
            words.append(HIDDEN)
        elif equals and _is_secret(name):
            words.append(f"{name}={HIDDEN}")
        else:
            for secret in known:
                word = word.replace(secret, HIDDEN)
            words.append(without_secrets(word))
        hide_next = word.startswith("-") and not equals and _is_secret(name)
    return words


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name.lower().replace("_", "-")))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit(root: Path) -> str | None:
    """The commit of a checkout, with ``+changes`` if files differ from it; None for an installed package."""
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or a checkout without commits
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")
