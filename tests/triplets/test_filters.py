"""What each filter passes and refuses, the order in which they look, and how refusals are counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from motacli.config import parse_options
from motacli.contracts import GeneratorInfo, ImageRef, ImageText, Outcome, Rejection, Triplet
from motacli.errors import DataError, UsageError
from motacli.triplets.filters import Candidate, Each, FilterOptions, make_filters, plain, screen

OFF = {"equal": False, "repeats": False}


def triplet(
    target: str = "a blue star", relative: str = "make it blue", reference: str = "a red star", id: str = "r#0"
) -> Triplet:
    return Triplet(id, "r", "r.png", reference, relative, target, "attribute", "keep", GeneratorInfo("test"))


def outcome(*triplets: Triplet, path: Path = Path("r.png"), id: str = "r") -> Outcome:
    return Outcome(ImageText(ImageRef("r.png", path), "a red star", id), triplets)


def judged(filters: Sequence[Any], *triplets: Triplet) -> list[str]:
    """Of each triplet the reason that it is refused for, or an empty text."""
    found = []
    for one in triplets:
        done = screen([outcome(one)], filters)[0]
        assert len(done.triplets) + len(done.rejections) == 1
        found.append("" if done.triplets else done.rejections[0].reason)
    return found


def options(**values: Any) -> FilterOptions:
    return FilterOptions(**{**OFF, **values})


# ---------------------------------------------------------------------------------------------- single filters


def test_a_target_that_is_the_reference_is_refused() -> None:
    filters = make_filters(FilterOptions(repeats=False))
    same = ["a red star", "A red, STAR!", " a  red star."]
    assert judged(filters, *map(triplet, same)) == ["target equals reference"] * 3
    assert judged(filters, triplet("a red stars"), triplet("red a star")) == ["", ""]


def test_a_relative_caption_that_is_the_target_is_refused() -> None:
    filters = make_filters(FilterOptions(equal=False))
    assert judged(filters, triplet("A blue star.", "a blue star")) == ["relative caption repeats the target"]
    assert judged(filters, triplet("a blue star", "a blue one"), triplet("a red star")) == ["", ""]


@pytest.mark.parametrize(("one", "other"), [("लाल", "लील"), ("ดำ", "ดี"), ("cafe", "café"), ("3 cats", "4 cats")])
def test_words_that_differ_in_a_mark_differ(one: str, other: str) -> None:
    assert plain(one) != plain(other)


def test_one_accent_may_be_written_in_two_ways() -> None:
    assert plain("Cafe\u0301, STRASSE") == plain("café straße") == ("café", "strasse")


def test_length_bounds_relative_and_target_caption() -> None:
    filters = make_filters(options(min_words=2, max_words=3))
    texts = [("a b", "a b c"), ("a", "a b"), ("a b", "a"), ("a b c d", "a b"), ("a b", "a b c d")]
    assert judged(filters, *(triplet(t, r, "x") for t, r in texts)) == ["", *["length"] * 4]
    assert [str(one) for one in filters] == ["length 2..3 words"]
    assert judged(make_filters(options(min_words=2)), triplet("a " * 99)) == [""]


def test_tokens_are_counted_as_clip_counts_them() -> None:
    filters = make_filters(options(max_tokens=7))
    # "a blue star" has 3 tokens, and start and end; each full stop is one more.
    assert judged(filters, triplet("a blue star. ."), triplet("a blue star. . .")) == ["", "too many tokens"]
    assert judged(filters, triplet(relative="and " * 6)) == ["too many tokens"]
    assert judged(filters, triplet(reference="and " * 99)) == [""]


def test_banned_words_are_whole_words_in_any_of_the_texts(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    path.write_text("\ufeff# words\n  # more\n\ngun\nhot dog\nC++\n", "utf-8")
    filters = make_filters(options(banned=str(path)))
    refused = ["a GUN", "hot  dog stand", "gun-like thing", "some c++ code"]
    assert judged(filters, *map(triplet, refused)) == ["banned content"] * 4
    assert judged(filters, triplet(relative="no gun"), triplet(reference="a gun")) == ["banned content"] * 2
    passed = ["a gunner", "hot sausage dog", "# words", "# more", "c+", "begun"]
    assert judged(filters, *map(triplet, passed)) == [""] * 6
    detail = screen([outcome(triplet("a GUN"))], filters)[0].rejections[0].detail
    assert detail == "'GUN' is banned"


def test_other_banned_words_are_another_filter(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    path.write_text("gun\n")
    (before,) = make_filters(options(banned=str(path)))
    path.write_text("gun\nknife\n")
    (after,) = make_filters(options(banned=str(path)))
    assert str(before) != str(after) and str(path) in str(before)


def test_files_without_banned_words_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    with pytest.raises(UsageError, match=r"cannot read the banned words in .*banned\.txt"):
        make_filters(options(banned=str(path)))
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(UsageError, match="cannot read the banned words"):
        make_filters(options(banned=str(path)))
    path.write_text("# nothing\n\n")
    with pytest.raises(DataError, match="names no banned word"):
        make_filters(options(banned=str(path)))


# ---------------------------------------------------------------------------------------------- with an extra's library

FRENCH = ("la même étoile en bleu sur un fond blanc", "rends l'étoile bleue s'il te plaît", "une étoile rouge")


def test_another_language_is_refused() -> None:
    pytest.importorskip("py3langid")
    english, french = make_filters(options(language="en")), make_filters(options(language="fr"))
    assert judged(english, triplet(), triplet(*FRENCH)) == ["", "language"]
    assert judged(french, triplet(), triplet(*FRENCH)) == ["language", ""]
    assert [str(one) for one in english] == ["language en"]


@pytest.mark.parametrize(
    "texts",
    [
        ("blue kia rio", "in blue", "kia rio 2015"),
        ("iphone case marble", "marble", "iphone case"),
        ("sofa, grey", "make it grey", "sofa"),
        ("#1 42!", "2", "!"),
    ],
)
def test_telegraphic_english_passes(texts: tuple[str, str, str]) -> None:
    pytest.importorskip("py3langid")
    assert judged(make_filters(options(language="en")), triplet(*texts)) == [""]


def test_an_unknown_language_is_a_mistake() -> None:
    pytest.importorskip("py3langid")
    with pytest.raises(UsageError, match="unknown language 'english'"):
        make_filters(options(language="english"))


@pytest.mark.parametrize(
    ("module", "values"), [("py3langid", {"language": "en"}), ("datasketch", {"near_duplicates": 0.9})]
)
def test_a_missing_library_is_named(module: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (module, f"{module}.langid"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(UsageError, match=module) as caught:
        make_filters(options(**values))
    assert "mota[filters]" in caught.value.hint


LONG = "two small brown dogs run side by side over a wide green field in the evening sun"


def test_near_duplicates_are_refused_after_the_first() -> None:
    pytest.importorskip("datasketch")
    filters = make_filters(options(near_duplicates=0.7))
    first = triplet(f"{LONG} near a lake", "add a lake behind the two dogs", LONG, "a#0")
    like = triplet(f"{LONG} near a LAKE!", "add a lake behind the two dogs", LONG, "b#0")
    other = triplet("a cup of tea on a table", "put it on a table", "a cup of tea in a hand", "c#0")
    assert judged(filters, first, like, other, like) == ["", "near-duplicate", "", "near-duplicate"]
    detail = screen([outcome(like)], filters)[0].rejections[0].detail
    assert detail == "much like a#0 (1.00)"


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 0.9, 0.95, 1.0])
def test_any_threshold_finds_what_is_the_same_and_little_else(threshold: float) -> None:
    pytest.importorskip("datasketch")
    filters = make_filters(options(near_duplicates=threshold))
    texts = [triplet(f"a cup {i} of tea", f"tea {i} instead", f"some coffee {i} there", id=f"{i}") for i in range(40)]
    assert judged(filters, *texts) == [""] * 40
    assert judged(filters, *texts) == ["near-duplicate"] * 40


def test_most_near_duplicates_above_the_threshold_are_found() -> None:
    """Each second text has a Jaccard similarity of some 0.8 to the first."""
    pytest.importorskip("datasketch")
    filters = make_filters(options(near_duplicates=0.7))
    found = []
    for i in range(100):
        words = [f"w{i}x{j}" for j in range(45)]
        first = triplet(" ".join(words[:15]), " ".join(words[15:30]), " ".join(words[30:]), f"{i}a")
        second = triplet(
            " ".join([*words[:13], "u", "v"]), " ".join(["u", *words[16:30]]), " ".join(words[30:]), f"{i}b"
        )
        found += judged(filters, first, second)
    assert not any(found[::2]) and found[1::2].count("near-duplicate") > 90


def test_texts_that_change_places_are_no_duplicates() -> None:
    pytest.importorskip("datasketch")
    filters = make_filters(options(near_duplicates=0.9))
    there = triplet("a blue star", "blue instead of red", "a red star", "a#0")
    back = triplet("a red star", "red instead of blue", "a blue star", "b#0")
    assert judged(filters, there, back) == ["", ""]


def test_near_duplicates_of_an_earlier_attempt_are_remembered() -> None:
    pytest.importorskip("datasketch")
    (one,) = make_filters(options(near_duplicates=1.0))
    one.remember(triplet())  # type: ignore[attr-defined]
    assert judged([one], triplet(id="s#0"), triplet("a green star")) == ["near-duplicate", ""]


def test_one_id_twice_is_not_the_filters_business() -> None:
    pytest.importorskip("datasketch")
    filters = make_filters(options(near_duplicates=0.9))
    twice = [triplet(id="a#0"), triplet("a lamp", "other", "a cup", id="a#0")]
    assert len(screen([outcome(*twice)], filters)[0].triplets) == 2


def test_what_another_filter_refuses_makes_no_duplicate(tiny_backbone: Any, tmp_path: Path) -> None:
    """The picture of the first is missing; the second says the same of a picture that is there."""
    pytest.importorskip("datasketch")
    Image.new("RGB", (8, 8)).save(tmp_path / "there.png")
    filters = make_filters(options(near_duplicates=0.9, picture_min=-1.0), tiny_backbone)
    rows = [
        outcome(triplet(id="a#0"), path=tmp_path / "missing.png", id="a"),
        outcome(triplet(id="b#0"), path=tmp_path / "there.png", id="b"),
        outcome(triplet(id="c#0"), path=tmp_path / "there.png", id="c"),
    ]
    found = screen(rows, filters)
    assert [len(one.triplets) for one in found] == [0, 1, 0]
    reasons = [rejection.reason for one in found for rejection in one.rejections]
    assert reasons == ["caption does not fit the picture", "near-duplicate"]


# ---------------------------------------------------------------------------------------------- gates


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b)[0])


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, colour in zip(paths, ("red", "blue", "white"), strict=True):
        Image.new("RGB", (20, 16), colour).save(path)
    return paths


def test_captions_that_do_not_fit_their_picture_are_refused(tiny_backbone: Any, pictures: list[Path]) -> None:
    text = tiny_backbone.encode_text(["a red star"])
    cosines = []
    for path in pictures:
        with Image.open(path) as image:
            pixels = tiny_backbone.preprocess(image.convert("RGB"))
        cosines.append(cosine(tiny_backbone.encode_image(pixels[None]), text))
    between = (sorted(cosines)[0] + sorted(cosines)[1]) / 2
    assert len(set(cosines)) == 3 and between
    filters = make_filters(options(picture_min=between), tiny_backbone)
    rows = [outcome(triplet(id=f"{i}#{j}"), path=path) for i, path in enumerate(pictures) for j in range(2)]
    found = screen(rows, filters)
    assert [bool(one.triplets) for one in found] == [value > between for value in cosines for _ in range(2)]
    (refused,) = {rejection for one in found for rejection in one.rejections if rejection.raw.count("#0")}
    assert (refused.reason, refused.detail) == ("caption does not fit the picture", f"cosine {min(cosines):.3f}")
    assert str(filters[0]) == f"picture and reference caption at least {between} by tiny"


def test_a_picture_that_is_missing_is_refused_and_stops_nobody(tiny_backbone: Any, pictures: list[Path]) -> None:
    broken = pictures[0].with_name("broken.png")
    broken.write_bytes(b"no picture")
    filters = make_filters(options(picture_min=-1.0), tiny_backbone)
    paths = [pictures[0], pictures[0].with_name("gone.png"), broken, pictures[1]]
    found = screen([outcome(triplet(), path=path) for path in paths], filters)
    assert [bool(one.triplets) for one in found] == [True, False, False, True]
    assert "no such picture" in found[1].rejections[0].detail and "gone.png" in found[1].rejections[0].detail
    assert "cannot decode" in found[2].rejections[0].detail
    alone = screen([outcome(triplet(), path=paths[1])], filters)
    assert not alone[0].triplets
    assert screen([Outcome(alone[0].row)], filters) == [Outcome(alone[0].row)]


def test_more_pictures_than_a_batch(tiny_backbone: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motacli.triplets.gates.BATCH", 2)
    (gate,) = make_filters(options(picture_min=0.999), tiny_backbone)
    rows = [outcome(triplet(), path=path).row for path in (*pictures, *pictures[:2])]
    found = gate.check([Candidate(row, triplet()) for row in rows])
    assert len(found) == 5 and found[:2] == found[3:] and len(set(found[:3])) == 3


def test_pictures_go_to_the_device_of_the_backbone(pictures: list[Path], tiny_backbone: Any) -> None:
    class Elsewhere:
        name, joint_dim, device = "elsewhere", tiny_backbone.joint_dim, torch.device("meta")
        preprocess, tokenize, encode_text = tiny_backbone.preprocess, tiny_backbone.tokenize, tiny_backbone.encode_text

        def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
            assert pixels.device == self.device
            return torch.ones(len(pixels), self.joint_dim)

    (gate,) = make_filters(options(picture_min=-1.0), Elsewhere())  # type: ignore[arg-type]
    assert gate.check([Candidate(outcome(path=pictures[0]).row, triplet())]) == [""]


def test_features_that_are_no_numbers_fit_nothing(pictures: list[Path], tiny_backbone: Any) -> None:
    class Broken:
        name, joint_dim, device = "broken", tiny_backbone.joint_dim, torch.device("cpu")
        preprocess, tokenize, encode_text = tiny_backbone.preprocess, tiny_backbone.tokenize, tiny_backbone.encode_text

        def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.full((len(pixels), self.joint_dim), torch.nan)

    (gate,) = make_filters(options(picture_min=-1.0), Broken())  # type: ignore[arg-type]
    assert gate.check([Candidate(outcome(path=pictures[0]).row, triplet())]) == ["cosine nan"]


def test_targets_too_far_and_too_near_are_refused(tiny_backbone: Any) -> None:
    reference = tiny_backbone.encode_text(["a red star"])
    targets = ["a red star", "a blue star", "two small green moons on a lined grey background"]
    cosines = [cosine(reference, tiny_backbone.encode_text([text])) for text in targets]
    near, far = (cosines[0] + cosines[1]) / 2, (cosines[1] + cosines[2]) / 2
    assert cosines[0] > near > cosines[1] > far > cosines[2]
    reason = "target too far or too near"
    both = make_filters(options(target_min=far, target_max=near), tiny_backbone)
    assert judged(both, *map(triplet, targets)) == [reason, "", reason]
    least = make_filters(options(target_min=far), tiny_backbone)
    assert judged(least, *map(triplet, targets)) == ["", "", reason]
    most = make_filters(options(target_max=near), tiny_backbone)
    assert judged(most, *map(triplet, targets)) == [reason, "", ""]
    assert screen([outcome()], both) == [outcome()]


def test_gates_need_a_backbone() -> None:
    for name in ("picture_min", "target_min", "target_max"):
        assert options(**{name: 0.5}).need_backbone
        with pytest.raises(UsageError, match="need a backbone"):
            make_filters(options(**{name: 0.5}))
    assert not FilterOptions(max_words=3).need_backbone


# ---------------------------------------------------------------------------------------------- together


def test_the_first_filter_that_refuses_counts_and_later_ones_do_not_look() -> None:
    seen: list[str] = []

    def judge(name: str, bad: str) -> Any:
        def look(one: Triplet) -> str:
            seen.append(f"{name} {one.id}")
            return f"{name} found {one.id}" if one.id in bad else ""

        return Each(name, look)

    texts = [triplet(id=id) for id in ("a", "b", "c")]
    before = outcome(*texts)
    found = screen([before], [judge("first", "ab"), judge("second", "bc")])[0]
    assert found.triplets == () and seen == ["first a", "first b", "first c", "second c"]
    assert [(one.reason, one.detail) for one in found.rejections] == [
        ("first", "first found a"),
        ("first", "first found b"),
        ("second", "second found c"),
    ]
    assert [json.loads(one.raw) for one in found.rejections] == [asdict(one) for one in texts]


def test_outcomes_keep_their_order_their_triplets_and_earlier_rejections() -> None:
    earlier = Rejection("too few triplets")
    rows = [
        Outcome(outcome(id="x").row, (triplet(id="x#0"), triplet("a red star", id="x#1")), (earlier,), 2, 30, 4),
        Outcome(outcome(id="y").row, (), (earlier,)),
        outcome(triplet(id="z#0"), id="z"),
    ]
    found = screen(rows, make_filters(FilterOptions()))
    assert [one.row.id for one in found] == ["x", "y", "z"]
    assert [[one.id for one in each.triplets] for each in found] == [["x#0"], [], ["z#0"]]
    assert [rejection.reason for rejection in found[0].rejections] == ["too few triplets", "target equals reference"]
    assert (found[0].requests, found[0].prompt_tokens, found[0].completion_tokens) == (2, 30, 4)
    assert found[1:] == rows[1:]


def test_no_filters_change_nothing() -> None:
    rows = [outcome(triplet("a red star"))]
    assert screen(rows, []) == rows and make_filters(options()) == []


def test_two_filters_are_on_unless_said_otherwise() -> None:
    names = [str(one) for one in make_filters(FilterOptions())]
    assert names == ["target equals reference", "relative caption repeats the target"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"near_duplicates": 1.5}, "near_duplicates must lie in 0..1"),
        ({"near_duplicates": float("nan")}, "near_duplicates must lie in 0..1"),
        ({"max_words": -1}, "must not be negative"),
        ({"max_tokens": -1}, "must not be negative"),
        ({"min_words": 5, "max_words": 4}, "min_words is 5 and max_words only 4"),
        ({"picture_min": 25.0}, "picture_min is a cosine"),
        ({"target_max": float("nan")}, "target_max is a cosine"),
        ({"target_min": 0.9, "target_max": 0.8}, "target_min is 0.9 and target_max only 0.8"),
        ({"max-word": 4}, "did you mean 'max_words'"),
        ({"equal": "maybe"}, "must be true or false"),
    ],
)
def test_mistakes_in_options_are_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_options(FilterOptions, values, "filters")
