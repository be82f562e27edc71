"""A self-contained HTML page of results: one file, no scripts, nothing fetched. `write_report` makes it."""

from motacli.report.content import (
    BaselineRow,
    Hit,
    InversionRow,
    Report,
    ReportTable,
    Routing,
    SampleQuery,
    Score,
)
from motacli.report.page import render_report, write_report

__all__ = [
    "BaselineRow",
    "Hit",
    "InversionRow",
    "Report",
    "ReportTable",
    "Routing",
    "SampleQuery",
    "Score",
    "render_report",
    "write_report",
]
