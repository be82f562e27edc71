"""Records: output that appears only when complete and is never overwritten, and where it came from."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

from motacli.errors import MotaError
from motacli.provenance import provenance as provenance
from motacli.remote.urls import shown

CONFIG = "config.json"
PROVENANCE = "provenance.json"
WORK = "work"
"""The folder of a run where an unfinished training keeps its state; a complete run has none."""
_NEVER_KEPT = ("out", "resume", "json", "quiet", "debug", "config")


class RunDir:
    """A folder that is written as ``<name>.partial`` and takes its name when complete.

    ``with RunDir.create(path) as run: run.write_json("metrics.json", ...)``. Leaving the block by an exception keeps
    the partial folder, unless it is empty.
    """

    def __init__(self, path: Path, work: Path) -> None:
        self.path = path
        self.work = work

    @classmethod
    def create(cls, path: Path, *, resume: bool | None = None) -> RunDir:
        """Start a run that will be called ``path``.

        ``resume``: False refuses an unfinished run of that name, True goes on with it (and starts anew where there is
        none), None is for commands that cannot go on.
        """
        path = Path(path)
        refuse_existing(path)
        work = partial_path(path)
        with explained(path.parent):
            work.parent.mkdir(parents=True, exist_ok=True)
            try:
                work.mkdir()
            except FileExistsError as error:
                if not resume:
                    choices = "remove it or choose another name"
                    hint = choices if resume is None else f"go on with --resume, {choices}"
                    raise MotaError(f"an unfinished run is in the way: {work}", hint) from error
        return cls(path, work)

    def file(self, name: str) -> Path:
        """Where to write a file of this run; its folder exists."""
        target = self.work / name
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def drop_work(self) -> None:
        """Remove what an unfinished training kept in the folder `WORK` to go on from."""
        work = self.work / WORK
        if work.is_dir():
            with explained(work):
                shutil.rmtree(work)

    def write_json(self, name: str, value: object) -> Path:
        """Write ``value`` atomically below the run."""
        return write_json(self.file(name), value)

    def write_config(self, command: str, options: Mapping[str, object]) -> Path:
        """Write ``config.json``, which ``--config`` reads; ``command`` may be nested, as in ``"tiny build"``.

        Left out are options without a value and those about this one run, such as ``--out``.
        """
        kept = {k: v for k, v in options.items() if v is not None and k.replace("-", "_") not in _NEVER_KEPT}
        document: dict[str, object] = {name.replace("_", "-"): value for name, value in kept.items()}
        for word in reversed(command.split()):
            document = {word: document}
        return self.write_json(CONFIG, document)

    def complete(self) -> Path:
        """Give the folder its name."""
        refuse_existing(self.path)
        with explained(self.path):
            if self.path.is_dir():
                self.path.rmdir()  # an empty folder made beforehand
            os.rename(self.work, self.path)
        return self.path

    def __enter__(self) -> RunDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.complete()
        elif not any(self.work.iterdir()):
            self.work.rmdir()


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write to: ``<name>.partial`` inside the block, renamed to ``path`` when the block ends well."""
    refuse_existing(path)
    work = partial_path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield work
        refuse_existing(path)
        os.replace(work, path)


def write_json(path: Path, value: object) -> Path:
    """Write JSON as `replace_file` does."""
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return replace_file(path, text.encode("utf-8"))


def replace_file(path: Path, content: bytes) -> Path:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    with explained(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            make_shareable(Path(name))
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    return path


def jsonable(value: Any) -> Any:
    """``value`` in JSON's own types: numpy scalars and arrays, dataclasses, paths, sets and enums are cast.

    NaN and the infinities, which JSON lacks, become null.
    """
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Path):
        return shown(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [jsonable(item) for item in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, which this module need not import
        return jsonable(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with explained(path), path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def partial_path(path: Path) -> Path:
    """``path`` with ``.partial`` added to its name."""
    return path.with_name(path.name + ".partial")


def refuse_existing(path: Path) -> None:
    """Raise if ``path`` is taken; an empty folder is not."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if os.path.lexists(path):
        raise MotaError(f"{path} exists already, and nothing is overwritten", "choose another name or move it away")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about ``path`` into ours."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def explain(error: OSError, path: Path | str | None = None) -> MotaError:
    """An `OSError` as one line that names the file and says what to do."""
    where = error.filename or path or "the output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MotaError(f"no space left for {where}{_free(path)}", "free some space or choose another place")
    if error.errno in (errno.EACCES, errno.EPERM):
        return MotaError(f"no permission for {where}", "choose a place of your own or change its permissions")
    if error.errno == errno.EROFS:
        return MotaError(f"{where} is on a read-only file system", "choose another place")
    return MotaError(f"{where}: {error.strerror or error}")


def _free(path: Path | str | None) -> str:
    for folder in Path(path).absolute().parents if path else ():
        if folder.is_dir():
            return f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB free)"
    return ""


def make_shareable(path: Path) -> None:
    """Give a file that was made private (by mkstemp, by safetensors) the permissions of an ordinary new one."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
