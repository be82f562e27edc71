"""Reading a submission file: whose it is, told by its content, and which annotations it answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from motacli.benchmarks.submission_format import SubmissionFile, SubmissionFormat
from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import DataError
from motacli.runs import explained


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake: the key that has it (empty for the file), what is wrong (said of the key), and what to do."""

    key: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A file as it was read: ``header``, then ``answers`` by query, and which benchmark's file it looks like.

    ``faults`` are what the reader stumbled over; without a ``form`` it made nothing of the file.
    """

    path: Path
    size: int
    header: Mapping[str, Any] = field(default_factory=dict, repr=False)
    answers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    benchmark: str = ""
    form: SubmissionFormat | None = None
    file: SubmissionFile | None = None
    faults: tuple[Finding, ...] = ()


def read_submission(path: Path, forms: Mapping[str, SubmissionFormat]) -> Submission:
    """A file, taken for that of ``forms`` (by benchmark) which its content is most like."""
    with explained(path):
        data = path.read_bytes()
    repeated: list[str] = []

    def keep_last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=keep_last)
    except (ValueError, RecursionError) as error:
        return _unread(path, data, f"not JSON: {error}", "write it with a JSON library")
    if not isinstance(document, dict):
        return _unread(
            path, data, f"holds {type(document).__name__}, not an object", "map query ids to lists of images"
        )
    twice = tuple(Finding(key, "appears twice in the file", "keep one of the two") for key in repeated)
    return _recognised(Submission(path, len(data), faults=twice), document, forms)


def matching_unit(benchmark: Benchmark, root: Path, submission: Submission, split: str | None = None) -> EvalUnit:
    """The unit that a file answers: of ``split``, or of the split whose query ids are most like the file's keys."""
    splits = [split] if split else list(submission.form.queries if submission.form else benchmark.splits)
    units: list[EvalUnit] = []
    missing: list[DataError] = []
    for name in splits:
        try:
            units += benchmark.load(root, name)
        except DataError as error:
            missing.append(error)
    keys = submission.answers.keys()
    ids = [{query.id for query in unit.queries} for unit in units]
    if missing and not any(keys & known for known in ids):
        raise missing[0]
    return units[min(range(len(units)), key=lambda index: len(keys ^ ids[index]))]


def _unread(path: Path, data: bytes, what: str, advice: str) -> Submission:
    return Submission(path, len(data), faults=(Finding("", what, advice),))


def _recognised(read: Submission, document: Mapping[str, Any], forms: Mapping[str, SubmissionFormat]) -> Submission:
    choices = [(name, form, file) for name, form in forms.items() for file in form.files]
    likeness = [_likeness(document, form, file) for _, form, file in choices]
    if max(likeness, default=0) <= 0:
        known = ", ".join(file.kind for _, _, file in choices) or "none"
        lost = Finding("", "like no submission file", f"known are: {known}")
        return replace(read, answers=document, faults=(*read.faults, lost))
    benchmark, form, file = choices[likeness.index(max(likeness))]
    header = {key: value for key, value in document.items() if key in file.header}
    answers = {key: value for key, value in document.items() if key not in file.header}
    return replace(read, header=header, answers=answers, benchmark=benchmark, form=form, file=file)


def _likeness(document: Mapping[str, Any], form: SubmissionFormat, file: SubmissionFile) -> int:
    """Points for the header, the kind of ids, the length of the lists and the number of queries."""
    points = sum((1 + (document[key] == value)) if key in document else -1 for key, value in file.header.items())
    first = next((value for value in document.values() if isinstance(value, list) and value), None)
    if first is not None:
        points += 3 * all(form.image_id(value) is not None for value in first) + 2 * (len(first) == file.length)
        points += len(document) - len(file.header) in form.queries.values()
    return points
