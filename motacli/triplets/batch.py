"""Triplets by way of a batch service: requests go out as a file of OpenAI's Batch form, answers come back as one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motacli.contracts import ImageText, Outcome
from motacli.errors import DataError, MotaError, UsageError
from motacli.llms.asking import Asked
from motacli.llms.errors import LLMError
from motacli.llms.openai import OpenAIChat, read_completion
from motacli.plugins import PluginHost
from motacli.runs import explained, new_file
from motacli.triplets.answers import Answer
from motacli.triplets.keys import with_own_ids
from motacli.triplets.llm import LLMGenerator, LLMOptions

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""What a file of requests may hold."""
ADDRESS = "/v1/chat/completions"
NOWHERE = "http://batch.invalid/v1"


@dataclass(frozen=True)
class BatchOptions(LLMOptions):
    """As of `llm`; ``answers`` are the files that the service gave back, errors included.

    With ``pictures`` the model is shown them, as by `mllm`.
    """

    answers: tuple[str, ...] = ()
    pictures: bool = False


class BatchGenerator(LLMGenerator):
    """Reads the triplets out of answers that a batch service gave; a row without an answer is rejected."""

    name = "batch"
    in_order = True
    Options = BatchOptions

    def __init__(self, options: BatchOptions, client: OpenAIChat | None = None) -> None:
        self.reads_images = options.pictures
        super().__init__(options, client)
        self.options: BatchOptions = options  # narrowed

    def bind(self, host: PluginHost) -> None:
        """As of `llm`; no address is needed, for nothing is asked."""
        self.options = replace(self.options, llm={"url": NOWHERE, **self.options.llm})
        super().bind(host)

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        """See `motacli.contracts.TripletGenerator`; in the order of the rows."""
        if not self.options.answers:
            hint = "write requests with --export-requests FILE, then read their answers with --import-answers FILE"
            raise UsageError("generator batch asks nobody by itself", hint)
        answers = AnswerFiles([Path(name) for name in self.options.answers])
        for row in rows:
            request, context = self.request(row)
            yield self.outcome(row, context, self._asked(answers, request.key))

    def _asked(self, answers: AnswerFiles, key: str) -> Asked[Answer]:
        try:
            answer = answers.completion(key)
        except LLMError as error:
            return Asked(None, error, 0 if error.reason == NO_ANSWER else 1, 0, 0)
        cost = (1, answer.prompt_tokens, answer.completion_tokens)
        try:
            return Asked(self.read(answer.text), None, *cost)
        except LLMError as error:
            return Asked(None, error, *cost)


NO_ANSWER = "no answer"


class AnswerFiles:
    """Answers on the disk, found by their ``custom_id``; only their places are in memory.

    Where an id has several answers, as after a second batch for those that failed, the last good one counts. Raises
    `DataError` for a line that is no answer.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._places: dict[str, tuple[int, int]] = {}
        good: set[str] = set()
        for number, path in enumerate(paths):
            for place, record in _records(path):
                key = record["custom_id"]
                is_good = _status(record) == 200
                if is_good or key not in good:
                    self._places[key] = (number, place)
                if is_good:
                    good.add(key)

    def completion(self, key: str) -> Any:
        """The answer to a request; `LLMError` where there is none."""
        if key not in self._places:
            raise LLMError(NO_ANSWER, "none of the answers is to this row", remedy="give up")
        number, place = self._places[key]
        with explained(self._paths[number]), self._paths[number].open("rb") as file:
            file.seek(place)
            record = json.loads(file.readline())
        if _status(record) != 200:
            raw = json.dumps(record.get("error") or record.get("response"), ensure_ascii=False)
            raise LLMError("refused by the batch", f"status {_status(record)}", remedy="give up", raw=raw)
        return read_completion(record["response"].get("body") or {})


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The answers of a file, each with its place in bytes."""
    if not path.is_file():
        raise DataError(f"no such file of answers: {path}", "give what the batch service wrote, JSONL")
    place = 0
    with explained(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            start, place = place, place + len(line)
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not valid JSON: {error}") from error
            if not isinstance(record, dict) or not isinstance(record.get("custom_id"), str):
                raise DataError(f"{path}:{number}: no 'custom_id'", "is this the output of a batch?")
            yield start, record


def _status(record: dict[str, Any]) -> int | None:
    response = record.get("response")
    return response.get("status_code") if isinstance(response, dict) else None


@dataclass(frozen=True)
class Exported:
    """What was written: requests in files, and rows that no request could be made for, such as without a picture."""

    files: tuple[Path, ...]
    requests: int
    refused: int


def export_requests(rows: Iterable[ImageText], generator: LLMGenerator, out: Path) -> Exported:
    """Write the requests of all rows; past a file's limits go on in ``<name>.2.jsonl`` and so on.

    Ids that come up again are made unique as by `motacli.triplets.pipeline.generate`, which finds the answers by them.
    Raises `DataError` where no request can be made at all.
    """
    client = generator.client
    if not isinstance(client, OpenAIChat):
        raise UsageError(f"requests of client {client.name!r} cannot be exported", "use client openai")
    files: list[Path] = []
    written = 0
    refused = _Refused()
    lines = _request_lines(with_own_ids(rows), generator, client, refused)
    line = next(lines, None)
    if line is None:
        what = f"no request can be made: {refused.first}" if refused.number else "no rows to make requests of"
        raise DataError(what)
    while line is not None:
        path = out if not files else out.with_name(f"{out.stem}.{len(files) + 1}{out.suffix}")
        with new_file(path) as partial, partial.open("wb") as file:
            count = size = 0
            while line is not None and count < MOST_REQUESTS and size + len(line) <= MOST_BYTES:
                count, size = count + 1, size + len(line)
                file.write(line)
                line = next(lines, None)
            if not count:
                raise MotaError("a request is larger than a batch may be", "its picture is too large")
        files.append(path)
        written += count
    return Exported(tuple(files), written, refused.number)


@dataclass
class _Refused:
    number: int = 0
    first: str = ""


def _request_lines(
    rows: Iterable[ImageText], generator: LLMGenerator, client: OpenAIChat, refused: _Refused
) -> Iterator[bytes]:
    """A line for each row, but for those that no request can be made for."""
    for row in rows:
        request, _ = generator.request(row)
        try:
            body = client.body(request)
        except LLMError as error:
            refused.number += 1
            refused.first = refused.first or error.message
            continue
        record = {"custom_id": request.key, "method": "POST", "url": ADDRESS, "body": body}
        yield (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
