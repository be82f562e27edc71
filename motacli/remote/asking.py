"""Requests that are made again where that can help, and errors about those that came to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from motacli.errors import DataError, MotaError
from motacli.remote.urls import shown

PAUSES = [0.5, 2.0, 8.0]
"""Seconds before a request is made again."""

T = TypeVar("T")

_CLIENTS = ("aiohttp", "botocore", "aiobotocore", "gcsfs", "google", "azure", "requests", "urllib3", "fsspec")
_NEVER = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ParamValidationError")
_PASSING = (408, 425, 429)


def asked(path: Path, call: Callable[[], T]) -> T:
    """What a request gives; `DataError` where there is no such file, or it cannot be had."""
    for pause in (*PAUSES, None):
        try:
            return call()
        except MotaError:
            raise
        except Exception as error:  # those of any client
            failure = explained(path, error)
            if pause is None or not _may_pass(error):
                raise failure from None  # the client's own words may hold what is secret in the URL
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def explained(path: Path, error: BaseException) -> DataError:
    """What there is to say about a request that failed."""
    where, status, error = shown(path), _status(error), _true_cause(error)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return DataError(f"no such file: {where}")
    if isinstance(error, PermissionError) or status in (401, 403) or _name(error) in _NEVER:
        said = f"{status}" if status else _first_line(error)
        return DataError(f"{where} may not be read: {said}", "are the credentials there, and the right ones?")
    if isinstance(error, ValueError) and "range requests" in str(error):
        return DataError(
            f"{where}: its server gives whole files only", "download it, or serve it where ranges can be asked for"
        )
    return _unreachable(where, error)


def is_missing(error: DataError) -> bool:
    """Whether an error of `asked` says that there is no such file."""
    return error.message.startswith("no such file")


def _unreachable(where: str, error: BaseException) -> DataError:
    return DataError(f"{where} cannot be read: {_first_line(error)}", "is the address right, and the network there?")


def _may_pass(error: Exception) -> bool:
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _PASSING
    cause = _true_cause(error)
    if isinstance(cause, (FileNotFoundError, PermissionError, IsADirectoryError)) or _name(cause) in _NEVER:
        return False
    return isinstance(cause, (OSError, EOFError)) or type(cause).__module__.startswith(_CLIENTS)


def _true_cause(error: BaseException) -> BaseException:
    """What went wrong: over HTTP, fsspec says of any failure that there is no such file."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None:
        module = type(cause).__module__
        if module.startswith("aiohttp") or (module == "builtins" and isinstance(cause, OSError)):
            return cause
    return error


def _status(error: BaseException) -> int | None:
    """The status of HTTP that an error tells."""
    error = _true_cause(error)
    found = getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) and 400 <= found < 600 else None


def _name(error: BaseException) -> str:
    return type(error).__name__


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{_name(error)}: {lines[0]}" if lines else _name(error)
