"""Numbers about texts against examples that are worked by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from motacli.analysis.caption_overlap import jaccard, overlap_coefficient, repeats
from motacli.analysis.distributions import histogram, summary
from motacli.analysis.diversity import distinct_n, lexical_diversity, mtld, segmental_ttr
from motacli.analysis.duplicates import Repeating, near_duplicates
from motacli.analysis.type_bias import read_reference, type_bias
from motacli.analysis.vocabulary import vocabulary
from motacli.analysis.words import normalised, words
from motacli.errors import DataError


def test_words_and_their_normal_form() -> None:
    assert words("Don’t make IT T-shirt-like, 2nd!") == ["don’t", "make", "it", "t-shirt-like", "2nd"]  # noqa: RUF001
    assert normalised("  Make it, RED. ") == "make it red" == normalised("make it red")
    assert normalised(" !? ") == "!?"


def test_type_token_ratio_is_a_mean_over_segments() -> None:
    # a b a | b b b, and the last word is left over: (2/3 + 1/3) / 2
    assert segmental_ttr(list("ababbba"), 3) == pytest.approx(0.5)
    assert segmental_ttr(list("ab"), 3) is None


def test_distinct_n_grams_stay_inside_a_caption() -> None:
    captions = [["a", "b", "a"], ["a", "b"]]
    assert distinct_n(captions, 1) == 2 / 5
    assert distinct_n(captions, 2) == 2 / 3  # ab, ba, ab
    assert distinct_n(captions, 3) == 1.0 and distinct_n(captions, 4) is None


def test_mtld_by_hand() -> None:
    # Either way: a (1) b (1) a (0.67, a factor), twice, so that six words make two factors.
    assert mtld(list("ababab")) == pytest.approx(3.0)
    # Forwards a b c a: 3/4 is left, (1 - 0.75) / (1 - 0.72) of a factor; backwards the same.
    assert mtld(list("abca")) == pytest.approx(4 / (0.25 / 0.28))
    # Forwards "a a" is a factor and "b" begins none: 3 words. Backwards "b a a" is one: 2/3.
    assert mtld(list("aab")) == pytest.approx(3.0)
    assert mtld(list("abcd")) is None and mtld([]) is None


def test_diversity_is_of_as_many_captions_whatever_there_are() -> None:
    found = lexical_diversity([["a", "b"]] * 3000)
    assert (found.captions, found.words, found.ttr, found.distinct_2) == (1000, 2000, 2 / 1000, 1 / 1000)


def test_summary_and_histogram() -> None:
    found = summary(Counter([1, 2, 2, 3, 12]))
    assert found is not None
    assert (found.n, found.mean, found.min, found.median, found.p95, found.max) == (5, 4.0, 1, 2, 12, 12)
    assert found.std == pytest.approx(math.sqrt((9 + 4 + 4 + 1 + 64) / 5))
    assert summary({}) is None
    assert histogram({0.0: 1, 0.3: 2, 1.0: 4, 7.0: 1}, 0.0, 0.1, 10).counts == (1, 0, 0, 2, 0, 0, 0, 0, 0, 5)


def test_vocabulary() -> None:
    found = vocabulary(Counter(["b", "a", "b", "c"]))
    assert (found.words, found.size, found.hapax, found.top[0]) == (4, 3, 2 / 3, ("b", 2))


def test_overlap_of_captions() -> None:
    one, other = {"a", "red", "dress"}, {"a", "blue", "dress", "here"}
    assert jaccard(one, other) == 2 / 5 and overlap_coefficient(one, other) == 2 / 3
    assert jaccard(set(), set()) == overlap_coefficient(set(), {"a"}) == 1.0
    assert repeats(["make", "it", "a", "red", "dress"], ["a", "red", "dress"])
    assert not repeats(["make", "it", "a", "redder", "dress"], ["it", "a", "red"]) and not repeats(["a"], [])


def test_repeats_are_counted_after_the_first() -> None:
    seen = Repeating()
    for text in ("a", "b", "a", "a"):
        seen.add(text)
    assert (seen.result().n, seen.result().repeats, seen.result().share) == (4, 2, 0.5)


def test_near_duplicates_share_most_of_their_pieces() -> None:
    text = "please replace the small wooden table with a large round one made of glass"
    texts = [text, f"{text} now", "something else entirely that nobody has said before", text]
    found = near_duplicates(texts)
    assert (found.n, found.near, found.share) == (3, 2, 2 / 3)
    assert near_duplicates(["a", "b"]).near == 0 and near_duplicates([]).share == 0.0


def test_bias_by_hand() -> None:
    found = type_bias({"colour": 3, "size": 1}, {"colour": 0.5, "count": 0.5})
    assert found.total_variation == pytest.approx(0.5)
    # m = 0.625, 0.125, 0.25: JSD = H(m) - (H(p) + H(q)) / 2
    entropy = lambda *p: -sum(a * math.log2(a) for a in p)  # noqa: E731
    assert found.jensen_shannon == pytest.approx(entropy(0.625, 0.125, 0.25) - (entropy(0.75, 0.25) + 1) / 2)
    assert [(row.type, row.difference) for row in found.types] == [("colour", 0.25), ("size", 0.25), ("count", -0.5)]
    same, apart = type_bias({"a": 2}, {"a": 7}), type_bias({"a": 1}, {"b": 1})
    assert (same.total_variation, same.jensen_shannon) == (0, 0)
    assert (apart.total_variation, apart.jensen_shannon) == (1, 1)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.json", "[1]", "no table"),
        ("r.json", "{", "not valid JSON"),
        ("r.toml", "colour = ", "not valid TOML"),
        ("r.toml", "colour = -1", "share of 'colour' is -1"),
        ("r.json", '{"colour": true}', "share of 'colour' is True"),
        ("r.json", '{"colour": NaN}', "share of 'colour' is nan"),
        ("r.json", '{"colour": 0}', "sum up to nothing"),
        ("r.jsonl", "{}", "no 'id'"),
    ],
)
def test_references_are_checked(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_reference(tmp_path / name)


def test_a_missing_reference(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such reference"):
        read_reference(tmp_path / "r.json")
    (tmp_path / "r.toml").write_text('colour = 3\n"size, large" = 1.5\n')
    assert read_reference(tmp_path / "r.toml") == {"colour": 3.0, "size, large": 1.5}
