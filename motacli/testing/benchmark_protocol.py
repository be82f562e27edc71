"""Checks of what a benchmark makes of its queries and numbers: prompts of a protocol, and averages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from motacli.benchmarks.protocol import DEFAULT_PROTOCOL
from motacli.contracts import Prompt
from motacli.errors import UsageError
from motacli.testing.benchmark_subject import BenchmarkSubject, first
from motacli.testing.checks import Checks

checks = Checks[BenchmarkSubject]()
ASKED = 20
"""Queries whose prompts are looked at."""


@checks.add(
    "Benchmark.protocol",
    f"the protocol {DEFAULT_PROTOCOL!r} makes prompts of a query, with its captions in them",
    after="captions",
)
def protocol(subject: BenchmarkSubject) -> Iterator[str]:
    """Texts that a text encoder can take."""
    found = subject.benchmark.protocol(DEFAULT_PROTOCOL)

    def wrong() -> Iterator[str]:
        for unit, query in islice(subject.queries(), ASKED):
            prompts = found.prompts(query)
            if not prompts or not all(isinstance(prompt, Prompt) for prompt in prompts):
                yield f"prompts of query {query.id!r} of {unit.name} are {prompts!r}"
            elif not any(_words(query.captions[0]) in _words(prompt.prefix + prompt.suffix) for prompt in prompts):
                yield f"no prompt of query {query.id!r} of {unit.name} says {query.captions[0]!r}"
            elif not isinstance(found.text(query), str):
                yield f"the text of query {query.id!r} of {unit.name} is {found.text(query)!r}"

    yield from first(wrong())


@checks.add("Benchmark.protocol", "the protocol's record can be written as JSON")
def protocol_record(subject: BenchmarkSubject) -> Iterator[str]:
    """What results keep."""
    record = subject.benchmark.protocol(DEFAULT_PROTOCOL).record()
    try:
        json.dumps(record)
    except (TypeError, ValueError) as error:
        yield f"its record cannot be: {error}"


@checks.add("Benchmark.protocol", "an unknown protocol is a UsageError")
def unknown_protocol(subject: BenchmarkSubject) -> Iterator[str]:
    """What people mistype."""
    try:
        subject.benchmark.protocol("no-such-protocol")
    except UsageError:
        return
    except Exception as error:
        yield f"an unknown protocol raises {type(error).__name__}"
        return
    yield "an unknown protocol is taken"


@checks.add("Benchmark.averages", "from units to their metrics it derives further rows of numbers")
def averages(subject: BenchmarkSubject) -> Iterator[str]:
    """Of all units, of one alone and of none."""
    scores = {unit.name: {metric: 50.0 for metric in unit.metrics} for unit in subject.units}
    one = dict(list(scores.items())[:1])
    for given in (scores, one, {}):
        rows = subject.benchmark.averages(given)
        if not isinstance(rows, dict) or not all(
            isinstance(value, float) for row in rows.values() for value in row.values()
        ):
            yield f"gives {rows!r} of {len(given)} units"
        elif taken := sorted(set(rows) & set(scores)):
            yield f"gives a row {taken[0]!r}, as a unit is called"


def _words(text: str) -> str:
    """A text as protocols that strip and join leave it comparable."""
    return "".join(letter for letter in text.lower() if letter.isalnum())
