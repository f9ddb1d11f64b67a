"""What was gained, as one HTML page that can be mailed, and as pictures."""

from kerasft.report.comparison import comparison_chart_png, comparison_figure
from kerasft.report.leaderboard_page import LeaderboardPage
from kerasft.report.render import render_report
from kerasft.report.report import Report
from kerasft.report.tradeoff import tradeoff_figure

__all__ = [
    "LeaderboardPage",
    "Report",
    "comparison_chart_png",
    "comparison_figure",
    "render_report",
    "tradeoff_figure",
]
