"""Triplets as a stream: complete files only, the same bytes after any interruption, honest counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from motacli.contracts import ImageRef, ImageText, Triplet
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import file_digest
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.schema import meta_path, read_triplets


def rows(count: int) -> list[ImageText]:
    return [ImageText(ImageRef(f"img{i}", Path(f"img{i}.png")), f"caption {i}") for i in range(count)]


class Counting:
    """Row ``i`` gives ``i % 3`` triplets, and ``ahead`` rows are read before the first is answered."""

    name = "counting"
    version = "counting-1"

    def __init__(self, ahead: int = 1, stop_at: str = "", error: BaseException | None = None) -> None:
        self.ahead, self.stop_at, self.error = ahead, stop_at, error
        self.asked: list[str] = []

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Triplet]:
        batch: list[ImageText] = []
        for row in rows:
            self.asked.append(row.image.id)
            batch.append(row)
            if len(batch) == self.ahead:
                yield from self.answer(batch)
                batch = []
        yield from self.answer(batch)

    def answer(self, batch: list[ImageText]) -> Iterator[Triplet]:
        for row in batch:
            for number in range(int(row.caption.split()[-1]) % 3):
                if f"{row.image.id}-{number}" == self.stop_at and self.error is not None:
                    raise self.error
                yield self.triplet(row, number)

    def triplet(self, row: ImageText, number: int) -> Triplet:
        kind = ("colour", "size")[number]
        name = f"{row.image.id}-{number}"
        return Triplet(name, row.image.id, row.caption, "is ö", "a target", kind, "keep", self.version)


def written(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.parent.iterdir()}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    out = tmp_path / "whole" / "t.jsonl"
    generate(rows(20), Counting(), out, source_name="data")
    return written(out)


def test_the_record_counts_what_the_file_holds(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    report = generate(rows(20), Counting(), out, source_name="data")
    triplets = read_triplets(out)
    assert report.triplets == len(triplets) == 19
    assert report.modifications == Counter(t.modification for t in triplets) and report.contexts == {"keep": 19}
    assert (report.rows, report.skipped, report.source, report.seed) == (20, 7, "data", None)
    assert json.loads(meta_path(out).read_text()) == asdict(report)
    assert report.sha256 == file_digest(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.jsonl", "t.meta.json"]


def test_limit_reads_so_many_rows(tmp_path: Path) -> None:
    generator = Counting()
    assert generate(rows(20), generator, tmp_path / "t.jsonl", limit=6).rows == 6
    assert generator.asked == [f"img{i}" for i in range(6)]


@pytest.mark.parametrize("ahead", [1, 4, 50])
def test_reading_ahead_changes_nothing(ahead: int, tmp_path: Path, whole: dict[str, bytes]) -> None:
    generate(rows(20), Counting(ahead), tmp_path / "new" / "t.jsonl", source_name="data")
    assert written(tmp_path / "new" / "t.jsonl") == whole


@pytest.mark.parametrize("ahead", [1, 4])
@pytest.mark.parametrize("stop_at", ["img2-0", "img5-1", "img19-0"])
@pytest.mark.parametrize("error", [MotaError("the server went away"), KeyboardInterrupt()])
def test_an_interrupted_run_goes_on(
    ahead: int, stop_at: str, error: BaseException, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "new" / "t.jsonl"
    with pytest.raises(type(error)):
        generate(rows(20), Counting(ahead, stop_at, error), out, source_name="data")
    assert not out.exists() and not meta_path(out).exists()
    again = Counting(ahead)
    generate(rows(20), again, out, source_name="data", resume=True)
    assert written(out) == whole
    # Done again are at most the unfinished row, those without triplets before it, and what was read ahead.
    assert again.asked[-1] == "img19" and 20 - len(again.asked) >= int(stop_at[3:].split("-")[0]) - ahead - 2


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_torn_file_goes_on(cut: int, tmp_path: Path, whole: dict[str, bytes]) -> None:
    """Whatever end of the two files the disk lost, and whichever of them lost more."""
    out = tmp_path / "new" / "t.jsonl"
    for name, other in ((".partial", 0), (".rows.partial", 0), (".partial", 300)):
        with pytest.raises(MotaError):
            generate(rows(20), Counting(1, "img17-1", MotaError("gone")), out, source_name="data")
        path = out.with_name(out.name + name)
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - cut - other])
        generate(rows(20), Counting(), out, source_name="data", resume=True)
        assert written(out) == whole
        for file in out.parent.iterdir():
            file.unlink()


KILLED = """
import os, sys
from pathlib import Path
from test_triplet_pipeline import Counting, rows
from motacli.triplets.pipeline import generate

class Dying(Counting):
    def triplet(self, row, number):
        if row.image.id == "img14":
            os.kill(os.getpid(), 9)
        return super().triplet(row, number)

generate(rows(20), Dying(), Path(sys.argv[1]), source_name="data")
"""


def test_kill_9_costs_one_row(tmp_path: Path, whole: dict[str, bytes]) -> None:
    out = tmp_path / "new" / "t.jsonl"
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    program = f"import sys; sys.path[:0] = {paths!r}\n{KILLED}"
    done = subprocess.run([sys.executable, "-c", program, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    again = Counting()
    generate(rows(20), again, out, source_name="data", resume=True)
    assert written(out) == whole and again.asked[0] in ("img12", "img13")


def test_an_unfinished_run_is_not_touched_unasked(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "img7-0", MotaError("gone")), out)
    before = written(out)
    with pytest.raises(MotaError, match="unfinished run") as caught:
        generate(rows(20), Counting(), out)
    assert "--resume" in caught.value.hint and written(out) == before


def test_other_settings_are_not_mixed_into_an_unfinished_run(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "img7-0", MotaError("gone")), out, source_name="data")
    before = written(out)
    with pytest.raises(MotaError, match="started with other options"):
        generate(rows(20), Counting(), out, source_name="other", resume=True)
    assert written(out) == before


def test_a_changed_data_set_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "img7-0", MotaError("gone")), out, source_name="data")
    changed = rows(20)
    del changed[3]
    with pytest.raises(DataError, match="data changed: its row 4 was 'img3'"):
        generate(changed, Counting(), out, source_name="data", resume=True)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    generate(rows(5), Counting(), out)
    before, generator = written(out), Counting()
    with pytest.raises(MotaError, match="exists already"):
        generate(rows(20), generator, out, resume=True)
    assert written(out) == before and generator.asked == []


def test_a_picture_with_several_captions(tmp_path: Path) -> None:
    several = [ImageText(ImageRef("img", Path("img.png")), f"caption {i}") for i in (1, 2, 1)]
    generate(several, Counting(), tmp_path / "t.jsonl")
    assert [t.id for t in read_triplets(tmp_path / "t.jsonl")] == ["img-0", "img-0~2", "img-1", "img-0~3"]


def test_no_triplets_at_all(tmp_path: Path, host: PluginHost) -> None:
    generator = load_generator(host, "rules", {})
    with pytest.raises(DataError, match="3 captions of data were read, 3 could not be parsed"):
        generate(rows(3), generator, tmp_path / "t.jsonl", source_name="data")
    assert list(tmp_path.iterdir()) == []


class Astray(Counting):
    def triplet(self, row: ImageText, number: int) -> Triplet:
        return Triplet("x", "elsewhere", "a", "b", "c", "d", "e", "f")


class Mute(Counting):
    def triplet(self, row: ImageText, number: int) -> Triplet:
        return Triplet(row.image.id, row.image.id, "a", "", "c", "d", "e", "f")


@pytest.mark.parametrize(
    ("generator", "said"), [(Astray(), "'elsewhere'"), (Mute(), "'counting', img1: 'relative_caption' is empty")]
)
def test_what_a_generator_does_wrong_is_said(generator: Counting, said: str, tmp_path: Path) -> None:
    with pytest.raises(MotaError, match=said):
        generate(rows(20), generator, tmp_path / "t.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_generators_are_made_with_their_options(host: PluginHost) -> None:
    assert load_generator(host, "rules", {"per-image": 3}).options.per_image == 3  # type: ignore[attr-defined]
    for values, said in (
        ({"per_imag": 3}, "per_image"),
        ({"per_image": "many"}, "integer"),
        ({"context": "x"}, "mixed"),
    ):
        with pytest.raises(UsageError, match=said):
            load_generator(host, "rules", values)


def test_a_generator_without_options_class_takes_keywords() -> None:
    from motacli import hookimpl

    module = ModuleType("other")
    module.register_triplet_generators = hookimpl(  # type: ignore[attr-defined]
        lambda register: register("counting", Counting)
    )
    other = load_plugins(entry_points=[], modules={"other": module}, only=[])
    assert load_generator(other, "counting", {"ahead": 4}).ahead == 4  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="'counting' does not take these options"):
        load_generator(other, "counting", {"behind": 4})
