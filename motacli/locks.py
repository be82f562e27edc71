"""One process at a time: who wants to do what another is doing waits for it, or looks for something else to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from motacli.runs import explained

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What systems say that have no such locks."""


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Within it, nobody else is within it for the same ``path``; ``waiting`` is called before we wait for somebody.

    The lock is ``<name>.lock``, gone in the end, and the system drops it with the process that held it, killed or not.
    Where the system has no such locks (Windows, some network drives) nobody waits.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        import fcntl  # noqa: F401
    except ImportError:
        yield
        return
    with explained(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = open_locked(lock, lambda opened: _wait_for(opened, waiting or (lambda: None)))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is ours: whoever waits for this file sees that it is gone
        file.close()


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock ``path`` inside the block; False at once where another process holds it.

    As with `locked` the system drops it with the process, and everybody gets it where there are no such locks. The file
    is removed when the block ends well: the work must then be recognisably done, or two might do it.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            with _where_supported():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def open_locked(lock: Path, take: Callable[[IO[bytes]], None]) -> IO[bytes]:
    """The file ``lock``, locked by ``take``; opened again where its holder removed it before we had it."""
    while True:
        file = lock.open("ab")
        try:
            take(file)
            if _is_at(file, lock):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # removed by whoever held it before us


def _wait_for(file: IO[bytes], waiting: Callable[[], None]) -> None:
    import fcntl

    with _where_supported():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
