"""Words that stand for several files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motacli.datasets import open_source
from motacli.datasets.patterns import expanded
from motacli.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """What a word gives among some empty files, relative to their folder."""
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b/c-1.csv", "b/c-2.csv", "b/d/c-3.csv", "odd{1,2}.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def names(*words: str) -> list[str]:
        found = expanded(",".join(str(tmp_path / word) for word in words))
        return [path.relative_to(tmp_path).as_posix() for path in found]

    return names


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a-{08..10}.tar"], ["a-08.tar", "a-09.tar", "a-10.tar"]),
        (["a-{10..08}.tar"], ["a-10.tar", "a-09.tar", "a-08.tar"]),
        (["b/{c-{1..2},d/c-3}.csv"], ["b/c-1.csv", "b/d/c-3.csv", "b/c-2.csv"]),
        (["{a-{08..09}.tar,b/c-1.csv}"], ["a-08.tar", "b/c-1.csv", "a-09.tar"]),
        (["{b,b/d}/c-*.csv"], ["b/c-1.csv", "b/c-2.csv", "b/d/c-3.csv"]),
        (["b/**/c-?.csv"], ["b/c-1.csv", "b/c-2.csv", "b/d/c-3.csv"]),
        (["b/c-[!1].csv"], ["b/c-2.csv"]),
        (["b/c-2.csv", "a-{08,10}.tar", "b/*.csv"], ["b/c-2.csv", "a-08.tar", "a-10.tar", "b/c-1.csv"]),
        (["odd{1,2}.csv"], ["odd{1,2}.csv"]),
        (["none.csv"], ["none.csv"]),
    ],
)
def test_patterns(words: list[str], wanted: list[str], files: Callable[..., list[str]]) -> None:
    assert files(*words) == wanted


def test_home(files: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a-08.tar") == (tmp_path / "a-08.tar",)
    assert expanded("~/a-{08,09}.tar,~/b/c-?.csv")[::3] == (tmp_path / "a-08.tar", tmp_path / "b/c-2.csv")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("a-{08..12}.tar", r"2 of 5 files are missing, the first is .*a-11\.tar"),
        ("a-{08,x}.tar", r"1 of 2 files are missing, the first is .*a-x\.tar"),
        ("z-*.tar", r"nothing matches .*z-\*\.tar"),
        ("a-08.tar,z-*.tar", r"nothing matches z-\*\.tar"),
        (",,", "names no file"),
    ],
)
def test_mistakes(word: str, said: str, files: Callable[..., list[str]], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        expanded(word if word == ",," else str(tmp_path / word))


def test_sources_of_several_kinds_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("image,caption\na.png,one\n")
    (tmp_path / "2.jsonl").write_text('{"image": "b.png", "caption": "two", "id": 7}\n')
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.png").touch()
    (tmp_path / "more" / "c.txt").write_text("three")
    source = open_source(f"{tmp_path}/1.csv,{tmp_path}/[2m]*")
    for _ in range(2):
        assert [(row.id, row.caption) for row in source] == [("a.png", "one"), ("7", "two"), ("c.png", "three")]
    assert not hasattr(source, "__len__")  # that of a table is not known
    assert len(open_source(f"{tmp_path}/more,{tmp_path}/more/")) == 1  # type: ignore[arg-type]
