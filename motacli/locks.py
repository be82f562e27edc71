"""One process at a time: who wants to write what another is writing waits for it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from motacli.runs import explained

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


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
        file = _claimed(lock, waiting or (lambda: None))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is ours: whoever waits for this file sees that it is gone
        file.close()


def _claimed(lock: Path, waiting: Callable[[], None]) -> IO[bytes]:
    while True:
        file = lock.open("ab")
        try:
            _wait_for(file, waiting)
            if _is_at(file, lock):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # removed by whoever held it before us


def _wait_for(file: IO[bytes], waiting: Callable[[], None]) -> None:
    import fcntl

    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
