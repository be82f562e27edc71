"""What is wrong with a submission file, before a server says so: by the file alone, or by the annotations too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motacli.benchmarks.images import SUFFIXES
from motacli.benchmarks.protocol import find_choice
from motacli.benchmarks.submission_format import SubmissionFile, SubmissionFormat
from motacli.benchmarks.submission_read import Finding, Submission, read_submission
from motacli.contracts import EvalUnit, Query
from motacli.errors import listed

KEY = re.compile("0|[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """Mistakes of one kind: the keys that have it (none for the file), what is wrong at the first, and what to do."""

    keys: tuple[str, ...]
    what: str
    advice: str

    def __str__(self) -> str:
        where = f"key {self.keys[0]!r} " if self.keys else ""
        others = f" (also {listed(self.keys[1:])})" if len(self.keys) > 1 else ""
        return f"{where}{self.what}{others}; {self.advice}"


@dataclass(frozen=True, slots=True)
class SubmissionReport:
    """What `check` found. ``kind`` and ``benchmark`` are empty for a file like no submission, ``split`` if unknown.

    ``length`` is the commonest number of entries of a query. A server would refuse what is listed in ``problems``, or
    score it wrongly; it tolerates ``warnings``.
    """

    path: Path
    kind: str
    benchmark: str
    split: str
    queries: int
    length: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether the file can be submitted."""
        return not self.problems


def check_submission(
    path: Path, forms: Mapping[str, SubmissionFormat], unit: EvalUnit | None = None
) -> SubmissionReport:
    """Read a file and `check` it; with ``unit`` it is taken for one of that unit's benchmark."""
    if unit is not None:
        forms = {name: form for name, form in forms.items() if name == unit.benchmark}
    return check(read_submission(path, forms), unit)


def check(submission: Submission, unit: EvalUnit | None = None, split: str | None = None) -> SubmissionReport:
    """Everything that is wrong with a file.

    Without ``unit``, whose queries it should answer, their number has to be that of ``split`` or of a published split.
    """
    form, file, answers = submission.form, submission.file, submission.answers
    findings, tolerated = list(submission.faults), list[Finding]()
    if form is not None and file is not None:
        findings += [*_header_findings(submission.header, file), *_file_findings(submission.size, form)]
        findings += _count_findings(answers, form, split) if unit is None else _asked(answers, unit)
        findings += _entry_findings(answers, form, file)
        findings += [] if unit is None else _unit_findings(answers, unit, form, file)
        tolerated += _short_lists(answers, form, file)
    lengths = Counter(len(value) for value in answers.values() if isinstance(value, list))
    return SubmissionReport(
        path=submission.path,
        kind=file.kind if file else "",
        benchmark=submission.benchmark,
        split=unit.split if unit else _split(len(answers), form, split),
        queries=len(answers),
        length=lengths.most_common(1)[0][0] if lengths else 0,
        problems=_grouped(findings),
        warnings=_grouped(tolerated),
    )


# ---------------------------------------------------------------------------------------------- file and keys


def _header_findings(header: Mapping[str, Any], file: SubmissionFile) -> Iterator[Finding]:
    for key, value in file.header.items():
        if key not in header:
            yield Finding(key, "is missing", f"add it with the value {value!r}")
        elif header[key] != value:
            yield Finding(key, f"is {header[key]!r}", f"it has to be {value!r}")


def _file_findings(size: int, form: SubmissionFormat) -> Iterator[Finding]:
    if form.max_bytes is not None and size > form.max_bytes:
        limit = form.max_bytes / 1e6
        yield Finding("", f"{size / 1e6:.2f} MB", f"the server takes {limit:g} MB: write it without indentation")


def _count_findings(answers: Mapping[str, Any], form: SubmissionFormat, split: str | None) -> Iterator[Finding]:
    """What the keys have to be when nothing is known but how many queries were published."""
    for key in answers:
        if not KEY.fullmatch(key):
            yield Finding(key, "is no query id", "keys are query ids in decimal, without leading zeros")
    counts = form.queries if split is None else {split: form.queries[find_choice("split", split, list(form.queries))]}
    if len(answers) not in counts.values():
        expected = " or ".join(f"{count} ({name})" for name, count in counts.items())
        yield Finding("", f"{len(answers)} queries", f"every query of a split has to be answered: {expected}")
    elif form.keys == "counted":
        yield from _missing(answers, [str(index) for index in range(len(answers))], "count the queries from 0")


def _asked(answers: Mapping[str, Any], unit: EvalUnit) -> Iterator[Finding]:
    ids = [query.id for query in unit.queries]
    yield from _missing(answers, ids, f"answer every query of {unit.name}")
    known = set(ids)
    for key in answers:
        if key not in known:
            yield Finding(key, "is not asked", f"leave out what is no query of {unit.name}")


def _missing(answers: Collection[str], expected: Iterable[str], advice: str) -> Iterator[Finding]:
    for key in expected:
        if key not in answers:
            yield Finding(key, "is missing", advice)


# ---------------------------------------------------------------------------------------------- lists


def _entry_findings(answers: Mapping[str, Any], form: SubmissionFormat, file: SubmissionFile) -> Iterator[Finding]:
    for key, value in answers.items():
        if not isinstance(value, list):
            yield Finding(key, f"holds {type(value).__name__}, not a list", "give a list of images, the best first")
            continue
        if len(value) > file.length or (len(value) < file.length and not form.fewer):
            yield Finding(key, f"lists {len(value)} images", f"give exactly {file.length}")
        for image in value:
            yield from _image_findings(key, image, form)
        ids = [id for image in value if (id := form.image_id(image)) is not None]
        if len(set(ids)) < len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            yield Finding(key, f"lists {twice!r} twice", "list every image once, or the server refuses the file")


def _image_findings(key: str, image: Any, form: SubmissionFormat) -> Iterator[Finding]:
    if (id := form.image_id(image)) is None:
        yield Finding(key, f"lists {image!r}", f"images go by {form.ids}")
    elif form.ids == "names" and ("/" in id or id.lower().endswith(SUFFIXES)):
        yield Finding(key, f"lists {image!r}", "give names without folder and ending")


def _short_lists(answers: Mapping[str, Any], form: SubmissionFormat, file: SubmissionFile) -> Iterator[Finding]:
    for key, value in answers.items():
        if form.fewer and isinstance(value, list) and len(value) < file.length:
            yield Finding(key, f"lists {len(value)} images", f"the rest counts as wrong: better give {file.length}")


def _unit_findings(
    answers: Mapping[str, Any], unit: EvalUnit, form: SubmissionFormat, file: SubmissionFile
) -> Iterator[Finding]:
    """What only the annotations can tell: images that are not there, or that this query may not list."""
    queries = {query.id: query for query in unit.queries}
    gallery = frozenset(unit.gallery)
    for key, value in answers.items():
        if key in queries and isinstance(value, list):
            ids = [id for image in value if (id := form.image_id(image)) is not None]
            yield from _against(queries[key], ids, gallery, form, file)


def _against(
    query: Query, ids: Sequence[str], gallery: Collection[str], form: SubmissionFormat, file: SubmissionFile
) -> Iterator[Finding]:
    if form.reference == "removed" and query.reference in ids:
        what = f"lists {query.reference!r}, its own reference"
        yield Finding(query.id, what, "take the reference out before cutting the ranking")
    for id in ids:
        if id not in gallery:
            yield Finding(query.id, f"lists {id!r}", "it is not in the gallery: rank images of the split, by their ids")
        elif file.of_subset and id not in query.subset and id != query.reference:
            yield Finding(query.id, f"lists {id!r}", "it is not in the query's image set: rank its members alone")


# ---------------------------------------------------------------------------------------------- report


def _grouped(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """One problem per advice, so that a mistake in every query is told once."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.advice, []).append(finding)
    return tuple(
        Problem(tuple(dict.fromkeys(f.key for f in group if f.key)), group[0].what, advice)
        for advice, group in groups.items()
    )


def _split(queries: int, form: SubmissionFormat | None, split: str | None) -> str:
    if split or form is None:
        return split or ""
    return next((name for name, count in form.queries.items() if count == queries), "")
