"""Triplets as a stream: complete files only, the same rows after any interruption, honest counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from motacli.console import NullProgress
from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Outcome, Rejection, Triplet
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import file_digest
from motacli.triplets import pipeline
from motacli.triplets.filters import FilterOptions, make_filters
from motacli.triplets.pipeline import generate, load_generator
from motacli.triplets.schema import meta_path, read_triplets, rejects_path

INFO = GeneratorInfo("counting", "none", "abc")


def rows(count: int) -> list[ImageText]:
    return [ImageText(ImageRef(f"img{i}", Path(f"img{i}.png")), f"caption {i}", f"row{i}") for i in range(count)]


def triplet(row: ImageText, number: int, **changes: Any) -> Triplet:
    values = {
        "id": f"{row.id}#{number}",
        "source_id": row.id,
        "image": row.image.id,
        "reference_caption": row.caption,
        "relative_caption": "is ö",
        "target_caption": "a target",
        "modification_type": ("colour", "size")[number],
        "context": "keep",
        "generator": INFO,
    }
    return Triplet(**(values | changes))


class Counting:
    """Row ``i`` gives ``i % 3`` triplets, a rejection where that is 0; ``ahead`` rows are read before an answer."""

    name = "counting"
    info = INFO

    def __init__(self, ahead: int = 1, stop_at: str = "", error: BaseException | None = None) -> None:
        self.ahead, self.stop_at, self.error = ahead, stop_at, error
        self.asked: list[str] = []

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        batch: list[ImageText] = []
        for row in rows:
            self.asked.append(row.id)
            batch.append(row)
            if len(batch) == self.ahead:
                yield from map(self.outcome, reversed(batch))
                batch = []
        yield from map(self.outcome, batch)

    def outcome(self, row: ImageText) -> Outcome:
        if row.id == self.stop_at and self.error is not None:
            raise self.error
        count = int(row.caption.split()[-1]) % 3
        found = tuple(triplet(row, number) for number in range(count))
        refused = () if count else (Rejection("divisible", "by three", row.caption),)
        return Outcome(row, found, refused, requests=1, prompt_tokens=10, completion_tokens=2)


def files(out: Path) -> set[str]:
    return {path.name for path in out.parent.iterdir()}


def content(out: Path) -> dict[str, Any]:
    """All that was written, whatever the order of the rows."""
    meta = json.loads(meta_path(out).read_text())
    del meta["sha256"]
    lines = {path.name: sorted(path.read_bytes().splitlines()) for path in (out, rejects_path(out))}
    return {"meta": meta, **lines}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    out = tmp_path / "whole" / "t.jsonl"
    generate(rows(20), Counting(), out, source_name="data")
    return content(out)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "GROUP_ROWS", 3)


def test_the_record_counts_what_the_files_hold(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    report = generate(rows(20), Counting(), out, source_name="data")
    triplets = read_triplets(out)
    assert report.triplets == len(triplets) == 19
    assert report.modification_types == Counter(t.modification_type for t in triplets)
    assert report.contexts == {"keep": 19} and report.rejected == {"divisible": 7}
    assert (report.rows, report.empty_rows, report.source, report.seed) == (20, 7, "data", None)
    assert (report.requests, report.prompt_tokens, report.completion_tokens) == (20, 200, 40)
    assert report.generator == asdict(INFO) and report.sha256 == file_digest(out)
    assert json.loads(meta_path(out).read_text()) == {**asdict(report), "filters": []}
    assert files(out) == {"t.jsonl", "t.rejects.jsonl", "t.meta.json"}


def test_a_reject_says_whose_it_is_and_why(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    generate(rows(4), Counting(), out)
    first = json.loads(rejects_path(out).read_text().splitlines()[0])
    assert first == {
        "source_id": "row0",
        "image": "img0",
        "caption": "caption 0",
        "reason": "divisible",
        "detail": "by three",
        "raw": "caption 0",
        "generator": asdict(INFO),
    }


def test_limit_reads_so_many_rows(tmp_path: Path) -> None:
    generator = Counting()
    assert generate(rows(20), generator, tmp_path / "t.jsonl", limit=6).rows == 6
    assert generator.asked == [f"row{i}" for i in range(6)]


@pytest.mark.parametrize("ahead", [1, 4, 50])
def test_answers_may_come_in_any_order(ahead: int, tmp_path: Path, whole: dict[str, Any]) -> None:
    out = tmp_path / "new" / "t.jsonl"
    generate(rows(20), Counting(ahead), out, source_name="data")
    assert content(out) == whole


@pytest.mark.parametrize("ahead", [1, 4])
@pytest.mark.parametrize("stop_at", ["row0", "row2", "row5", "row19"])
@pytest.mark.parametrize("error", [MotaError("the server went away"), KeyboardInterrupt()])
def test_an_interrupted_run_goes_on(
    ahead: int, stop_at: str, error: BaseException, tmp_path: Path, whole: dict[str, Any]
) -> None:
    out = tmp_path / "new" / "t.jsonl"
    first = Counting(ahead, stop_at, error)
    with pytest.raises(type(error)):
        generate(rows(20), first, out, source_name="data")
    assert not out.exists() and not meta_path(out).exists() and not rejects_path(out).exists()
    again = Counting(ahead)
    generate(rows(20), again, out, source_name="data")
    assert content(out) == whole and files(out) == {"t.jsonl", "t.rejects.jsonl", "t.meta.json"}
    # What came before the error was written although its group was not full: only unanswered rows are asked again.
    assert len(first.asked) + len(again.asked) <= 20 + ahead


@pytest.mark.parametrize("torn", [".partial", ".rows.partial"])
@pytest.mark.parametrize("cut", [*range(0, 400, 37), 10_000])
def test_a_torn_file_goes_on(cut: int, torn: str, tmp_path: Path, whole: dict[str, Any]) -> None:
    """Whatever end of a file the disk lost."""
    out = tmp_path / "new" / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "row17", MotaError("gone")), out, source_name="data")
    for path in (out.with_name(out.name + torn), out.with_name("t.rejects.jsonl.partial")):
        path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - cut)])
    generate(rows(20), Counting(), out, source_name="data")
    assert content(out) == whole


KILLED = """
import os, sys
from pathlib import Path
from test_triplet_pipeline import Counting, rows
from motacli.triplets import pipeline

pipeline.GROUP_ROWS = 3

class Dying(Counting):
    def outcome(self, row):
        if row.id == "row14":
            os.kill(os.getpid(), 9)
        return super().outcome(row)

pipeline.generate(rows(20), Dying(), Path(sys.argv[1]), source_name="data")
"""


def test_kill_9_costs_a_group_at_most(tmp_path: Path, whole: dict[str, Any]) -> None:
    out = tmp_path / "new" / "t.jsonl"
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    program = f"import sys; sys.path[:0] = {paths!r}\n{KILLED}"
    done = subprocess.run([sys.executable, "-c", program, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    again = Counting()
    generate(rows(20), again, out, source_name="data")
    assert content(out) == whole and again.asked[0] == "row12"


def test_a_run_that_is_complete_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    report = generate(rows(5), Counting(), out, source_name="data")
    before, again = out.read_bytes(), Counting()
    found = generate(rows(5), again, out, source_name="data")
    assert found.sha256 == report.sha256 and again.asked == [] and out.read_bytes() == before


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    generate(rows(5), Counting(), out, source_name="data")
    generator = Counting()
    with pytest.raises(MotaError, match="exists already"):
        generate(rows(5), generator, out, source_name="other")
    with pytest.raises(MotaError, match="exists already"):
        generate(rows(5), generator, out, source_name="data", resume=False)
    out.write_text(out.read_text() + "\n")
    with pytest.raises(MotaError, match="exists already"):
        generate(rows(5), generator, out, source_name="data")
    assert generator.asked == []


def test_an_unfinished_run_is_not_touched_where_that_is_not_wanted(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "row7", MotaError("gone")), out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(MotaError, match="unfinished run") as caught:
        generate(rows(20), Counting(), out, resume=False)
    assert "--resume" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    out, second = tmp_path / "t.jsonl", Counting()

    class Nested(Counting):
        def outcome(self, row: ImageText) -> Outcome:
            if row.id == "row9":
                with pytest.raises(MotaError, match="another process is writing"):
                    generate(rows(20), second, out, source_name="data")
            return super().outcome(row)

    assert generate(rows(20), Nested(), out, source_name="data").rows == 20
    assert second.asked == [] and len(read_triplets(out)) == 19


def test_other_settings_are_not_mixed_into_an_unfinished_run(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "row7", MotaError("gone")), out, source_name="data")
    with pytest.raises(MotaError, match="started with other options"):
        generate(rows(20), Counting(), out, source_name="other")
    with pytest.raises(MotaError, match="started with other options"):
        generate(rows(20), Counting(), out, source_name="data", filters=make_filters(FilterOptions(min_words=2)))


def test_a_row_that_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(20), Counting(1, "row7", MotaError("gone")), out, source_name="data")
    changed = rows(20)
    changed[3] = ImageText(changed[3].image, "caption 33", changed[3].id)
    with pytest.raises(DataError, match="row 'row3' of the data set changed"):
        generate(changed, Counting(), out, source_name="data")


def test_rows_that_are_gone_or_new_or_elsewhere_are_no_error(tmp_path: Path, whole: dict[str, Any]) -> None:
    class Told(NullProgress):
        said = ""

        def warn(self, message: str) -> None:
            self.said += message

    out = tmp_path / "new" / "t.jsonl"
    with pytest.raises(MotaError):
        generate(rows(19), Counting(1, "row7", MotaError("gone")), out, source_name="data")
    told = Told()
    generate(list(reversed(rows(20)[1:])), Counting(), out, source_name="data", progress=told)
    assert content(out) == whole and told.said.startswith("1 rows of the unfinished run")


def test_a_pictures_several_captions_are_several_rows(tmp_path: Path) -> None:
    several = [ImageText(ImageRef("img", Path("img.png")), f"caption {i}") for i in (1, 2, 1)]
    out = tmp_path / "t.jsonl"
    generate(several, Counting(), out)
    assert sorted(t.id for t in read_triplets(out)) == ["img#0", "img~2#0", "img~2#1", "img~3#0"]


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    class Silent(Counting):
        def outcome(self, row: ImageText) -> Outcome:
            return Outcome(row) if row.id == "row1" else super().outcome(row)

    out = tmp_path / "t.jsonl"
    report = generate(rows(6), Silent(), out)
    lines = out.read_text().splitlines() + rejects_path(out).read_text().splitlines()
    assert {json.loads(line)["source_id"] for line in lines} == {f"row{i}" for i in range(6)}
    assert report.rejected == {"divisible": 2, "nothing": 1}


@pytest.mark.parametrize("where", ["caption", "id", "image"])
def test_a_row_that_cannot_be_written_is_refused(where: str, tmp_path: Path) -> None:
    half = "half \ud800 4"
    values = {"caption": "caption 4", "id": "row4", "image": "img4"} | {where: half}
    odd = ImageText(ImageRef(values["image"], Path("x")), values["caption"], values["id"])
    out = tmp_path / "t.jsonl"
    report = generate([*rows(4), odd], Counting(), out)
    assert report.rejected == {"divisible": 2, "not valid Unicode": 1} and report.rows == 5
    assert "\\ud800" in rejects_path(out).read_text()


def test_filters_turn_triplets_into_rejections(tmp_path: Path) -> None:
    banned = tmp_path / "banned.txt"
    banned.write_text("caption 4\ncaption 5\n")
    out = tmp_path / "new" / "t.jsonl"
    report = generate(rows(20), Counting(), out, filters=make_filters(FilterOptions(banned=str(banned))))
    assert report.rejected == {"divisible": 7, "banned content": 3} and report.triplets == 16
    refused = [json.loads(line) for line in rejects_path(out).read_text().splitlines()]
    raw = [json.loads(one["raw"]) for one in refused if one["reason"] == "banned content"]
    assert sorted(one["id"] for one in raw) == ["row4#0", "row5#0", "row5#1"]


def test_no_triplets_at_all_leaves_the_rejects_and_says_why(tmp_path: Path) -> None:
    only = [row for row in rows(20) if int(row.caption.split()[-1]) % 3 == 0]
    out = tmp_path / "t.jsonl"
    with pytest.raises(DataError, match="7 rows were read, and 7 refusals were for 'divisible'") as caught:
        generate(only, Counting(), out, source_name="data")
    assert str(rejects_path(out)) in caught.value.hint and files(out) == {"t.rejects.jsonl"}
    assert generate(rows(5), Counting(), out, source_name="data").triplets == 4


def test_no_rows_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows in data"):
        generate([], Counting(), tmp_path / "t.jsonl", source_name="data")
    assert list(tmp_path.iterdir()) == []


class Astray(Counting):
    def outcome(self, row: ImageText) -> Outcome:
        return Outcome(row, (triplet(row, 0, source_id="elsewhere"),))


class Mute(Counting):
    def outcome(self, row: ImageText) -> Outcome:
        return Outcome(row, (triplet(row, 0, relative_caption=""),))


class Twice(Counting):
    def outcome(self, row: ImageText) -> Outcome:
        return Outcome(row, (triplet(row, 0), triplet(row, 0)))


class Unasked(Counting):
    def outcome(self, row: ImageText) -> Outcome:
        return Outcome(rows(30)[29], (triplet(rows(30)[29], 0),))


class Repeating(Counting):
    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        for outcome in super().generate(rows):
            yield outcome
            yield outcome


class Forgetful(Counting):
    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        yield from (outcome for outcome in super().generate(rows) if outcome.row.id != "row4")


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        (Astray(), "a triplet of 'elsewhere'"),
        (Mute(), "'counting', row0: 'relative_caption' is empty"),
        (Twice(), "two triplets of one id"),
        (Unasked(), "an outcome of 'row29', which it was not asked about"),
        (Repeating(), "has answered before"),
        (Forgetful(), "said nothing of 1 rows, such as 'row4'"),
    ],
)
def test_what_a_generator_does_wrong_is_said(generator: Counting, said: str, tmp_path: Path) -> None:
    with pytest.raises(MotaError, match=said):
        generate(rows(20), generator, tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()


def test_a_row_whose_picture_changed_is_another_where_pictures_are_looked_at(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(b"one")
    here = [ImageText(ImageRef(f"p{i}", picture), f"caption {i}") for i in range(5)]

    class Looking(Counting):
        reads_images = True

    out = tmp_path / "new" / "t.jsonl"
    with pytest.raises(MotaError):
        generate(here, Looking(1, "p3", MotaError("gone")), out)
    picture.write_bytes(b"two")
    with pytest.raises(DataError, match="changed"):
        generate(here, Looking(), out)


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
