"""Accuracy against trained parameters, one point for each method."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from kerasft.chart_style import BLUE, GREY, INK, TEXT, chart_style
from kerasft.report.percent_ticks import PercentTicks
from kerasft.report.svg import plain_text

# Inches.
_WIDTH, _LINE, _MARGIN = 7.4, 0.19, 0.62


def tradeoff_figure(leaderboard, best=None):
    """Draw accuracy on distorted images against trained parameters, on a logarithmic axis.

    Methods that train nothing stand at the left, at 0. Hollow points need no
    labels. Vertical lines are 95% intervals.

    Args:
        leaderboard: DataFrame of `kerasft.comparison.Comparison`, at least one
            row.
        best: Name of the method to stress.

    Returns:
        A matplotlib `Figure`.

    Example:

    >>> import pandas as pd
    >>> from kerasft.report.tradeoff import tradeoff_figure
    >>> figure = tradeoff_figure(pd.DataFrame({
    ...     "method": ["most", "nothing"],
    ...     "labels_needed": [100, 0],
    ...     "trained_parameters": [1992, 0],
    ...     "distorted_accuracy": [0.75, 0.50],
    ...     "distorted_accuracy_low": [0.71, 0.50],
    ...     "distorted_accuracy_high": [0.79, 0.50],
    ... }), "most")
    >>> figure.savefig("tradeoff.svg")  # doctest: +SKIP
    """
    height = max(2.6, _LINE * len(leaderboard) + _MARGIN)
    parameters = leaderboard["trained_parameters"].to_numpy(float)
    positive = parameters[parameters > 0]
    # A decade below the fewest, where the logarithm of 0 has no place of its own.
    zero = 10.0 ** (np.floor(np.log10(positive.min())) - 1) if len(positive) else 0.1
    x = np.where(parameters > 0, parameters, zero)
    with chart_style():
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.add_axes((0.065, 0.44 / height, 0.555, 1 - _MARGIN / height))
        _limits(axes, leaderboard, x, zero)
        _points(axes, leaderboard, x, best)
        _names(axes, leaderboard, x, best, _LINE / (height - _MARGIN))
        axes.set_xlabel("trained parameters")
        return figure


def _limits(axes, leaderboard, x, zero):
    low, high = (
        leaderboard[f"distorted_accuracy_{end}"].fillna(leaderboard["distorted_accuracy"])
        for end in ("low", "high")
    )
    margin = 0.05 * max(high.max() - low.min(), 0.02)
    axes.set_ylim(max(low.min() - margin, -0.01), min(high.max() + margin, 1.01))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(PercentTicks())
    axes.set_xscale("log")
    axes.set_xlim(zero / 2, 2 * max(x.max(), 10 * zero))
    decades = 10.0 ** np.arange(np.log10(zero), np.log10(axes.get_xlim()[1]))
    axes.xaxis.set_major_locator(FixedLocator(list(decades)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if value <= zero else _short(value))
    )


def _points(axes, leaderboard, x, best):
    for place, row in zip(x, leaderboard.itertuples(), strict=True):
        color = BLUE if row.method == best else GREY
        # Without an interval there is a line of no length.
        ends = (row.distorted_accuracy_low, row.distorted_accuracy_high)
        axes.plot([place, place], ends, color=color, linewidth=1)
        axes.plot(
            [place],
            [row.distorted_accuracy],
            "o",
            markersize=6,
            markeredgecolor=color,
            markerfacecolor=color if row.labels_needed else "white",
            markeredgewidth=1.6,
            zorder=3,
        )


def _names(axes, leaderboard, x, best, gap):
    """Names in a column at the right, each led to its point by a line."""
    low, high = axes.get_ylim()
    accuracies = leaderboard["distorted_accuracy"].to_numpy(float)
    heights = _spread((accuracies - low) / (high - low), gap)
    for row, place, height in zip(leaderboard.itertuples(), x, heights, strict=True):
        chosen = row.method == best
        axes.annotate(
            plain_text(row.method),
            (place, row.distorted_accuracy),
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            color=INK if chosen else TEXT,
            weight="bold" if chosen else "normal",
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                # From the left of the name, so as not to cross its neighbours.
                "relpos": (0, 0.5),
                "color": BLUE if chosen else GREY,
                "linewidth": 0.9 if chosen else 0.5,
                "shrinkA": 2,
                "shrinkB": 4,
            },
            zorder=2,
        )


def _spread(heights, gap):
    """Heights from 0 to 1 moved apart to at least `gap`, in their order."""
    order = np.argsort(-heights, kind="stable")
    spread = heights[order].copy()
    # Down from the top, then up from the bottom for those that were pushed out.
    for i in range(1, len(spread)):
        spread[i] = min(spread[i], spread[i - 1] - gap)
    spread[-1:] = np.maximum(spread[-1:], 0)
    for i in range(len(spread) - 2, -1, -1):
        spread[i] = max(spread[i], spread[i + 1] + gap)
    places = np.empty_like(spread)
    places[order] = spread
    return places


def _short(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
