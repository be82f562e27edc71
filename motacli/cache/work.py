"""An unfinished cache: the folder ``<name>.partial`` with what it is to be, finished parts, and the list of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NoReturn

from motacli.cache.columns import Columns
from motacli.cache.computed import ROUNDING, unlike
from motacli.cache.fingerprints import difference, named
from motacli.cache.header import FILE
from motacli.cache.manifest import add_to_manifest, mend_manifest, read_manifest
from motacli.cache.parts import Part, read_columns, read_part, write_part
from motacli.errors import DataError
from motacli.runs import explained, partial_path, write_json

PLAN, MANIFEST, ROWS = "plan.json", "manifest.jsonl", "rows.sqlite"


@dataclass(frozen=True)
class Plan:
    """What an unfinished cache is to be: it goes on only as what it was begun as.

    ``source`` is the digest of all rows of the source; ``first`` is the first to encode, and ``rows`` how many are.
    ``base`` is the checksum of the finished cache that they are added to, ``computed`` what is not computed plainly.
    """

    backbone: str
    fingerprint: str
    joint_dim: int
    source: str
    first: int
    rows: int
    captions: bool
    dtype: str = "float32"
    layout: str = "single"
    shard: str = ""
    base: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 (first 16 digits) of all of it but what may differ between its rows."""
        computed = {name: value for name, value in self.computed.items() if name not in ROUNDING}
        told = {**asdict(self), "computed": computed}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def refuse_other(self, wanted: Plan, work: Path) -> None:
        """Raise `DataError`, saying why, where ``wanted`` is something else."""
        if self.fingerprint != wanted.fingerprint:
            raise DataError(
                f"{work} was begun with another backbone, {named(self.backbone, self.fingerprint)}, "
                f"not {named(wanted.backbone, wanted.fingerprint)}{difference(self.made_of, wanted.made_of)}",
                "give the --model, --pretrained, --precision and --preprocess of the first attempt, or remove it",
            )
        if said := unlike(self.computed, wanted.computed):
            raise DataError(f"{work} was begun to be computed in another way: {said}", "ask for the same, or remove it")
        for name in ("dtype", "layout", "shard"):
            if getattr(self, name) != getattr(wanted, name):
                said = f"{getattr(self, name) or 'none'}, not {getattr(wanted, name) or 'none'}"
                raise DataError(f"{work} was begun with another {name}: {said}", "ask for the same, or remove it")
        if (self.source, self.base, self.first, self.rows) != (wanted.source, wanted.base, wanted.first, wanted.rows):
            said = f"{self.rows} rows, not these {wanted.rows}" if self.rows != wanted.rows else f"{self.rows} rows"
            raise DataError(
                f"{work} was begun with other pictures or captions: {said}", "remove it, or give the data it is for"
            )


@dataclass(frozen=True)
class Work:
    """The folder of an unfinished cache called ``path``. Part files of a cache that stays in parts lie outside."""

    path: Path
    folder: Path
    plan: Plan

    @property
    def parts_folder(self) -> Path:
        """Where part files are."""
        return parts_folder(self.path) if self.plan.layout == "parts" else self.folder

    @classmethod
    def begin(cls, path: Path, plan: Plan) -> Work:
        """Begin a cache, or go on with one that was begun; what a crash left half written is cleared away."""
        folder = partial_path(path)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if (folder / PLAN).exists():
            begun = read_plan(folder)
            begun.refuse_other(plan, folder)
            plan = replace(plan, computed={**begun.computed, **plan.computed})
            if plan.computed != begun.computed:
                write_json(folder / PLAN, plan)
        else:
            write_json(folder / PLAN, plan)
        work = cls(path, folder, plan)
        with explained(work.parts_folder):
            work.parts_folder.mkdir(exist_ok=True)
        mend_manifest(folder / MANIFEST)
        work._drop_half_written()
        return work

    def parts(self) -> list[Part]:
        """The finished parts, each kind in the order of its rows."""
        return sorted(read_manifest(self.folder / MANIFEST), key=lambda part: (part.kind, part.start))

    def add(self, part: Part, columns: Columns) -> None:
        """Write a part, and count it once it has reached the disk."""
        add_to_manifest(self.folder / MANIFEST, self.written(part, columns))

    def written(self, part: Part, columns: Columns) -> Part:
        """The part with its file, which is written here; of a part without rows there is none."""
        if not part.rows:
            return part
        name = f"{self.plan.digest()}-{part.kind}-{part.start:010d}-{part.stop:010d}.h5"
        known = {**asdict(part), "broken": part.broken}
        return Part(**known | {"file": name, "sha256": write_part(self.parts_folder / name, columns)})

    def read(self, part: Part) -> Columns:
        """The columns of a finished part; `DataError` where they are damaged."""
        return read_part(self.parts_folder / part.file, part)

    def read_some(self, part: Part, names: Sequence[str]) -> Columns:
        """Columns of a finished part, as far as it has them, unchecked."""
        return read_columns(self.parts_folder / part.file, part, names)

    def remove(self) -> None:
        """Remove the folder: the cache is finished, or was given up."""
        remove_work(self.path)

    def _drop_half_written(self) -> None:
        """Remove files of this build that the manifest does not list."""
        listed = {part.file for part in self.parts()}
        with explained(self.parts_folder):
            for file in self.parts_folder.glob(f"{self.plan.digest()}-*"):
                if file.name not in listed:
                    file.unlink()


def parts_folder(path: Path) -> Path:
    """Where the parts of a cache are that stays in parts."""
    return path.with_name(f"{path.name}.parts")


def remove_work(path: Path) -> None:
    """Remove an unfinished cache; its plan goes last: what a kill leaves of it is still known for what it is."""
    folder = partial_path(path)
    if not folder.is_dir():
        return
    with explained(folder):
        for file in sorted(folder.iterdir(), key=lambda file: file.name == PLAN):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        folder.rmdir()


def read_plan(folder: Path) -> Plan:
    """The plan of an unfinished cache; `DataError` where there is none to be read."""
    try:
        with explained(folder):
            record = json.loads((folder / PLAN).read_text("utf-8"))
        return Plan(**{one.name: record[one.name] for one in fields(Plan) if one.name in record})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / PLAN} is damaged: {error}", "remove the folder and begin anew") from error


def say_unfinished(path: Path) -> NoReturn:
    """Raise what there is to say of a cache that does not exist: it may be under way."""
    folder = partial_path(path)
    if not (folder / PLAN).is_file():
        raise DataError(f"no such {FILE.what}: {path}", FILE.missing)
    plan = read_plan(folder)
    done = sum(part.stop - part.start for part in read_manifest(folder / MANIFEST) if part.kind == "images")
    raise DataError(
        f"{path} is unfinished: {done} of {plan.rows} pictures are encoded",
        "run the same `mota cache` again; `mota cache export --unfinished` writes what is there",
    )
