"""From one state of an index to the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from motacli.console import Progress
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.plugins import PluginHost
from motacli.provenance import provenance
from motacli.search.changes import Changes, Known, changes
from motacli.search.config import IndexConfig, write_config
from motacli.search.contents import Contents, Encoder
from motacli.search.digests import LOG, digested
from motacli.search.entries import Entry
from motacli.search.gathering import Pictures, picture_sizes
from motacli.search.given import Given
from motacli.search.index import Index
from motacli.search.metadata import Metadata, read_metadata
from motacli.search.scanning import Problem, Scan, Seen, scan
from motacli.search.states import drop_other_states, drop_work, features_of, read_problems, work_folder, write_state
from motacli.search.thumbnails import drop_thumbnails, make_thumbnails


@dataclass(frozen=True)
class IndexReport(Changes):
    """What a build found and did: ``rows`` pictures are in the index, ``encoded`` contents are new in it.

    The features of ``taken`` further ones came from files that were given. ``broken`` pictures could not be read,
    ``outside`` counts links that lead out of the folder and are left out, ``state`` is the number of the state that
    answers now.
    """

    encoded: int
    taken: int
    broken: int
    outside: int
    rows: int
    state: int
    seconds: float


@dataclass(frozen=True)
class Renewal:
    """The build of the state that follows that of ``config``; ``index`` is that one, None for the first.

    ``backbone`` is called if there is something to encode: what ``given`` has is taken from there.
    """

    path: Path
    config: IndexConfig
    index: Index | None
    host: PluginHost
    backbone: Callable[[], Backbone]
    batch_size: int
    workers: int
    progress: Progress
    rehash: bool = False
    given: Given = field(default_factory=Given)

    def run(self) -> IndexReport:
        """Look through the folder, encode what is new, and switch to the new state if there is anything new.

        Raises `DataError` where no picture is left.
        """
        begun, scanned_ns = time.monotonic(), time.time_ns()
        known, found = known_of(self.index), scan(self.folder, self.path)
        work = work_folder(self.path, self.config.state + 1)
        unsure = known.unsure(found.pictures.values(), self.rehash)
        fresh, unread = digested(unsure, self.folder, work / LOG, self.workers, self.progress)
        pictures = Pictures(found, known, self._digests(found, known, fresh, unread), self.rehash)
        contents = self._encoded(work, pictures.sources())
        metadata = self._metadata(known, found)
        entries = pictures.entries(contents, self._sizes(pictures, contents), metadata)
        problems = sorted([*unread, *pictures.problems(contents)], key=lambda problem: problem.id)
        self._refuse_none(entries, problems)
        config = self.config.changed(columns=metadata.columns, rows=len(entries), scanned_ns=scanned_ns, updated=now())
        if self.index is None or _is_new(known, entries, problems, metadata, self.index.config):
            config = config.changed(state=config.state + 1, versions=provenance()["versions"])
            self._write(config, entries, problems, known, contents)
        counts = changes(known, found.pictures, pictures.digests, [entry.id for entry in entries])
        report = IndexReport(
            **asdict(counts),
            encoded=len(contents.caches) - contents.taken,
            taken=contents.taken,
            broken=len(problems),
            outside=found.outside,
            rows=len(entries),
            state=config.state,
            seconds=round(time.monotonic() - begun, 3),
        )
        self._switch(config.changed(counts={k: v for k, v in asdict(report).items() if isinstance(v, int)}), entries)
        return report

    @property
    def folder(self) -> Path:
        """Where the pictures are."""
        return Path(self.config.folder)

    def _digests(
        self, found: Scan, known: Known, fresh: Mapping[str, str], unread: Sequence[Problem]
    ) -> dict[str, str]:
        """The digest of every picture that could be read."""
        lost = {problem.id for problem in unread}
        return {id: fresh.get(id) or known.digest(id) for id in found.pictures if id not in lost}

    def _encoded(self, work: Path, sources: Mapping[str, Seen]) -> Contents:
        given = self.given.contents(sources)
        left = {digest: seen for digest, seen in sources.items() if digest not in given.caches}
        if not left:
            return given
        backbone, dtype = self.backbone(), self.config.dtype
        encoder = Encoder(work, self.folder, backbone, dtype, self.batch_size, self.workers, self.progress)
        encoded = encoder.encode(left)
        return replace(encoded, caches={**given.caches, **encoded.caches}, taken=given.taken)

    def _sizes(self, pictures: Pictures, contents: Contents) -> dict[str, tuple[int, int]]:
        """Width and height of new contents, and their thumbnails."""
        new = {digest: seen for digest, seen in pictures.sources().items() if digest in contents.caches}
        if self.config.thumbnails:
            make_thumbnails(self.path, self.folder, new, self.config.thumbnails, self.workers, self.progress)
        return picture_sizes(self.folder, new, self.workers)

    def _metadata(self, known: Known, found: Scan) -> Metadata:
        if self.config.metadata is None:
            return Metadata(self.config.columns, {id: entry.metadata for id, entry in known.entries.items()})
        metadata = read_metadata(Path(self.config.metadata), self.folder)
        if unknown := [id for id in metadata.rows if id not in found.pictures]:
            self.progress.warn(
                f"{len(unknown)} of {len(metadata.rows)} rows of {self.config.metadata} are about no picture of the "
                f"folder, the first about {unknown[0]!r}"
            )
        return metadata

    def _refuse_none(self, entries: Sequence[Entry], problems: Sequence[Problem]) -> None:
        if not entries:
            why = f"; the first that could not be read: {problems[0].id}: {problems[0].reason}" if problems else ""
            raise DataError(f"no picture below {self.folder} to index{why}", "is it the right folder?")

    def _write(
        self,
        config: IndexConfig,
        entries: Sequence[Entry],
        problems: Sequence[Problem],
        known: Known,
        contents: Contents,
    ) -> None:
        rows = {entry.digest: entry.row for entry in known.entries.values()}
        features = features_of(entries, rows, self.index, contents, config.joint_dim)
        write_state(self.path, config, entries, problems, features, self.host, self.progress)

    def _switch(self, config: IndexConfig, entries: Sequence[Entry]) -> None:
        """Make the new state the one that answers; only then is anything removed."""
        write_config(self.path, config)
        drop_other_states(self.path, config, self.host, self.progress)
        if config.thumbnails:
            drop_thumbnails(self.path, {entry.digest for entry in entries})
        drop_work(self.path)


def known_of(index: Index | None) -> Known:
    """What the index knows; nothing before the first."""
    if index is None:
        return Known({}, {})
    entries = {entry.id: entry for entry in index.entries}
    return Known(entries, read_problems(index.state), index.config.scanned_ns)


def now() -> str:
    """The time, for the record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_new(
    known: Known, entries: Sequence[Entry], problems: Sequence[Problem], metadata: Metadata, config: IndexConfig
) -> bool:
    """Whether the state differs from the one that is there."""
    same = list(known.entries.values()) == list(entries) and list(known.problems.values()) == list(problems)
    return not same or metadata.columns != config.columns
