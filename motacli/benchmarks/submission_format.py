"""What a benchmark's test server takes: files of rankings, described as data on the benchmark's class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from motacli.contracts import Benchmark
from motacli.errors import MotaError, UsageError

if TYPE_CHECKING:
    from motacli.console import Progress
    from motacli.plugins import PluginHost

DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class SubmissionFile:
    """One file a server takes: for every query the best ``length`` of its gallery or, ``of_subset``, of its subset.

    ``kind`` is what people call it and ``suffix`` ends its name. ``header`` holds what comes before the queries.
    """

    kind: str
    length: int
    suffix: str = ""
    of_subset: bool = False
    header: Mapping[str, str] = field(default_factory=dict)

    def name(self, unit: str) -> str:
        """The name of the file for a unit."""
        return f"{unit}{self.suffix}.json"


@dataclass(frozen=True, slots=True)
class SubmissionFormat:
    """The files of one benchmark and what its server insists on: the attribute ``submission`` of a `Benchmark`.

    ``queries`` counts the published queries of every split, the one that the server scores first. ``ids`` says whether
    images go by names, without folder and ending, or by integers; ``keys`` whether queries have any numbers or are
    counted from 0. ``reference`` says whether a query's own picture may be listed; ``fewer`` whether short lists pass.
    """

    files: tuple[SubmissionFile, ...]
    queries: Mapping[str, int]
    server: str
    ids: Literal["names", "integers"]
    keys: Literal["numbers", "counted"] = "numbers"
    reference: Literal["kept", "removed"] = "kept"
    fewer: bool = False
    max_bytes: int | None = None

    @property
    def depth(self) -> int:
        """How many entries of each ranking the files need."""
        return max(file.length for file in self.files)

    def image_id(self, value: Any) -> str | None:
        """An entry of a list as the benchmark's own id; None for what is none.

        Servers cast to integers, so those pass in quotes too, with or without the leading zeros of a file's name.
        """
        if self.ids == "names":
            return value if isinstance(value, str) and value else None
        if type(value) is int and value >= 0:
            return str(value)
        return (value.lstrip("0") or "0") if isinstance(value, str) and DIGITS.fullmatch(value) else None


def submission_format(benchmark: Benchmark) -> SubmissionFormat:
    """The format of a benchmark's submissions; `UsageError` where there is no server to submit to."""
    form: SubmissionFormat | None = getattr(benchmark, "submission", None)
    if form is None:
        raise UsageError(f"benchmark {benchmark.name!r} has no submission files", "`mota eval` scores it by itself")
    return form


def submission_formats(host: PluginHost, progress: Progress) -> dict[str, SubmissionFormat]:
    """The formats of all benchmarks that have one, by the benchmark's name; one that cannot be loaded is warned of."""
    found: dict[str, SubmissionFormat] = {}
    for component in host.components("benchmarks"):
        try:
            form = getattr(component.load()(), "submission", None)
        except MotaError as error:
            progress.warn(str(error))
            continue
        if form is not None:
            found[component.name] = form
    return found
