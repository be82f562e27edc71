"""From an image-text data set to a triplets file: a stream that nothing holds whole and that can be gone on with."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from motacli import __version__
from motacli.config import identity, parse_options
from motacli.console import NullProgress, Progress
from motacli.contracts import ImageRef, ImageText, Outcome, Rejection, TripletGenerator
from motacli.datasets import image_bytes
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.runs import file_digest, jsonable, refuse_existing, write_json
from motacli.triplets.filters import Filter, screen
from motacli.triplets.journal import Counts, Journal
from motacli.triplets.keys import digest64, with_own_ids
from motacli.triplets.schema import check_triplet, meta_path

GROUP_ROWS = 256
GROUP_SECONDS = 1.0
"""Outcomes are written through to the disk once there are so many, or the first has waited for so long."""


@dataclass(frozen=True)
class TripletReport:
    """What a run wrote, and the contents of ``<name>.meta.json``.

    ``rows`` were read and ``empty_rows`` of them gave no triplet; ``modification_types`` and ``contexts`` count the
    triplets, ``rejected`` what was refused, by reason. ``requests`` and tokens are zero where no model is asked.
    """

    generator: Mapping[str, str]
    options: Mapping[str, Any]
    filters: Sequence[str]
    source: str
    limit: int | None
    seed: int | None
    rows: int
    empty_rows: int
    triplets: int
    modification_types: Mapping[str, int]
    contexts: Mapping[str, int]
    rejected: Mapping[str, int]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    sha256: str
    mota: str


def load_generator(host: PluginHost, name: str, values: Mapping[str, Any]) -> TripletGenerator:
    """The registered triplet generator of that name with these options.

    A target that has an ``Options`` dataclass is called with one, made by `parse_options`; any other with ``**values``.
    One with a method ``bind`` gets the host by it, to look up other parts such as LLM clients.
    """
    component = host.component("generators", name)
    target = component.load()
    options = getattr(target, "Options", None)
    try:
        made = target(**values) if options is None else target(_options(options, values, name))
    except TypeError as error:
        raise UsageError(f"triplet generator {name!r} does not take these options: {error}") from error
    if hasattr(made, "bind"):
        made.bind(host)
    return cast(TripletGenerator, component.checked(made))


def _options(cls: type[Any], values: Mapping[str, Any], name: str) -> Any:
    return parse_options(cls, values, f"options of triplet generator {name!r}")


def generate(
    source: Iterable[ImageText],
    generator: TripletGenerator,
    out: Path,
    *,
    source_name: str = "",
    limit: int | None = None,
    filters: Sequence[Filter] = (),
    resume: bool = True,
    progress: Progress | None = None,
) -> TripletReport:
    """Write the triplets of ``source``, of its first ``limit`` rows if given, to ``out``.

    What is refused goes to ``<name>.rejects.jsonl``, the record to ``<name>.meta.json``. Every row ends up in one of
    the files at least. An id that comes up again, as where a picture has several captions, becomes ``id~2``, ``id~3``.

    With ``resume`` an unfinished run of the same settings goes on, without asking again for the rows it finished, and
    for a finished one its report is returned. Raises `MotaError` where another file is in the way, the generator breaks
    its contract, or no row gives a triplet; `DataError` where the data set changed since.
    """
    progress = progress or NullProgress()
    settings = _settings(generator, source_name, limit, filters)
    done = _finished_report(out, settings) if resume else None
    if done is not None:
        progress.log(f"{out} is complete already")
        return done
    refuse_existing(out)
    remember = [keep for one in filters if (keep := getattr(one, "remember", None)) is not None]
    with Journal(out, settings, resume, remember) as journal:
        if journal.counts.rows:
            progress.log(f"going on after {journal.counts.rows} rows")
        try:
            _write(source, generator, filters, journal, limit, progress)
        except KeyboardInterrupt:
            progress.log(f"{journal.counts.rows} rows are done; the same command goes on from there")
            raise
    counts = journal.counts
    if not counts.triplets and counts.rows:
        journal.discard()
        raise _nothing(counts, journal)
    if not counts.rows:
        raise DataError(f"no rows in {source_name or 'the data set'}")
    report = _report(settings, counts, file_digest(journal.triplets_path))
    write_json(meta_path(out), asdict(report))
    journal.complete()
    return report


def _finished_report(out: Path, settings: Mapping[str, Any]) -> TripletReport | None:
    """The report of an earlier run with these settings whose file is still what it wrote."""
    if not out.is_file() or not meta_path(out).is_file():
        return None
    try:
        record = json.loads(meta_path(out).read_text("utf-8"))
        report = TripletReport(**record)
    except (ValueError, TypeError):
        return None
    same = all(record[key] == jsonable(value) for key, value in settings.items() if key in record)
    return report if same and report.sha256 == file_digest(out) else None


# ---------------------------------------------------------------------------------------------- rows


def _write(
    source: Iterable[ImageText],
    generator: TripletGenerator,
    filters: Sequence[Filter],
    journal: Journal,
    limit: int | None,
    progress: Progress,
) -> None:
    """Write the outcomes of all rows that are not finished yet; what has come is written even if an error ends it."""
    waiting: dict[str, int] = {}
    before = journal.counts.rows
    total = min(len(source), limit or len(source)) if isinstance(source, Sized) else limit

    def description() -> str:
        return _status(generator, journal.counts)

    def handed_out() -> Iterator[ImageText]:
        looks = bool(getattr(generator, "reads_images", False))
        again = 0
        for row in progress.track(with_own_ids(islice(source, limit)), description, total):
            key = _row_key(row, looks)
            if journal.is_finished(row.id, key):
                again += 1
            else:
                waiting[row.id] = key
                yield row
        if again < before:
            progress.warn(f"{before - again} rows of the unfinished run are not in the data set any more")

    group: dict[str, Outcome] = {}
    begun = time.monotonic()
    try:
        for outcome in generator.generate(handed_out()):
            if outcome.row.id not in waiting or outcome.row.id in group:
                raise unasked(generator, outcome)
            group[outcome.row.id] = outcome
            if len(group) >= GROUP_ROWS or time.monotonic() - begun >= GROUP_SECONDS:
                _commit(list(group.values()), waiting, generator, filters, journal)
                group, begun = {}, time.monotonic()
    finally:
        _commit(list(group.values()), waiting, generator, filters, journal)
    if waiting:
        first = next(iter(waiting))
        raise MotaError(f"triplet generator {generator.name!r} said nothing of {len(waiting)} rows, such as {first!r}")


def _commit(
    group: Sequence[Outcome],
    waiting: dict[str, int],
    generator: TripletGenerator,
    filters: Sequence[Filter],
    journal: Journal,
) -> None:
    if not group:
        return
    checked = [_accounted(_checked(outcome, generator)) for outcome in screen(group, filters)]
    journal.append([(waiting.pop(outcome.row.id), outcome) for outcome in checked], generator.info)


def _row_key(row: ImageText, looks: bool) -> int:
    """A digest of all that a row's triplets depend on."""
    pixels = _pixels_digest(row.image) if looks else ""
    return digest64(row.caption, row.image.id, pixels)


def _pixels_digest(image: ImageRef) -> str:
    try:
        return hashlib.sha256(image_bytes(image)).hexdigest()
    except DataError:
        return "unreadable"  # the generator refuses the row and says why


def _checked(outcome: Outcome, generator: TripletGenerator) -> Outcome:
    """The outcome, after the generator's triplets were found to keep its contract.

    What is no valid Unicode (half a surrogate pair, which JSON can spell) cannot be written, and is refused here.
    """
    row = outcome.row
    if any("\ud800" <= letter <= "\udfff" for text in (row.id, row.image.id, row.caption) for letter in text):
        return replace(outcome, triplets=(), rejections=(Rejection("not valid Unicode"),))
    where = f"triplet generator {generator.name!r}, {outcome.row.id}"
    for triplet in outcome.triplets:
        check_triplet(asdict(triplet), where)
        if (triplet.source_id, triplet.image) != (outcome.row.id, outcome.row.image.id):
            raise MotaError(f"{where}: a triplet of {triplet.source_id!r} about {triplet.image!r}")
    if len({triplet.id for triplet in outcome.triplets}) < len(outcome.triplets):
        raise MotaError(f"{where}: two triplets of one id")
    return outcome


def _accounted(outcome: Outcome) -> Outcome:
    if outcome.triplets or outcome.rejections:
        return outcome
    return replace(outcome, rejections=(Rejection("nothing", "the generator gave no triplet", outcome.row.caption),))


# ---------------------------------------------------------------------------------------------- words and records


def _settings(
    generator: TripletGenerator, source_name: str, limit: int | None, filters: Sequence[Filter]
) -> dict[str, Any]:
    values = getattr(generator, "settings", None)
    return {
        "generator": asdict(generator.info),
        "options": identity(getattr(generator, "options", None)) if values is None else values,
        "filters": [str(one) for one in filters],
        "source": source_name,
        "limit": limit,
    }


def _report(settings: Mapping[str, Any], counts: Counts, sha256: str) -> TripletReport:
    return TripletReport(
        **jsonable(settings),
        seed=settings["options"].get("seed"),
        rows=counts.rows,
        empty_rows=counts.empty_rows,
        triplets=counts.triplets,
        modification_types=dict(counts.modification_types.most_common()),
        contexts=dict(counts.contexts.most_common()),
        rejected=dict(counts.rejected.most_common()),
        requests=counts.requests,
        prompt_tokens=counts.prompt_tokens,
        completion_tokens=counts.completion_tokens,
        sha256=sha256,
        mota=__version__,
    )


def _status(generator: TripletGenerator, counts: Counts) -> str:
    """What the progress bar says: triplets so far, and what a model's cost."""
    text = f"{counts.triplets} triplets"
    if counts.requests:
        text += f", {counts.prompt_tokens + counts.completion_tokens:,} tokens"
    cost = getattr(generator, "cost", lambda prompt, completion: None)(counts.prompt_tokens, counts.completion_tokens)
    return text if cost is None else f"{text}, {cost:.2f} spent"


def _nothing(counts: Counts, journal: Journal) -> DataError:
    reason, number = counts.rejected.most_common(1)[0]
    return DataError(
        f"no triplets: {counts.rows} rows were read, and {number} refusals were for {reason!r}",
        f"see {journal.rejects} for each of them",
    )


def unasked(generator: TripletGenerator, outcome: Outcome) -> MotaError:
    """The error of an outcome too many."""
    return MotaError(
        f"triplet generator {generator.name!r} gave an outcome of {outcome.row.id!r}, which it was not asked about or "
        "has answered before"
    )
