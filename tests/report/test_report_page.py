"""The page as a whole: well-formed, alone in the world, safe from its own texts, and written once."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from page_reader import read_page
from report_parts import Parts

from motacli import DataError, MotaError
from motacli.contracts import ImageRef
from motacli.report import (
    BaselineRow,
    Hit,
    InversionRow,
    Report,
    ReportTable,
    Routing,
    SampleQuery,
    Score,
    render_report,
    write_report,
)

NASTY = """</style></title><script>alert("1")</script> & 'q' &amp; $title ${style} $$ $ naïve – 赤い猫"""


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


@pytest.fixture
def report(parts: Parts) -> Report:
    return parts.report()


def test_structure(report: Report) -> None:
    page = read_page(render_report(report))
    ids = [element.attrs["id"] for element in page.elements() if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    labels = [element.attrs["aria-labelledby"] for element in page.elements() if "aria-labelledby" in element.attrs]
    assert set(labels) <= set(ids) and len(labels) > 4
    levels = [int(element.tag[1]) for element in page.elements() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert all(image.attrs["alt"] for image in page.all("img"))
    assert all(table.one("caption").text() for table in page.all("table"))
    assert all(head.attrs["scope"] in ("row", "col") for head in page.all("th"))


def test_the_page_fetches_nothing_and_runs_nothing(report: Report) -> None:
    text = render_report(report)
    page = read_page(text)
    for element in page.elements():
        for name, value in element.attrs.items():
            assert not name.startswith("on"), f"<{element.tag} {name}>"
            if name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
                assert value is not None and value.startswith(("data:", "#")), f"<{element.tag} {name}={value!r}>"
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {element.tag for element in page.elements()}
    style = page.one("style").text()
    assert "url(" not in style and "@import" not in style
    assert "://" not in text
    policy = next(
        m.attrs["content"] for m in page.all("meta") if m.attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_texts_stay_texts(parts: Parts) -> None:
    sample = parts.sample(3, 1)
    named = [replace(hit, image=replace(hit.image, id=NASTY)) for hit in sample.after]
    page = read_page(
        render_report(
            Report(
                title=NASTY,
                summary=NASTY,
                table=ReportTable(
                    [(NASTY, NASTY)],
                    [BaselineRow(NASTY, [Score(1.0)])],
                    [InversionRow(NASTY, [Score(1.0)], [Score(2.0)], [Score(1.0)], [Score(2.0)])],
                    NASTY,
                ),
                samples=[replace(sample, benchmark=NASTY, caption=NASTY, kind=NASTY, after=named)],
                routing=Routing([NASTY], 1, [[1.0]]),
                commands=[NASTY],
                facts={NASTY: {NASTY: NASTY}},
                inversion=NASTY,
                adapter=NASTY,
            )
        )
    )
    assert not page.all("script") and len(page.all("style")) == len(page.all("title")) == 1
    for tag in ("title", "h1", "blockquote", "h3", "code"):
        assert page.one(tag).text() == NASTY, tag
    facts = page.one("div", "facts")
    assert [facts.one(tag).text() for tag in ("caption", "th", "td")] == [NASTY] * 3
    assert page.one("table", "heat").one("tbody").one("th").text() == NASTY
    assert [head.text(hidden=False) for head in page.one("table", "scores").all("th")] == [
        "Query", f"{NASTY} {NASTY}", NASTY, NASTY, "+ late fusion", f"+ {NASTY}", f"+ {NASTY} + late fusion",
    ]  # fmt: skip
    assert f"Rank 1: target picture {NASTY}" in [image.attrs["alt"] for image in page.all("img")]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(caption=st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_caption_comes_back(caption: str, parts: Parts) -> None:
    report = Report("A title", "", ReportTable([]), [parts.sample(1, 2, caption, length=2)])
    assert read_page(render_report(report)).one("h3").text() == caption


def test_half_a_surrogate_pair_can_be_written(report: Report, tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", replace(report, title="half \ud83d"))
    assert read_page(path.read_text("utf-8")).one("h1").text() == "half \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("without", "section"),
    [
        ({"table": ReportTable([("CIRR", "R@10")])}, "numbers"),
        ({"samples": []}, "queries"),
        ({"routing": None}, "routing"),
        ({"routing": Routing([], 4, [])}, "routing"),
        ({"commands": [], "facts": {}}, "making"),
    ],
)
def test_an_empty_section_vanishes(without: dict[str, object], section: str, report: Report) -> None:
    def sections(report: Report) -> list[str | None]:
        return [element.attrs["aria-labelledby"] for element in read_page(render_report(report)).all("section")]

    every = ["numbers", "queries", "routing", "making"]
    assert sections(report) == every
    assert sections(replace(report, **without)) == [name for name in every if name != section]  # type: ignore[arg-type]


def test_an_empty_report_is_a_title() -> None:
    page = read_page(render_report(Report("Nothing yet", "A summary.", ReportTable([]))))
    assert page.one("h1").text() == "Nothing yet"
    assert not page.all("section") and not page.all("table") and not page.all("ul") and not page.all("figure")


def test_commands_and_facts(report: Report) -> None:
    page = read_page(render_report(report))
    assert [code.text() for code in page.all("code")] == list(report.commands)
    assert [table.one("caption").text() for table in page.one("div", "facts").all("table")] == ["Versions", "Run"]
    only_commands = read_page(render_report(replace(report, facts={})))
    assert only_commands.all("code") and not only_commands.all("div", "facts")


def test_same_report_same_bytes(report: Report, tmp_path: Path) -> None:
    first, second = (write_report(tmp_path / name, report).read_bytes() for name in ("a.html", "b.html"))
    assert first == second and b"\r" not in first


def test_nothing_is_overwritten(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(MotaError, match="nothing is overwritten"):
        write_report(path, report)
    assert path.read_text() == "mine"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_a_broken_picture_leaves_no_file(content: bytes | None, report: Report, tmp_path: Path) -> None:
    broken = ImageRef("broken", tmp_path / "broken.png")
    if content is not None:
        broken.path.write_bytes(content)
    hits = [Hit(broken, 0.5, True)]
    sample = SampleQuery("CIRR", "is red", "colour", report.samples[0].reference, hits, hits)
    with pytest.raises(DataError, match=r"broken\.png"):
        write_report(tmp_path / "out" / "report.html", replace(report, samples=[sample]))
    assert not (tmp_path / "out").exists()
