"""Which file system of fsspec a URL is of. Credentials and endpoints are its own affair: environment, profiles, files.

Each process has file systems of its own: fsspec's loop of requests does not outlive a fork, and fsspec sees to that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
from fsspec.config import conf
from fsspec.registry import known_implementations

from motacli.errors import DataError, UsageError, did_you_mean
from motacli.remote.asking import explained
from motacli.remote.urls import shown, url_of

OF_EXTRA = ("s3fs", "gcsfs")
STALLED = 60.0
"""Seconds without a byte after which an HTTP connection is given up."""


def file_system(path: Path) -> tuple[Any, str]:
    """The file system of a URL, and what the file is called there.

    Raises `UsageError` where a package is missing, `DataError` for a scheme that nobody knows and where the file system
    does not start.
    """
    scheme = str(path).partition(":")[0].lower()
    known = known_implementations.get(scheme)
    if known is None and scheme not in fsspec.registry:
        raise DataError(
            f"{shown(path)}: unknown kind of address {scheme!r}", did_you_mean(scheme, known_implementations)
        )
    try:
        system, name = fsspec.core.url_to_fs(url_of(path), use_listings_cache=False, **_settings(scheme))
    except ImportError as error:
        raise _missing(path, known["class"] if known else "", error) from error
    except Exception as error:  # such as that Java is missing, or a profile
        raise explained(path, error) from None
    return system, name


def _settings(scheme: str) -> dict[str, Any]:
    """Of HTTP: no request may hang for ever, and proxies are those of the environment. The user's own settings win."""
    if scheme not in ("http", "https"):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=STALLED, sock_read=STALLED)
    given = conf.get(scheme, {}).get("client_kwargs", {})
    return {"client_kwargs": {"timeout": timeout, "trust_env": True, **given}}


def _missing(path: Path, of: str, error: ImportError) -> UsageError:
    cause = error.__cause__
    package = (getattr(cause, "name", None) or error.name or of).partition(".")[0]
    package = {"pyarrow": "mota[parquet]"}.get(package, "mota[remote]" if package in OF_EXTRA else package)
    return UsageError(f"{shown(path)} needs {of.partition('.')[0] or package}", f"pip install '{package}'")
