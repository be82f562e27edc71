"""The statistics of a small file, counted by hand, and what the sample is used for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from triplet_files import record, write

from motacli.analysis.clip_texts import count_tokens, text_similarity
from motacli.analysis.duplicates import near_duplicates
from motacli.analysis.triplet_statistics import TripletStatistics, triplet_statistics
from motacli.analysis.triplet_tables import triplet_tables
from motacli.errors import DataError
from motacli.runs import jsonable
from motacli.triplets.schema import read_triplets

OTHER = {"name": "rules"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        record(0, reference_caption="A red dress.", relative_caption="make it blue", target_caption="a blue dress"),
        record(1, reference_caption="a red dress", relative_caption="Make it blue!", target_caption="A blue dress"),
        record(2, reference_caption="a cat", relative_caption="as it is", target_caption="A cat!", context="omit"),
        record(
            3,
            image="0.png",
            reference_caption="a dog",
            relative_caption="show me a cat with a hat instead",
            target_caption="A cat, with a hat",
            modification_type="subject",
            generator=OTHER,
        ),
    ]
    return write(tmp_path / "t.jsonl", rows)


@pytest.fixture
def found(file: Path) -> TripletStatistics:
    return triplet_statistics(file, reference={"colour": 1, "subject": 1}, near=near_duplicates)


def test_counts_and_shares(found: TripletStatistics) -> None:
    assert (found.triplets, found.images, found.sources, found.sample) == (4, 3, 4, 4)
    assert [(row.value, row.triplets, row.share) for row in found.types] == [("colour", 3, 0.75), ("subject", 1, 0.25)]
    assert [row.relative_words for row in found.types] == [3.0, 8.0]
    assert [(row.value, row.triplets) for row in found.contexts] == [("keep", 3), ("omit", 1)]
    assert [(row.value, row.triplets) for row in found.generators] == [("llm / m / p", 3), ("rules", 1)]


def test_lengths_words_and_overlap(found: TripletStatistics) -> None:
    lengths = found.lengths["relative"]
    assert lengths is not None and (lengths.n, lengths.mean, lengths.max) == (4, 17 / 4, 8)
    assert found.length_histogram.counts[3] == 3 and sum(found.length_histogram.counts) == 4
    assert found.vocabulary["relative"].words == 17 and found.vocabulary["relative"].top[0] == ("it", 3)
    # a dress of a red blue dress, twice; the same words; a of a dog cat with hat
    assert found.overlap.jaccard == pytest.approx((2 / 4 + 2 / 4 + 1 + 1 / 5) / 4)
    assert found.overlap.overlap_coefficient == pytest.approx((2 / 3 + 2 / 3 + 1 + 1 / 2) / 4)
    assert sum(found.overlap.histogram.counts) == 4 and found.overlap.histogram.counts[10] == 2


def test_what_repeats(found: TripletStatistics) -> None:
    assert (found.target_is_reference, found.relative_repeats_target) == (0.25, 0.25)
    repeats = {name: seen.repeats for name, seen in found.repeated.items()}
    assert repeats == {"triplets": 1, "relative captions": 1, "target captions": 1}
    assert found.near_duplicates is not None and found.near_duplicates["triplets"].n == 3


def test_bias_and_what_is_left_out(found: TripletStatistics, file: Path) -> None:
    assert found.bias is not None and found.bias.total_variation == pytest.approx(0.25)
    bare = triplet_statistics(file)
    assert bare.bias is bare.tokens is bare.near_duplicates is None
    for statistics in (found, bare):
        assert jsonable(statistics)["repeated"]["triplets"]["share"] == 0.25
        titles = [title for title, _ in triplet_tables(statistics)]
        assert titles[0] == "numbers" and ("bias of modification types" in titles) == (statistics is found)


def test_a_file_is_not_held_whole(tmp_path: Path) -> None:
    rows = [record(n) for n in range(500)]
    path = write(tmp_path / "t.jsonl", rows)
    one, same, other = (triplet_statistics(path, sample=20, seed=seed) for seed in (0, 0, 1))
    assert one.sample == one.diversity.captions == 20 and one.triplets == 500
    assert one == same != other


def test_clip_sees_the_captions(file: Path, tiny_backbone: Any) -> None:
    triplets = read_triplets(file)
    tokens = count_tokens(triplets, tiny_backbone)
    expected = len(tiny_backbone.tokenize("as it is")) + 2
    relative = tokens.lengths["relative_caption"]
    assert relative is not None and relative.min <= expected <= relative.max
    assert tokens.too_long["target_caption"] == 0 and tokens.context == tiny_backbone.context_length
    found = text_similarity(tiny_backbone, triplets, batch_size=3)
    assert found.cosine is not None and found.cosine.n == 4 and set(found.by_type) == {"colour", "subject"}
    assert -1 <= found.cosine.min <= found.cosine.mean <= found.cosine.max <= 1 + 1e-6
    same = text_similarity(tiny_backbone, [t for t in triplets if t.id == "0#0"])
    assert same.cosine is not None and same.by_type["colour"] == pytest.approx(same.cosine.mean)


def test_clips_own_tokenizer_is_the_default(file: Path) -> None:
    tokens = count_tokens(read_triplets(file)[:1])
    relative = tokens.lengths["relative_caption"]
    assert (tokens.tokenizer, tokens.context) == ("CLIP", 77) and relative is not None and relative.mean == 3 + 2


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no triplets"):
        triplet_statistics(write(tmp_path / "t.jsonl", []))
