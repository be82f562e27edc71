"""What several threads use while it may be replaced: the old one is closed by the last that uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from motacli.errors import UsageError


class Closable(Protocol):
    """What can be let go of."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


@dataclass(eq=False)
class _Lease(Generic[T]):
    value: T
    users: int = 0
    replaced: bool = False


class Current(Generic[T]):
    """The one in use; ``what`` says in errors what is closed when there is none any more."""

    def __init__(self, value: T, what: str) -> None:
        self._lease: _Lease[T] | None = _Lease(value)
        self._what, self._lock = what, threading.Lock()

    @property
    def value(self) -> T:
        """The one in use, which may be closed in the next moment; `UsageError` where there is none."""
        return self._held().value

    def replace(self, value: T | None) -> None:
        """Use another one from now on, or none."""
        with self._lock:
            old, self._lease = self._lease, None if value is None else _Lease(value)
            unused = old is not None and not old.users
            if old is not None:
                old.replaced = True
        if old is not None and unused:
            old.value.close()

    @contextmanager
    def using(self) -> Iterator[T]:
        """Inside, the one in use stays open, whatever replaces it."""
        with self._lock:
            lease = self._held()
            lease.users += 1
        try:
            yield lease.value
        finally:
            with self._lock:
                lease.users -= 1
                last = lease.replaced and lease.users == 0
            if last:
                lease.value.close()

    def _held(self) -> _Lease[T]:
        lease = self._lease
        if lease is None:
            raise UsageError(f"{self._what} is closed", "open another one")
        return lease
