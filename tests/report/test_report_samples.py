"""Sample queries: ranks, marks on targets, the opening equation, and the pictures themselves."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from page_reader import Element, read_page
from PIL import Image
from report_parts import Parts

from motacli.report import Hit, Report
from motacli.report.content import SHOWN
from motacli.report.pictures import LARGEST, picture
from motacli.report.samples import hero_equation, sample_section


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


def card(report: Report) -> Element:
    return read_page(sample_section(report)).one("article")


@pytest.mark.parametrize(
    ("before", "after", "look", "shown", "said"),
    [
        (12, 1, "up", "12 → 1", "Target at rank 12, with the adapter at rank 1."),
        (2, 5, "down", "2 → 5", "Target at rank 2, with the adapter at rank 5."),
        (3, 3, "flat", "3 → 3", "Target at rank 3, with the adapter at rank 3."),
        (None, 12, "up", ">12 → 12", "Target beyond rank 12, with the adapter at rank 12."),
        (1, None, "down", "1 → >12", "Target at rank 1, with the adapter beyond rank 12."),
        (None, None, "flat", ">12 → >12", "Target beyond rank 12, with the adapter beyond rank 12."),
    ],
)
def test_badge(before: int | None, after: int | None, look: str, shown: str, said: str, parts: Parts) -> None:
    badge = card(parts.report(parts.sample(before, after))).one("p", "badge")
    assert badge.classes == ["badge", look]
    assert badge.text(hidden=False) == f"target rank {shown}"
    assert badge.one("span", "hidden").text() == said


def test_targets_are_marked_by_more_than_colour(parts: Parts) -> None:
    before, after = card(parts.report(parts.sample(10, 3))).all("ol", "hits")
    assert not before.all("li", "target") and not before.all("span", "mark")
    (target,) = after.all("li", "target")
    assert after.all("li").index(target) == 2
    assert target.one("span", "mark").text() == "✓"
    assert target.one("img").attrs["alt"] == "Rank 3: target picture right"
    assert after.all("li")[0].one("img").attrs["alt"] == "Rank 1: picture wrong"


def test_a_target_further_down_is_told_in_the_title(parts: Parts) -> None:
    found = card(parts.report(parts.sample(10, 8)))
    assert [title.text() for title in found.all("h4")] == ["SEARLE alone target at rank 10", "+ MoTa-Adapter"]
    lost = card(parts.report(parts.sample(None, 9)))
    assert [title.one("span").text() for title in lost.all("h4")] == ["target beyond rank 12", "target at rank 9"]


def test_rankings_are_cut(parts: Parts) -> None:
    long, short = parts.sample(1, 2), parts.sample(1, 2, length=3)
    cards = read_page(sample_section(parts.report(long, short))).all("article")
    assert [[len(row.all("li")) for row in one.all("ol")] for one in cards] == [[SHOWN, SHOWN], [3, 3]]


def test_the_first_of_several_targets_counts(parts: Parts) -> None:
    sample = parts.sample(None, None)
    hits = [Hit(hit.image, hit.score, rank in (2, 4)) for rank, hit in enumerate(sample.after, start=1)]
    assert replace(sample, after=hits).rank_after() == 2


def test_a_ranking_that_was_not_made_is_left_out(parts: Parts) -> None:
    found = card(parts.report(replace(parts.sample(1, 1), before=[])))
    assert [title.text() for title in found.all("h4")] == ["+ MoTa-Adapter"]
    assert not found.all("p", "badge")


# ---------------------------------------------------------------------------------------------- the equation


def test_the_equation_tells_the_greatest_improvement(parts: Parts) -> None:
    samples = [
        parts.sample(4, 1, "is blue"), parts.sample(None, 1, "is red"), parts.sample(None, 2, "is green"),
        parts.sample(1, 1, "is grey"),
    ]  # fmt: skip
    figure = read_page(hero_equation(parts.report(*samples)))
    assert figure.one("blockquote").text() == "is red"
    assert [image.attrs["alt"] for image in figure.all("img")] == [
        "Reference picture reference", "Retrieved target picture right",
    ]  # fmt: skip
    assert figure.one("figcaption").text() == "Target beyond rank 12 with SEARLE alone, first with MoTa-Adapter."


def test_the_equation_claims_no_improvement_where_there_is_none(parts: Parts) -> None:
    figure = read_page(hero_equation(parts.report(parts.sample(1, 1))))
    assert figure.one("figcaption").text() == "A query of CIRR, from those below."
    assert hero_equation(parts.report(parts.sample(1, 2))) == ""


# ---------------------------------------------------------------------------------------------- pictures


def decoded(image: Element) -> tuple[str, Image.Image]:
    kind, data = str(image.attrs["src"]).removeprefix("data:image/").split(";base64,")
    return kind, Image.open(BytesIO(b64decode(data)))


def test_small_pictures_keep_their_pixels(parts: Parts) -> None:
    ref = parts.image("small", (64, 48))
    element = read_page(picture(ref, "small")).one("img")
    kind, pixels = decoded(element)
    assert kind == "png" and element.classes == ["pixels"]
    assert (element.attrs["width"], element.attrs["height"]) == ("64", "48")
    assert np.array_equal(np.asarray(pixels), np.asarray(Image.open(ref.path)))


def test_large_pictures_shrink(parts: Parts) -> None:
    element = read_page(picture(parts.image("large", (800, 400)), "large")).one("img")
    kind, pixels = decoded(element)
    assert kind == "jpeg" and element.classes == []
    assert pixels.size == (LARGEST, LARGEST // 2)
    assert (element.attrs["width"], element.attrs["height"]) == tuple(map(str, pixels.size))


def test_a_region_is_shown_cropped(parts: Parts) -> None:
    ref = replace(parts.image("region", (80, 40)), box=(0.0, 0.0, 10.0, 10.0))
    _, pixels = decoded(read_page(picture(ref, "region")).one("img"))
    assert pixels.width == pixels.height < 40
