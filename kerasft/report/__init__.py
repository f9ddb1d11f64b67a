"""What was gained, as one HTML page that can be mailed, and as pictures."""

from kerasft.report.comparison import comparison_chart_png, comparison_figure
from kerasft.report.render import render_report
from kerasft.report.report import Report

__all__ = [
    "Report",
    "comparison_chart_png",
    "comparison_figure",
    "render_report",
]
