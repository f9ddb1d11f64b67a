import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from kerasft.report.page import render_page
from kerasft.report.svg import inline_svg, plain_text
from kerasft.report.tradeoff import tradeoff_figure


@dataclasses.dataclass(frozen=True, eq=False)
class LeaderboardPage:
    """The page about rival methods on one model and its bad images.

    Names may hold any characters: the page shows them literally.

    Attributes:
        title: Title of the page.
        model_name: Name of the model.
        distortion: What the images suffer from, in words.
        recommendation: What to use and why.
        leaderboard: `Comparison.leaderboard`.
        best: Name of the recommended method, or `None`.
        left_out: Mapping from method to the reason why it could not be used.
        notes: Plain sentences about how the numbers were obtained.
        facts: Mapping name → text: command, date, versions and the like.
    """

    title: str
    model_name: str
    distortion: str
    recommendation: str
    leaderboard: pd.DataFrame
    best: str | None
    left_out: Mapping[str, str]
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def render(self):
        """The page as HTML text: no scripts, nothing loaded, to be written as UTF-8."""
        chart = None
        if not self.leaderboard.empty:
            label = (
                "Scatter chart: accuracy on distorted test images against the number of trained "
                "parameters. "
            ) + ", ".join(
                f"{plain_text(row.method)} {row.distorted_accuracy:.1%} with "
                f"{row.trained_parameters:,}"
                for row in self.leaderboard.itertuples()
            )
            chart = inline_svg(tradeoff_figure(self.leaderboard, self.best), label, "tradeoff")
        return render_page("leaderboard.html.j2", page=self, rows=self._rows(), chart=chart)

    def _rows(self):
        return [
            {key: None if pd.isna(value) else value for key, value in row.items()}
            for row in self.leaderboard.to_dict("records")
        ]
