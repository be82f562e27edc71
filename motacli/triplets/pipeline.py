"""From an image-text data set to a triplets file: a stream that nothing holds whole and that can be gone on with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from motacli import __version__
from motacli.config import parse_options
from motacli.console import NullProgress, Progress
from motacli.contracts import ImageText, TripletGenerator
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.runs import file_digest, refuse_existing, write_json
from motacli.triplets.journal import Counts, Journal
from motacli.triplets.schema import meta_path


@dataclass(frozen=True)
class TripletReport:
    """What a run wrote, and the contents of ``<name>.meta.json``.

    ``rows`` were read and ``skipped`` of them gave no triplet; ``modifications`` and ``contexts`` count the triplets.
    """

    generator: str
    version: str
    options: Mapping[str, Any]
    source: str
    limit: int | None
    seed: int | None
    rows: int
    skipped: int
    triplets: int
    modifications: Mapping[str, int]
    contexts: Mapping[str, int]
    sha256: str
    mota: str


def load_generator(host: PluginHost, name: str, values: Mapping[str, Any]) -> TripletGenerator:
    """The registered triplet generator of that name with these options.

    A target that has an ``Options`` dataclass is called with one, made by `parse_options`; any other with ``**values``.
    """
    target = host.component("generators", name).load()
    options = getattr(target, "Options", None)
    if options is not None:
        return cast(TripletGenerator, target(parse_options(options, values, f"options of triplet generator {name!r}")))
    try:
        return cast(TripletGenerator, target(**values))
    except TypeError as error:
        raise UsageError(f"triplet generator {name!r} does not take these options: {error}") from error


def generate(
    source: Iterable[ImageText],
    generator: TripletGenerator,
    out: Path,
    *,
    source_name: str = "",
    limit: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TripletReport:
    """Write the triplets of ``source``, of its first ``limit`` rows if given, to ``out`` and the record beside it.

    The generator gives its triplets in the order of the rows, though it may read ahead; where a row's triplets depend
    on that row alone, a resumed run writes the same bytes as an uninterrupted one. An id that comes up again, as where
    a picture has several captions, becomes ``id~2``, ``id~3`` and so on.

    Raises `MotaError` where ``out`` exists, or an unfinished run is in the way and ``resume`` is False or its settings
    were others, and `DataError` where no row gives a triplet, or the data set changed since.
    """
    refuse_existing(out)
    settings = _settings(generator, source_name, limit)
    with Journal(out, settings, resume) as journal:
        total = min(len(source), limit or len(source)) if isinstance(source, Sized) else limit
        rows = (progress or NullProgress()).track(islice(source, limit), "writing triplets", total)
        _skip_finished(rows, journal, source_name)
        _write(rows, generator, journal)
        if not journal.counts.triplets:
            raise _nothing(generator, source_name, journal.counts.rows)
    report = _report(settings, journal.counts, file_digest(journal.data))
    write_json(meta_path(out), asdict(report))
    journal.complete()
    return report


def _skip_finished(rows: Iterator[ImageText], journal: Journal, source_name: str) -> None:
    for number, image in enumerate(journal.finished(), 1):
        row = next(rows, None)
        if row is None or row.image.id != image:
            hint = f"remove {journal.data} and start anew"
            raise DataError(f"{source_name or 'the data set'} changed: its row {number} was {image!r}", hint)


def _write(rows: Iterator[ImageText], generator: TripletGenerator, journal: Journal) -> None:
    """Write what the generator gives; a row is finished when a triplet of a later one comes, or none comes any more."""
    waiting: deque[str] = deque()
    written = 0

    def handed_out() -> Iterator[ImageText]:
        for row in rows:
            waiting.append(row.image.id)
            yield row

    where = f"triplet generator {generator.name!r}"
    for triplet in generator.generate(handed_out()):
        if triplet.image not in waiting:
            about = f"a triplet about {triplet.image!r}, which is not among the rows it is at"
            raise MotaError(f"{where} gave {about}", "triplets must come in the order of the rows")
        while waiting[0] != triplet.image:
            journal.finish(waiting.popleft(), written)
            written = 0
        journal.write(triplet, f"{where}, {triplet.image}")
        written += 1
    while waiting:
        journal.finish(waiting.popleft(), written)
        written = 0


def _settings(generator: TripletGenerator, source_name: str, limit: int | None) -> dict[str, Any]:
    options = getattr(generator, "options", None)
    return {
        "generator": generator.name,
        "version": str(getattr(generator, "version", "")),
        "options": asdict(options) if is_dataclass(options) and not isinstance(options, type) else {},
        "source": source_name,
        "limit": limit,
    }


def _report(settings: Mapping[str, Any], counts: Counts, sha256: str) -> TripletReport:
    return TripletReport(
        **settings,
        seed=settings["options"].get("seed"),
        rows=counts.rows,
        skipped=counts.skipped,
        triplets=counts.triplets,
        modifications=dict(counts.modifications.most_common()),
        contexts=dict(counts.contexts.most_common()),
        sha256=sha256,
        mota=__version__,
    )


def _nothing(generator: TripletGenerator, source_name: str, rows: int) -> DataError:
    unread = int(getattr(generator, "skipped", rows))
    return DataError(
        f"no triplets: {rows} captions of {source_name or 'the data set'} were read, {unread} could not be parsed",
        f"does its caption column hold what generator {generator.name!r} understands?",
    )
