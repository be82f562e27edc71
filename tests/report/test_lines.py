"""Line figures, in the page and as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_reader import read_page

from motacli.errors import MotaError
from motacli.report import Routing
from motacli.report.lines import LinePlot, line_figure

PLOT = LinePlot("p", "<Title>", "x", "y", {"<one>": ([0, 1, 2], [0.0, 2.0, 1.0]), "two": ([0, 2], [1.0, 1.0])})


def points(plot: LinePlot) -> list[str]:
    figure = read_page(line_figure(plot))
    return [str(line.attrs["points"]) for line in figure.all("polyline") if line.attrs["points"] != "0,3 28,3"]


def test_lines_and_legend() -> None:
    figure = read_page(line_figure(PLOT))
    assert points(PLOT) == ["0.0,220.0 300.0,0.0 600.0,110.0", "0.0,110.0 600.0,110.0"]
    assert [item.text() for item in figure.all("li")] == ["<one>", "two"]
    assert figure.one("figcaption").text() == "<Title>"
    (chart,) = [svg for svg in figure.all("svg") if svg.attrs.get("role") == "img"]
    assert chart.attrs["aria-label"] == "<Title>: y by x, for <one>, two"


def test_logarithms_leave_out_what_has_none() -> None:
    plot = LinePlot("p", "t", "x", "y", {"a": ([1, 2, 3], [100.0, 1.0, 0.0]), "b": ([1, 2], [10.0, -1.0])}, log=True)
    assert points(plot) == ["0.0,0.0 600.0,220.0", "0.0,110.0"]
    assert "y, 1 to 1e+02 (logarithmic)" in read_page(line_figure(plot)).text()


def test_nothing_and_a_constant() -> None:
    assert points(LinePlot("p", "t", "x", "y", {"a": ([], [])})) == [""]
    assert points(LinePlot("p", "t", "x", "y", {"a": ([1], [0.0])})) == ["300.0,110.0"]


def test_files_for_papers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from motacli.report.plot_files import write_plots

    routing = Routing(["colour", "size"], 2, [[0.2, 0.8], [0.5, 0.5]])
    names = write_plots(tmp_path / "plots", [PLOT], routing)
    assert names == ["p.png", "p.pdf", "routing.png", "routing.pdf"]
    assert {path.name for path in (tmp_path / "plots").iterdir()} == set(names)
    write_plots(tmp_path / "again", [PLOT], routing)
    for name in names:
        data = (tmp_path / "plots" / name).read_bytes()
        assert data.startswith(b"%PDF" if name.endswith("pdf") else b"\x89PNG") and len(data) > 2000
        assert data == (tmp_path / "again" / name).read_bytes()
    with pytest.raises(MotaError, match="exists already"):
        write_plots(tmp_path / "plots", [PLOT])
