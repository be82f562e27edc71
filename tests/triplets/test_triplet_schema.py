"""Triplet files: what is written comes back, and every mistake in one is found where it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Rejection, Triplet
from motacli.errors import DataError, MotaError
from motacli.triplets.schema import (
    KEYS,
    check_triplet,
    line_of,
    meta_path,
    read_triplets,
    reject_line,
    rejects_path,
    write_triplets,
)


def triplet(name: str = "a-0", **changes: Any) -> Triplet:
    values: dict[str, Any] = dict.fromkeys(KEYS, "text") | {"id": name, "image": "images/a.png"}
    values["generator"] = GeneratorInfo("rules", "", "abc")
    return Triplet(**(values | changes))


def write(path: Path, *records: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records) + "\n", encoding="utf-8")
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    triplets = [triplet("a-0", relative_caption="es wird grün\nund „größer“"), triplet("a-1", target_caption="\u2028x")]
    assert write_triplets(tmp_path / "t.jsonl", triplets) == 2
    assert read_triplets(tmp_path / "t.jsonl") == triplets
    assert "grün" in (tmp_path / "t.jsonl").read_text("utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip()))
def test_any_text_survives_a_line(text: str) -> None:
    line = line_of(triplet(relative_caption=text))
    assert line.count(b"\n") == 1 and check_triplet(json.loads(line), "here").relative_caption == text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", asdict(triplet()))
    before = path.read_bytes()
    with pytest.raises(MotaError, match="exists already"):
        write_triplets(path, [triplet("b-0")])
    assert path.read_bytes() == before


TEXTS = [key for key in KEYS if key != "generator"]


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize(
    ("value", "said"),
    [("", "{key!r} is empty"), ("  ", "{key!r} is empty"), (3, "{key!r} must be text, not 3"), (None, "must be text")],
)
def test_bad_values_name_file_line_and_key(key: str, value: object, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", asdict(triplet("good")), asdict(triplet()) | {key: value})
    with pytest.raises(DataError) as caught:
        read_triplets(path)
    assert f"{path}:2: " in str(caught.value) and said.format(key=key) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("rules", "'generator' must be an object, not 'rules'"),
        ({}, "'generator.name' must be text, not None"),
        ({"name": " "}, "'generator.name' is empty"),
        ({"name": "x", "model": 3}, "'generator.model' must be text, not 3"),
        ({"name": "x", "prompt_hash": None}, "'generator.prompt_hash' must be text, not None"),
    ],
)
def test_a_generator_is_an_object_with_a_name(value: object, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", asdict(triplet()) | {"generator": value})
    with pytest.raises(DataError) as caught:
        read_triplets(path)
    assert f"{path}:1: {said}" in str(caught.value)


def test_a_generator_may_be_no_more_than_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", asdict(triplet()) | {"generator": {"name": "people", "of": "more"}})
    assert read_triplets(path)[0].generator == GeneratorInfo("people")


def test_a_rejection_says_whose_it_is() -> None:
    row = ImageText(ImageRef("a.png", Path("x")), "a \ud800 dog", "row")
    record = json.loads(reject_line(row, Rejection("bad", "very", "raw"), GeneratorInfo("g", "m", "h")))
    assert (record["source_id"], record["image"], record["caption"]) == ("row", "a.png", "a \ud800 dog")
    assert (record["reason"], record["detail"], record["raw"]) == ("bad", "very", "raw")
    assert record["generator"] == {"name": "g", "model": "m", "prompt_hash": "h"}


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(key: str, tmp_path: Path) -> None:
    record = asdict(triplet())
    del record[key]
    with pytest.raises(DataError, match=rf":1: no '{key}'"):
        read_triplets(write(tmp_path / "t.jsonl", record))


@pytest.mark.parametrize(
    ("line", "said"), [("{", "not valid JSON"), ("[1]", "not a JSON object"), ('{"id": "\\ud800"}', "no 'source_id'")]
)
def test_lines_that_hold_no_object(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_triplets(write(tmp_path / "t.jsonl", asdict(triplet()), line))
    assert ":2: " in str(caught.value)


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'target_caption' is not valid Unicode"):
        read_triplets(write(tmp_path / "t.jsonl", asdict(triplet(target_caption="x\ud800"))))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(json.dumps(asdict(triplet(target_caption="grün")), ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DataError, match=r":1: not UTF-8"):
        read_triplets(path)


def test_an_id_occurs_once(tmp_path: Path) -> None:
    records = [asdict(triplet("x")), asdict(triplet("y")), asdict(triplet("x"))]
    with pytest.raises(DataError, match=r":3: the 'id' 'x' is that of an earlier line too"):
        read_triplets(write(tmp_path / "t.jsonl", *records))


def test_other_keys_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", asdict(triplet("x")) | {"quality": 5}, "", asdict(triplet("y")))
    assert [found.id for found in read_triplets(path)] == ["x", "y"]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="no triplets in this file"):
        read_triplets(path)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_triplets(tmp_path / "none.jsonl")
    assert "gen-triplets" in caught.value.hint


def test_the_record_lies_beside_the_file() -> None:
    assert meta_path(Path("a/triplets.jsonl")) == Path("a/triplets.meta.json")
    assert meta_path(Path("a/v1.2.jsonl")) == Path("a/v1.2.meta.json")
    assert rejects_path(Path("a/v1.2.jsonl")) == Path("a/v1.2.rejects.jsonl")
