"""Building an index and bringing it up to date: what is encoded, what is kept, what answers."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_folders import counting, draw, draw_all

from motacli.cache.holding import held
from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.errors import DataError, MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.search import building, contents
from motacli.search.building import index_folder, move_folder, update_index
from motacli.search.index import Index
from motacli.search.states import read_problems

COUNTS = ("kept", "touched", "changed", "moved", "added", "deleted", "encoded", "broken")


class Case:
    """A folder of 12 pictures and its index."""

    def __init__(self, tmp_path: Path, host: PluginHost, backbone: Any) -> None:
        self.folder, self.path, self.host, self.backbone = tmp_path / "pictures", tmp_path / "my.mota", host, backbone
        draw_all(self.folder, 12)
        long_ago = time.time_ns() - 3600 * 10**9
        for file in self.folder.rglob("*.jpg"):
            os.utime(file, ns=(long_ago, long_ago))

    def picture(self, number: int) -> Path:
        return self.folder / f"00/{number:05d}.jpg"

    def build(self, **options: Any) -> dict[str, int]:
        return self._counted(lambda: index_folder(self.path, self.folder, host=self.host, **options))

    def update(self, **options: Any) -> dict[str, int]:
        return self._counted(lambda: update_index(self.path, host=self.host, **options))

    def open(self) -> Index:
        return Index.open(self.path)

    def _counted(self, run: Any) -> dict[str, int]:
        """The counts of the report that are not 0; what it says was encoded is what the backbone did encode."""
        with counting(self.backbone) as rows:
            report = run()
        with self.open() as index:
            assert report.encoded == sum(rows)
            assert report.rows == len(index.entries) == len(index.vectors)
            assert report.rows == report.kept + report.touched + report.changed + report.moved + report.added
            assert report.state == index.generation and index.config.counts["rows"] == report.rows
        return {name: value for name, value in asdict(report).items() if name in COUNTS and value}


@pytest.fixture
def case(tmp_path: Path, host: PluginHost, tiny_backbone: Any) -> Case:
    return Case(tmp_path, host, tiny_backbone)


def features(case: Case, file: Path) -> np.ndarray:
    pixels = case.backbone.preprocess(open_image(ImageRef(file.name, file)))[None]
    found: np.ndarray = case.backbone.encode_image(pixels)[0].numpy()
    return found


def require_right(case: Case) -> None:
    """Every picture of the folder has its own feature and stands in the index as it is."""
    with case.open() as index:
        files = {file.relative_to(case.folder).as_posix(): file for file in case.folder.rglob("*.jpg")}
        assert [entry.id for entry in index.entries] == sorted(files)
        for entry in index.entries:
            stat = files[entry.id].stat()
            assert (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            stored = index.vectors.stored[entry.row].astype(np.float32)
            np.testing.assert_allclose(stored, features(case, files[entry.id]), rtol=1e-3, atol=1e-3)
        lengths = np.linalg.norm(index.vectors.stored.astype(np.float32), axis=1)
        np.testing.assert_array_equal(index.vectors.norms, lengths)


def test_a_folder_is_indexed(case: Case) -> None:
    assert case.build() == {"added": 12, "encoded": 12}
    require_right(case)
    with case.open() as index:
        assert index.vectors.stored.dtype == np.float16
        assert (index.entries.get([0])[0].width, index.entries.get([0])[0].height) == (20, 16)
        assert index.config.folder == str(case.folder) and index.config.backbone == "tiny"
    assert sorted(file.name for file in case.path.iterdir()) == ["index.json", "states"]


def test_nothing_new_makes_no_new_state_and_opens_no_file(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.build()
    monkeypatch.setattr("motacli.search.digests.file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert case.update() == {"kept": 12}
    assert case.open().generation == 1


def test_every_kind_of_change_is_told_and_only_new_contents_are_encoded(case: Case) -> None:
    case.build()
    before = {entry.digest: row for entry, row in zip(case.open().entries, case.open().vectors.stored[:], strict=True)}
    draw(case.picture(0), 100)  # changed
    case.picture(1).unlink()  # deleted
    (case.folder / "new place").mkdir()
    case.picture(2).rename(case.folder / "new place/2.jpg")  # moved
    os.utime(case.picture(3))  # touched
    shutil.copy(case.picture(4), case.folder / "copy.jpg")  # added, and nothing new in it
    draw(case.folder / "added.jpg", 101)
    shutil.copy(case.folder / "added.jpg", case.folder / "added twice.jpg")
    shutil.copy(case.picture(6), case.picture(5))  # changed to something that is known
    counts = {"kept": 7, "touched": 1, "changed": 2, "moved": 1, "added": 3, "deleted": 1, "encoded": 2}
    assert case.update() == counts
    require_right(case)
    for entry, row in zip(case.open().entries, case.open().vectors.stored, strict=True):
        if entry.digest in before:
            np.testing.assert_array_equal(row, before[entry.digest])
    assert [folder.name for folder in (case.path / "states").iterdir()] == ["000002"]


def test_two_moved_copies_and_a_third(case: Case) -> None:
    shutil.copy(case.picture(0), case.folder / "twin.jpg")
    case.build()
    for number, old in enumerate([case.picture(0), case.folder / "twin.jpg"]):
        old.rename(case.folder / f"moved {number}.jpg")
    shutil.copy(case.folder / "moved 0.jpg", case.folder / "third.jpg")
    assert case.update() == {"kept": 11, "moved": 2, "added": 1}


def test_same_size_and_time_is_seen_by_rehash_alone(case: Case) -> None:
    for number in (0, 1):
        draw(case.picture(number).with_suffix(".bmp"), number).rename(case.picture(number))
        os.utime(case.picture(number), ns=(10**18, 10**18))
    case.build()
    shutil.copyfile(case.picture(1), case.picture(0))
    os.utime(case.picture(0), ns=(10**18, 10**18))
    assert case.update() == {"kept": 12}
    assert case.update(rehash=True) == {"kept": 11, "changed": 1}
    require_right(case)


def test_what_changed_in_the_moment_it_was_indexed_is_looked_into_again(case: Case) -> None:
    draw(case.picture(0).with_suffix(".bmp"), 0).rename(case.picture(0))
    case.build()
    time_ns = case.picture(0).stat().st_mtime_ns  # as coarse clocks have it: another content, the same time
    draw(case.picture(0).with_suffix(".bmp"), 50).rename(case.picture(0))
    os.utime(case.picture(0), ns=(time_ns, time_ns))
    assert case.update() == {"kept": 11, "changed": 1, "encoded": 1}


def test_broken_pictures_are_recorded_and_tried_again_when_they_change(case: Case) -> None:
    good = case.picture(0).read_bytes()
    case.picture(0).write_bytes(good[:300])
    case.picture(1).write_bytes(b"")
    assert case.build() == {"added": 10, "encoded": 10, "broken": 2}
    problems = read_problems(case.open().state)
    assert list(problems) == ["00/00000.jpg", "00/00001.jpg"]
    assert "truncated" in problems["00/00000.jpg"].reason.lower() and "empty" in problems["00/00001.jpg"].reason
    long_ago = time.time_ns() - 3600 * 10**9
    for number in (0, 1):
        os.utime(case.picture(number), ns=(long_ago, long_ago))
    assert case.update() == {"kept": 10, "broken": 2}
    assert case.update() == {"kept": 10, "broken": 2}
    case.picture(0).write_bytes(good)
    assert case.update() == {"kept": 10, "added": 1, "encoded": 1, "broken": 1}
    case.picture(2).write_bytes(b"no picture any more")
    assert case.update() == {"kept": 10, "broken": 2}
    assert [entry.id[-5] for entry in case.open().entries] == list("0345678901")


def test_only_broken_new_pictures(case: Case) -> None:
    case.build()
    (case.folder / "a.jpg").write_bytes(b"broken")
    assert case.update() == {"kept": 12, "broken": 1}
    assert not (case.path / "building").exists()


def test_a_picture_that_changes_while_it_is_encoded_is_left_for_the_next_time(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = contents.build_cache

    def disturbed(*args: Any, **options: Any) -> Any:
        draw(case.picture(3), 77)
        return built(*args, **options)

    monkeypatch.setattr(contents, "build_cache", disturbed)
    report = index_folder(case.path, case.folder, host=case.host)
    assert (report.rows, report.broken) == (11, 1)
    monkeypatch.undo()
    assert case.update() == {"kept": 11, "added": 1, "encoded": 1}
    require_right(case)


def test_no_picture_left_is_an_error_and_the_index_answers_as_before(case: Case) -> None:
    case.build()
    shutil.move(case.folder, case.folder.with_name("away"))
    with pytest.raises(DataError, match="no such folder"):
        case.update()
    case.folder.mkdir()
    with pytest.raises(DataError, match="no picture below"):
        case.update()
    assert len(case.open().entries) == 12
    case.folder.rmdir()
    shutil.move(case.folder.with_name("away"), case.folder)
    assert case.update() == {"kept": 12}


def test_pictures_that_were_moved_as_a_whole(case: Case) -> None:
    case.build()
    case.folder = case.folder.rename(case.folder.with_name("elsewhere"))
    move_folder(case.path, case.folder)
    assert case.update() == {"kept": 12}
    assert case.open().picture(case.open().entries.get([0])[0]).is_file()
    with pytest.raises(UsageError, match="no such folder"):
        move_folder(case.path, case.folder / "nowhere")


def test_the_index_may_lie_among_the_pictures(case: Case) -> None:
    case.path = case.folder / "my.mota"
    case.build(thumbnails=8)
    assert case.update() == {"kept": 12}


def test_thumbnails_follow_contents(case: Case) -> None:
    case.build(thumbnails=8)

    def thumbnails() -> dict[str, tuple[int, int]]:
        from PIL import Image

        return {file.stem: Image.open(file).size for file in case.path.glob("thumbnails/*/*.webp")}

    with case.open() as index:
        assert thumbnails() == {entry.digest: (8, 6) for entry in index.entries}
    draw(case.picture(0), 100, width=16, height=20)
    case.picture(1).unlink()
    case.update()
    with case.open() as index:
        assert set(thumbnails()) == {entry.digest for entry in index.entries}
        first = index.entries.get([0])[0]
        assert index.thumbnail(first) == case.path / f"thumbnails/{first.digest[:2]}/{first.digest}.webp"
        assert thumbnails()[first.digest] == (6, 8)


def test_metadata_is_read_again_and_kept_when_the_file_is_gone(case: Case, tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    table.write_text("path,price\n00/00000.jpg,3\nnowhere.jpg,4\n")
    case.build(metadata=table)
    first = case.open().entries.get([0])[0]
    assert first.metadata == {"price": 3.0}
    table.write_text("path,price,colour\n00/00000.jpg,5,red\n")
    assert case.update() == {"kept": 12}
    assert case.open().entries.get([0, 1])[0].metadata == {"price": 5.0, "colour": "red"}
    assert case.open().entries.get([0, 1])[1].metadata == {"price": None, "colour": None}
    table.unlink()
    draw(case.folder / "a.jpg", 60)
    assert case.update() == {"kept": 12, "added": 1, "encoded": 1}
    assert case.open().entries.find("00/00000.jpg").metadata == {"price": 5.0, "colour": "red"}  # type: ignore[union-attr]
    other = tmp_path / "other.csv"
    other.write_text("path,size\na.jpg,M\n")
    assert case.update(metadata=other) == {"kept": 13}
    assert case.open().config.columns == {"size": "text"}
    assert case.open().entries.find("a.jpg").metadata == {"size": "M"}  # type: ignore[union-attr]


def test_the_features_may_be_float32(case: Case) -> None:
    case.build(dtype="float32")
    with case.open() as index:
        assert index.vectors.stored.dtype == np.float32
        np.testing.assert_allclose(index.vectors.stored[3], features(case, case.picture(3)), atol=1e-5)


def test_a_build_that_failed_goes_on_where_it_was(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("motacli.search.states.write_entries", full)
    with counting(case.backbone) as rows, pytest.raises(MotaError, match="no space left"):
        index_folder(case.path, case.folder, host=case.host)
    assert sum(rows) == 12
    with pytest.raises(DataError, match="unfinished index"):
        case.open()
    monkeypatch.undo()
    with counting(case.backbone) as rows:
        assert index_folder(case.path, case.folder, host=case.host).encoded == 12
    assert sum(rows) == 0
    require_right(case)


def test_nothing_is_removed_before_the_switch(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.build(thumbnails=8)
    draw(case.picture(0), 100)
    case.picture(1).unlink()

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("motacli.search.renewing.write_config", killed)
    with pytest.raises(KeyboardInterrupt):
        case.update()
    monkeypatch.undo()
    with case.open() as index:
        assert index.generation == 1 and len(index.entries) == 12
        assert all(index.thumbnail(entry) for entry in index.entries)
    with counting(case.backbone) as rows:
        assert update_index(case.path, host=case.host).encoded == 1
    assert rows == []
    require_right(case)


def test_what_was_encoded_is_kept_when_the_folder_changes_before_the_build_goes_on(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motacli.search.renewing.write_state", lambda *_: (_ for _ in ()).throw(OSError("stop")))
    for number in range(3):  # every time something else is there
        draw(case.folder / "extra.jpg", 200 + number)
        draw(case.folder / f"extra {number}.jpg", 300 + number)
        with counting(case.backbone) as rows, pytest.raises(OSError, match="stop"):
            index_folder(case.path, case.folder, host=case.host)
        assert sum(rows) == (14 if number == 0 else 2)
    monkeypatch.undo()
    case.picture(0).rename(case.folder / "elsewhere.jpg")  # its content is known, and where it was read is gone
    with counting(case.backbone) as rows:
        report = index_folder(case.path, case.folder, host=case.host)
    assert (sum(rows), report.rows, report.encoded) == (1, 16, 16)
    require_right(case)


def test_the_same_command_with_another_model_is_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motacli.search.renewing.write_state", lambda *_: (_ for _ in ()).throw(OSError("stop")))
    with pytest.raises(OSError, match="stop"):
        index_folder(case.path, case.folder, host=case.host)
    monkeypatch.undo()
    other = building.BackboneChoice(preprocess="targetpad")
    with pytest.raises(DataError, match=r"another backbone.*preprocess"):
        index_folder(case.path, case.folder, host=case.host, choice=other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"store": "exakt"}, "did you mean 'exact'"),
        ({"store_options": {"blocks": 3}}, "unknown option 'blocks'"),
        ({"prompt": "a photo of {caption}"}, "needs one"),
        ({"prompt": "{caption} of $"}, "has to name"),
        ({"adapter": Path("nowhere")}, "name the --inversion"),
        ({"inversion": "lincr"}, "did you mean 'lincir'"),
        ({"metadata": Path("nowhere.csv")}, "nowhere.csv"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_encoded(case: Case, options: Any, said: str) -> None:
    with counting(case.backbone) as rows, pytest.raises(MotaError) as error:
        index_folder(case.path, case.folder, host=case.host, **options)
    assert said in str(error.value) and not rows


def test_what_is_in_the_way(case: Case) -> None:
    case.path.mkdir()
    (case.path / "mine.txt").write_text("precious")
    with pytest.raises(MotaError, match="exists already"):
        case.build()
    assert (case.path / "mine.txt").read_text() == "precious"
    (case.path / "mine.txt").unlink()
    case.build()
    with pytest.raises(MotaError, match=r"is an index already.*--update"):
        case.build()


def test_one_builder_at_a_time(case: Case) -> None:
    case.build()
    with held(case.path / "index.json"), pytest.raises(MotaError, match="is being built by process"):
        case.update()
    assert case.update() == {"kept": 12}


def test_an_update_refuses_another_backbone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.build()
    draw(case.picture(0), 100)
    monkeypatch.setattr(type(case.backbone), "fingerprint", lambda self: "0123456789abcdef")
    with pytest.raises(DataError, match="come from another backbone, 'tiny'"):
        case.update()
    assert case.open().generation == 1
