"""Rates of `mota gen-triplets`: by rule, and by a language model where there is one to ask."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from motacli.bench.loopback import Loopback
from motacli.contracts import Outcome, TripletGenerator
from motacli.planning.measuring.bench import Bench, lengths
from motacli.planning.measuring.timing import LEAST, mean_of, rate_of, seconds_of, size_of, slopes
from motacli.planning.rates import Rate
from motacli.triplets.pipeline import TripletReport, generate, load_generator

FURTHER = 4
"""How many times as many rows triplets are written of by rule as pictures are encoded, if there are so many."""


def measure_rules(bench: Bench) -> tuple[Path, Path]:
    """Put the rates of the rule generator on the bench; gives triplets of the smaller and of the larger run."""
    options = bench.options
    rows = sum(1 for _ in bench.rows(0, FURTHER * options.rows))  # a row takes so little that more are needed
    on = bench.condition("triplets", generator="rules", rows=f"{rows // 4} and {rows}")
    generator = load_generator(bench.host, "rules", {})
    outcomes: list[Outcome] = []

    def edit() -> None:
        outcomes[:] = generator.generate(iter(bench.items))

    edit()
    edited = [seconds_of(edit) / len(bench.items) for _ in range(options.runs)]
    small, large = _files(bench, generator, options.small), _files(bench, generator, options.rows)
    written = slopes(_pairs(bench, generator, rows // 4, rows), rows - rows // 4)
    bench.rates["rules.rows_per_second_per_core"] = rate_of(edited, on)
    alone = sorted(edited)[len(edited) // 2]
    bench.rates["rules.journal_per_second"] = rate_of([max(one - alone, LEAST) for one in written], on)
    _sizes(bench, outcomes, "rules", on)
    return small, large


def measure_llm(bench: Bench) -> None:
    """Put the rates of asking a language model on the bench."""
    options = bench.options
    on = bench.condition("llm", llm_model=options.llm_model, concurrency=options.concurrency)
    asking = {"concurrency": options.concurrency}
    client = {"url": options.llm_url, "model": options.llm_model}
    generator = load_generator(bench.host, "llm", {"llm": client, "asking": asking})
    small, large = options.llm_rows // 4, options.llm_rows
    reports: list[TripletReport] = []
    pairs = [_pair(bench, generator, small, large, reports) for _ in range(options.runs)]
    report = reports[-1]
    per_row = report.requests / report.rows
    waited = [options.concurrency * seconds / per_row for seconds in slopes(pairs, large - small)]
    values = {
        "latency_seconds": size_of(waited, on),
        "triplets_per_row": Rate(report.triplets / report.rows, on=on),
        "rejects_per_row": Rate(sum(report.rejected.values()) / report.rows, on=on),
        "requests_per_row": Rate(per_row, on=on),
        "prompt_tokens_per_request": Rate(report.prompt_tokens / report.requests, on=on),
        "completion_tokens_per_request": Rate(report.completion_tokens / report.requests, on=on),
    }
    bench.rates.update({f"llm.{name}": rate for name, rate in values.items()})
    bench.rates["llm.client_requests_per_second"] = _client(bench, on)


def _client(bench: Bench, on: str) -> Rate:
    """Requests a second where answers take no time."""
    server = Loopback.start(0.0)
    asking = {"concurrency": bench.options.concurrency}
    generator = load_generator(bench.host, "llm", {"llm": {"url": server.url, "model": "loopback"}, "asking": asking})
    _written(bench, generator, bench.options.small)
    small, large = bench.options.small, bench.options.rows
    return rate_of(slopes(_pairs(bench, generator, small, large), large - small), on)


def _pairs(bench: Bench, generator: TripletGenerator, small: int, large: int) -> list[tuple[float, float]]:
    """Seconds of smaller and larger runs."""
    return [_pair(bench, generator, small, large, reports=[]) for _ in range(bench.options.runs)]


def _pair(
    bench: Bench, generator: TripletGenerator, small: int, large: int, reports: list[TripletReport]
) -> tuple[float, float]:
    """Seconds of a smaller and a larger run, whose reports are kept."""

    def seconds(rows: int) -> float:
        return seconds_of(lambda: reports.append(_written(bench, generator, rows)))

    return seconds(small), seconds(large)


def _written(bench: Bench, generator: TripletGenerator, rows: int) -> TripletReport:
    return generate(bench.rows(0, rows), generator, bench.path("triplets", ".jsonl"))


def _files(bench: Bench, generator: TripletGenerator, rows: int) -> Path:
    path = bench.path(f"kept-{rows}", ".jsonl")
    generate(bench.rows(0, rows), generator, path)
    return path


def _sizes(bench: Bench, outcomes: Iterable[Outcome], kind: str, on: str) -> None:
    outcomes = list(outcomes)
    triplets = [triplet for outcome in outcomes for triplet in outcome.triplets]
    bench.rates[f"{kind}.triplets_per_row"] = Rate(len(triplets) / len(outcomes), on=on)
    refused = sum(len(outcome.rejections) for outcome in outcomes)
    bench.rates[f"{kind}.rejects_per_row"] = Rate(refused / len(outcomes), on=on)
    bench.rates["data.relative_caption_bytes"] = mean_of(lengths([t.relative_caption for t in triplets]), on)
    bench.rates["data.target_caption_bytes"] = mean_of(lengths([t.target_caption for t in triplets]), on)
