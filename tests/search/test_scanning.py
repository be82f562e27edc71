"""Which pictures a folder has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from picture_folders import draw

from motacli.errors import DataError
from motacli.search.scanning import Seen, scan


def test_pictures_are_found_by_their_endings_in_the_order_of_their_ids(tmp_path: Path) -> None:
    names = ["b.JPG", "a/z.png", "a.webp", "a/é.gif", "A.tiff", "a-1.bmp", "a/b/c.jpeg"]
    for name in names:
        draw(tmp_path / name.replace(".JPG", ".jpg"), 1).rename(tmp_path / name)
    for other in ("notes.txt", "a/jpg", "c.svg"):
        (tmp_path / other).write_text("no picture")
    (tmp_path / "folder.jpg").mkdir()
    found = scan(tmp_path, tmp_path / "my.mota")
    assert list(found.pictures) == sorted(names)
    assert found.problems == [] and found.outside == 0
    stat = (tmp_path / "a/z.png").stat()
    assert found.pictures["a/z.png"] == Seen("a/z.png", stat.st_size, stat.st_mtime_ns)


def test_indexes_are_no_pictures(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "being built/x.png", 2)
    for content in ("index.json", "states/1.txt"):
        (tmp_path / "another" / content).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "another" / content).write_text("{}")
    draw(tmp_path / "another/thumbnails/t.png", 3)
    (tmp_path / "unfinished/building").mkdir(parents=True)
    (tmp_path / "unfinished/index.json.lock").write_text("")
    draw(tmp_path / "unfinished/thumbnails/t.png", 4)
    draw(tmp_path / "index.json/only by name.png", 5)
    assert list(scan(tmp_path, tmp_path / "being built").pictures) == ["a.png", "index.json/only by name.png"]


def test_links_inside_are_followed_and_links_out_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    draw(folder / "sub/a.png", 1)
    draw(tmp_path / "outside/b.png", 2)
    links = {
        "inside.png": "sub/a.png",
        "out.png": "../outside/b.png",
        "sub/out too.png": str(tmp_path / "outside/b.png"),
        "out folder": "../outside",
        "out.txt": "/etc/hostname",
        "circle": ".",
        "itself.png": "itself.png",
        "broken.png": "nowhere.png",
    }
    for name, target in links.items():
        os.symlink(target, folder / name)
    found = scan(folder, tmp_path / "my.mota")
    assert list(found.pictures) == ["inside.png", "sub/a.png"]
    assert found.outside == 3
    assert [problem.id for problem in found.problems] == ["itself.png"]


def test_a_folder_that_is_a_link_itself(tmp_path: Path) -> None:
    draw(tmp_path / "real/a.png", 1)
    os.symlink("real", tmp_path / "link")
    found = scan(tmp_path / "link", tmp_path / "my.mota")
    assert list(found.pictures) == ["a.png"] and found.outside == 0


def test_a_name_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    found = scan(tmp_path, tmp_path / "my.mota")
    assert found.pictures == {}
    assert [(problem.id, problem.reason) for problem in found.problems] == [(r"caf\udce9.png", "its name is not UTF-8")]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_read_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "shut/b.png", 1)
    (tmp_path / "shut").chmod(0)
    found = scan(tmp_path, tmp_path / "my.mota")
    (tmp_path / "shut").chmod(0o755)
    assert list(found.pictures) == ["a.png"]
    assert [problem.id for problem in found.problems] == ["shut"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder.*--folder NEW"):
        scan(tmp_path / "gone", tmp_path)
