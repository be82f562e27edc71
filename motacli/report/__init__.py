"""Results as people read them: self-contained pages (no scripts, nothing fetched) and tables of runs.

`write_report` makes the demo's page. `motacli.report.comparison` puts runs of ``mota eval`` side by side,
`motacli.report.formats` and `motacli.report.result_page` show them.
"""

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
