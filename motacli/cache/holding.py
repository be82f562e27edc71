"""One builder per cache: who comes second is told who was first, and a lock that nobody holds any more is no obstacle.

The system drops the lock with the process that held it, killed or not. Where it has no such locks, the process that is
named in the file decides: on this machine one can see whether it still runs.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from motacli.errors import MotaError
from motacli.locks import UNSUPPORTED, open_locked
from motacli.provenance import redacted
from motacli.runs import explained


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock."""

    pid: int
    host: str
    since: str
    command: str

    @classmethod
    def this(cls) -> Holder:
        """This process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        command = shlex.join(redacted([Path(sys.argv[0]).name, *sys.argv[1:]]))
        return cls(os.getpid(), platform.node(), since, command[:500])

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}: {self.command}"

    def is_gone(self) -> bool:
        """Whether it certainly does not run any more."""
        if self.host != platform.node() or os.name == "nt":  # where signal 0 is not a harmless one
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Be the only one who builds ``path``; `MotaError` says who else does. The lock is the file ``<name>.lock``."""
    lock = path.with_name(f"{path.name}.lock")
    with explained(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = open_locked(lock, lambda opened: _lock(opened, lock))
    try:
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(Holder.this())).encode("utf-8"))
        file.flush()
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is ours
        file.close()


def read_holder(lock: Path) -> Holder | None:
    """Who the file says holds it; None where it says nothing."""
    try:
        return Holder(**json.loads(lock.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _lock(file: IO[bytes], lock: Path) -> None:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(lock) from None
    except ImportError:
        _require_gone(lock)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _require_gone(lock)


def _require_gone(lock: Path) -> None:
    holder = read_holder(lock)
    if holder is not None and not holder.is_gone():
        raise _in_use(lock)


def _in_use(lock: Path) -> MotaError:
    holder = read_holder(lock) or "another process"
    return MotaError(
        f"{lock.with_suffix('')} is being built by {holder}", f"wait for it; if it is no more, remove {lock}"
    )
