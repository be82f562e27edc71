"""Rankings written as a benchmark's test server wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from motacli.benchmarks.submission_check import check
from motacli.benchmarks.submission_format import SubmissionFile, SubmissionFormat
from motacli.benchmarks.submission_read import Submission
from motacli.contracts import EvalUnit, Ranking
from motacli.errors import MotaError
from motacli.runs import new_file, refuse_existing


def write_submissions(
    folder: Path, form: SubmissionFormat, unit: EvalUnit, top: Ranking | None, subset_top: Ranking | None = None
) -> list[Path]:
    """Write every file of ``form`` for a unit to ``folder`` and return their paths; none is ever overwritten.

    ``top`` has to hold ``form.depth`` entries per query or more, ``subset_top`` is the ranking within subsets. Nothing
    is written where a ranking breaks the server's rules: `MotaError` says which query does.
    """
    paths = [folder / file.name(unit.name) for file in form.files]
    for path in paths:
        refuse_existing(path)
    rankings = [subset_top if file.of_subset else top for file in form.files]
    texts = [
        _checked_text(path, form, file, unit, ranking)
        for path, file, ranking in zip(paths, form.files, rankings, strict=True)
    ]
    for path, text in zip(paths, texts, strict=True):
        with new_file(path) as work:
            work.write_text(text, encoding="utf-8")
    return paths


def _checked_text(
    path: Path, form: SubmissionFormat, file: SubmissionFile, unit: EvalUnit, ranking: Ranking | None
) -> str:
    if ranking is None:
        missing = "no ranking within the queries' subsets" if file.of_subset else "no ranking"
        raise MotaError(f"{path.name}: {missing} of {unit.name} was kept", "it is needed to write the file")
    answers = _answers(form, file, ranking)
    short = next((key for key, images in answers.items() if len(images) < file.length), None)
    if short is not None:
        held = f"the ranking of query {short!r} holds {len(answers[short])} images"
        raise MotaError(f"{path.name}: {held}", f"{file.length} are needed: keep more, or is the gallery this small?")
    # One line without a final newline, as the official examples are.
    text = json.dumps({**file.header, **answers})
    report = check(Submission(path, len(text), file.header, answers, unit.benchmark, form, file), unit)
    if not report.valid:
        raise MotaError(f"{path.name}: " + "; ".join(map(str, report.problems)))
    return text


def _answers(form: SubmissionFormat, file: SubmissionFile, ranking: Ranking) -> Mapping[str, list[str] | list[int]]:
    """The best images of each query, queries in numeric order."""
    rows = sorted(zip(ranking.query_ids, ranking.ids, strict=True), key=lambda row: int(row[0]))
    best = {id: ids[: file.length] for id, ids in rows}
    if form.ids == "integers":
        return {id: [int(image) for image in images] for id, images in best.items()}
    return {id: list(images) for id, images in best.items()}
