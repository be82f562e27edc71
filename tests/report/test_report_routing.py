"""The routing table."""

from __future__ import annotations

from page_reader import read_page

from motacli.report import Routing
from motacli.report.routing import routing_section


def test_shares_in_percent_tinted_by_the_largest() -> None:
    section = read_page(routing_section(Routing(["colour", "count"], 2, [[0.2, 0.8], [0.5, 0.5]])))
    rows = section.one("tbody").all("tr")
    assert [[row.one("th").text(), *(cell.text() for cell in row.all("td"))] for row in rows] == [
        ["colour", "20", "80"], ["count", "50", "50"],
    ]  # fmt: skip
    tints = [cell.attrs["style"] for cell in section.all("td")]
    assert tints == ["--tint:25%", "--tint:100%", "--tint:62%", "--tint:62%"]
    assert [cell.classes for cell in section.all("td")] == [[], ["strong"], [], []]
    assert [head.text() for head in section.one("thead").all("th")] == ["Modification", "Expert 1", "Expert 2"]
    assert "every cell would read 50." in section.one("p").text()


def test_shares_of_zero() -> None:
    section = read_page(routing_section(Routing(["colour"], 2, [[0.0, 0.0]])))
    assert [cell.text() for cell in section.all("td")] == ["0", "0"]
