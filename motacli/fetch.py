"""Weights by address: a file on the Hugging Face hub, a URL, or a path, to a local file."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from motacli.errors import DataError, MotaError, first_line
from motacli.runs import explained

HUB = "hf-hub:"
_SCHEMES = ("http", "https")


def fetch_weights(address: str) -> Path:
    """The local copy of weights, downloaded on first use.

    ``address`` is ``hf-hub:OWNER/REPOSITORY/FILE``, a URL, or a path. Copies of URLs are kept in ``mota/`` below
    ``$XDG_CACHE_HOME`` (``~/.cache``), those of the hub where its own library keeps them. Nothing is unpickled here.
    Raises `MotaError` where the download fails, `DataError` for an address of no known form.
    """
    if address.startswith(HUB):
        return _from_hub(address)
    if urlsplit(address).scheme in _SCHEMES:
        return _from_url(address)
    path = Path(address)
    if not path.is_file():
        raise DataError(f"no such weights file: {path}", f"give a path, a URL, or {HUB}OWNER/REPOSITORY/FILE")
    return path


def local_weights(place: Path | str) -> Path:
    """A path as it is, whether or not something is there; for an address the local copy, see `fetch_weights`."""
    # A `Path` made of a URL has lost one of its slashes.
    address = re.sub(r"^(https?:/)(?=[^/])", r"\1/", str(place))
    if address.startswith(HUB) or urlsplit(address).scheme in _SCHEMES:
        return fetch_weights(address)
    return Path(place)


def _from_hub(address: str) -> Path:
    words = address.removeprefix(HUB).split("/", 2)
    if len(words) < 3 or not all(words):
        raise DataError(f"{address!r} names no file on the hub", f"expected {HUB}OWNER/REPOSITORY/FILE")
    from huggingface_hub import hf_hub_download

    owner, repository, file = words
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file))
    except Exception as error:  # the hub's library raises those of whichever HTTP client it has
        raise _failed(address, error) from error


def _from_url(address: str) -> Path:
    from torch.hub import download_url_to_file

    name = f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-{Path(urlsplit(address).path).name or 'weights'}"
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mota" / name
    if not path.exists():
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download_url_to_file(address, str(path), progress=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise _failed(address, error) from error
    return path


def _failed(address: str, error: Exception) -> MotaError:
    reason = first_line(error)
    return MotaError(
        f"could not download {address}: {reason}", "download it elsewhere and give the file with --inversion-weights"
    )
