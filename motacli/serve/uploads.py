"""What is kept of pictures that were sent, so that a page need not send one again with every letter typed."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from motacli.serve.decoding import Small
from motacli.serve.problems import Refused


@dataclass(frozen=True, eq=False, slots=True)
class Upload:
    """A picture's feature ``(d,)`` by the backbone of that fingerprint, and its thumbnail. The file is not kept."""

    feature: np.ndarray = field(repr=False)
    fingerprint: str
    small: Small


class Uploads:
    """The last so many, each by a name that cannot be guessed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, upload: Upload) -> str:
        """Keep one, dropping what was used longest ago; gives its name."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = upload
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str, fingerprint: str | None = None) -> Upload:
        """The one of that name; `Refused` with 410 where it is gone, or of use to another backbone only."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
        if found is None or (fingerprint is not None and found.fingerprint != fingerprint):
            raise Refused(410, "that picture is not kept any more", "send it again")
        return found
