"""The headline table: rows, gains and their signs, the best of a column, and the tiles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_reader import Element, read_page
from report_parts import TABLE

from motacli.report import BaselineRow, InversionRow, ReportTable, Score
from motacli.report.scores import gain_tiles, score_section, signed


def rows(table: ReportTable) -> dict[str, list[Element]]:
    """The cells of each row, by the row's full name."""
    body = [row for part in read_page(score_section(table, "MoTa")).all("tbody") for row in part.all("tr")]
    return {row.one("th").text(): row.all("td") for row in body}


def widths(table: ReportTable, column: int) -> list[float]:
    return [float(str(cells[column].one("rect", "value").attrs["width"])) for cells in rows(table).values()]


@pytest.mark.parametrize(
    ("value", "text"), [(1.26, "+1.3"), (-0.44, "−0.4"), (0.04, "0.0"), (-0.04, "0.0"), (0.0, "0.0"), (-12.0, "−12.0")]
)
def test_signs(value: float, text: str) -> None:
    assert signed(value) == text


def test_rows_and_their_order() -> None:
    assert list(rows(TABLE)) == [
        "text only", "SEARLE", "SEARLE + late fusion", "SEARLE + MoTa", "SEARLE + MoTa + late fusion",
    ]  # fmt: skip


def test_rows_without_scores_are_left_out() -> None:
    (searle,) = TABLE.inversions
    plain = replace(TABLE, inversions=[replace(searle, base_fused=(), adapted_fused=())])
    assert list(rows(plain)) == ["text only", "SEARLE", "SEARLE + MoTa"]
    alone = replace(TABLE, inversions=[InversionRow("SEARLE", searle.base, ())])
    assert list(rows(alone)) == ["text only", "SEARLE"]
    assert gain_tiles(alone) == ""


def test_a_gain_compares_with_the_same_row_without_the_adapter() -> None:
    found = {
        name: [(chip.text(), chip.classes) for cell in cells for chip in cell.all("span", "gain")]
        for name, cells in rows(TABLE).items()
    }
    assert {name: chips for name, chips in found.items() if chips} == {
        "SEARLE + MoTa": [("+10.0", ["gain", "up"])],
        "SEARLE + MoTa + late fusion": [("−1.0", ["gain", "down"])],
    }


def test_fused_scores_gain_nothing_over_an_unknown_base() -> None:
    (searle,) = TABLE.inversions
    assert replace(searle, base_fused=()).fused_gains() == [None, None]


def test_numbers_and_what_was_not_run() -> None:
    adapted = rows(TABLE)["SEARLE + MoTa"]
    assert adapted[0].text().split() == ["40.0", "±", "0.5", "+10.0"]
    assert adapted[1].one("span", "hidden").text() == "not run" and not adapted[1].all("svg")


def test_bars_fill_their_cell_at_the_best_of_the_column() -> None:
    assert widths(TABLE, 0) == [50.0, 75.0, 90.0, 100.0, 87.5]
    bold = [cell.text() for cells in rows(TABLE).values() for cell in cells if cell.all("strong")]
    assert [text.split()[0] for text in bold] == ["12.0", "40.0"]


def test_a_column_of_zeros_has_empty_bars() -> None:
    table = ReportTable([("CIRR", "R@10")], [BaselineRow("text only", [Score(0.0)]), BaselineRow("x", [Score(0.0)])])
    assert widths(table, 0) == [0.0, 0.0]


def test_the_caption_explains_what_the_table_shows() -> None:
    def caption(table: ReportTable) -> str:
        return read_page(score_section(table, "MoTa")).one("caption").text()

    assert "±" in caption(TABLE) and "without MoTa" in caption(TABLE) and caption(TABLE).endswith("Three seeds.")
    bare = caption(replace(TABLE, inversions=()))
    assert "±" not in bare and "MoTa" not in bare


def test_tiles_average_over_the_inversion_networks() -> None:
    more = [
        InversionRow("LinCIR", [Score(10.0), Score(9.0)], [Score(14.0), Score(6.0)]),
        InversionRow("Pic2Word", [Score(10.0), Score(9.0)], [None, Score(8.0)]),
    ]
    tiles = read_page(gain_tiles(replace(TABLE, inversions=[*TABLE.inversions, *more]))).all("li", "tile")
    found = [(tile.one("span", "tile-gain").text(), tile.one("span", "tile-gain").classes[1]) for tile in tiles]
    assert found == [("+7.0", "up"), ("−2.0", "down")]


def test_a_column_without_gains_has_no_tile() -> None:
    assert TABLE.mean_gains() == [10.0, None]
    assert [tile.one("span", "tile-name").text() for tile in read_page(gain_tiles(TABLE)).all("li")] == ["CIRR"]
