"""One process does one piece of work, and the others look for something else to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motacli.runs import explained

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock ``path`` inside the block; False at once where another process holds it.

    The system drops the lock with the process, however that ends. The file is removed when the block ends well: the
    work must then be recognisably done, or two might do it. Where the system has no such locks (Windows, some network
    drives) everybody gets it.
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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        yield True
        path.unlink(missing_ok=True)
