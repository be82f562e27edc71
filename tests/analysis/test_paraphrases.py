"""Paraphrases from files and by template."""

from __future__ import annotations

from pathlib import Path

import pytest

from motacli.analysis.paraphrases import TEMPLATES, by_template, read_paraphrases
from motacli.errors import DataError


def test_templates_keep_the_caption() -> None:
    found = by_template(("is red", "has {braces}"))
    assert len(found) == len(TEMPLATES)
    assert all("is red" in one and "has {braces}" in two and len(one) > 6 for one, two in found)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('\ufeff{"id": "1", "captions": ["a", "b"]}\n\n{"id": "2", "captions": ["c"], "note": 1}\n', "utf-8")
    assert read_paraphrases(path) == {"1": ("a", "b"), "2": ("c",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no paraphrases in this file"),
        ("{", "p.jsonl:1: not valid JSON"),
        ("[1]", "p.jsonl:1: no 'id'"),
        ('{"id": 1, "captions": ["a"]}', "no 'id'"),
        ('{"id": "1", "captions": []}', "no 'id'"),
        ('{"id": "1", "captions": ["a", " "]}', "something else than text"),
        ('{"id": "1", "captions": ["a"]}\n{"id": "1", "captions": ["b"]}', "p.jsonl:2: the 'id' '1' is that of"),
    ],
)
def test_mistakes(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(DataError, match=said):
        read_paraphrases(tmp_path / "p.jsonl")
    with pytest.raises(DataError, match="no such file"):
        read_paraphrases(tmp_path / "nowhere.jsonl")
