"""What is said about folders that lack pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from motacli.benchmarks import images
from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.integrity import find_broken
from motacli.benchmarks.layout import Remark, layout_remarks
from motacli.errors import DataError
from motacli.tiny.mini import write_circo, write_cirr

COUNT = 24


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cirr")
    write_cirr(root, 1, "val", sets=2)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def remarks(root: Path) -> list[Remark]:
    units = CIRR().load(root)
    assert len(units[0].images) == COUNT
    return layout_remarks(root, units, find_broken(units))


def test_nothing_is_said_about_a_whole_folder(root: Path) -> None:
    assert remarks(root) == []


def test_a_half_full_folder_says_how_many_of_how_many(root: Path) -> None:
    for path in sorted((root / "dev").iterdir())[:3]:
        path.unlink()
    sorted((root / "dev").iterdir())[0].write_bytes(b"")  # broken, but not missing
    (root / "dev" / "readme.txt").touch()
    assert remarks(root) == [Remark(f"{root / 'dev'} holds {COUNT - 3} of {COUNT} pictures")]


def test_a_file_in_place_of_the_folder(root: Path) -> None:
    shutil.rmtree(root / "dev")
    (root / "dev").touch()
    (found,) = remarks(root)
    assert f"{root / 'dev'} is a file, and {COUNT} pictures belong into a folder" in found.what


def nested(root: Path) -> Path:
    (root / "dev").rename(root / "packed")
    (root / "dev").mkdir()
    return (root / "packed").rename(root / "dev" / "dev")


def renamed(root: Path) -> Path:
    return (root / "dev").rename(root / "images_dev")


def other_ending(root: Path) -> Path:
    for path in (root / "dev").iterdir():
        path.rename(path.with_suffix(".JPG"))
    return renamed(root)


def loose(root: Path) -> Path:
    for path in (root / "dev").iterdir():
        path.rename(root / path.name)
    (root / "dev").rmdir()
    return root


@pytest.mark.parametrize("move", [nested, renamed, other_ending, loose])
def test_pictures_that_lie_elsewhere_are_found(move: Callable[[Path], Path], root: Path) -> None:
    place = move(root)
    (found,) = remarks(root)
    assert f"{COUNT} in {place}" in found.what and found.hint == f"move them to {root / 'dev'}"


def test_pictures_in_two_folders_are_counted_in_each(root: Path) -> None:
    for number, path in enumerate(sorted((root / "dev").iterdir())):
        place = root / ("first" if number < 10 else "second")
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    (found,) = remarks(root)
    assert f"holds 0 of {COUNT}" in found.what
    assert found.what.endswith(f"lie 10 in {root / 'first'}, {COUNT - 10} in {root / 'second'}")


@pytest.mark.parametrize("archive", ["unlabeled2017.zip", "COCO2017_unlabeled/images.TAR.GZ"])
def test_an_archive_up_to_the_data_root_may_have_to_be_unpacked(archive: str, tmp_path: Path) -> None:
    root = tmp_path / "circo"
    write_circo(root, 1, "val", queries=1, others=2)
    shutil.rmtree(root / "COCO2017_unlabeled/unlabeled2017")
    (root / archive).touch()
    (tmp_path / "elses.zip").touch()  # above the data root
    units = CIRCO().load(root)
    (found,) = layout_remarks(root, units, find_broken(units))
    assert "unlabeled2017 does not exist, and" in found.what and found.what.endswith(f"; {root / archive} is there")
    assert found.hint.startswith("unpack it")


def test_folders_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image folder is an error that names it; one beside the pictures is passed over."""
    locked = root / "elses"
    locked.mkdir()
    real = images.os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder) == locked:
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(images.os, "scandir", scandir)
    place = renamed(root)
    (found,) = remarks(root)
    assert f"{COUNT} in {place}" in found.what
    place.rename(root / "dev")
    locked = root / "dev"
    with pytest.raises(DataError, match="dev: Permission denied"):
        CIRR().load(root)
