"""The figures of the page: susceptibility per layer, and training curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from kerasft.chart_style import BLUE, GREY, ORANGE, TEXT, chart_style
from kerasft.report.criterion import criterion_of
from kerasft.report.percent_ticks import PercentTicks
from kerasft.report.svg import plain_text

# Inches. At 72 points an inch these are as wide as a phone or as one of two
# columns on a desk, so that text on the page has the size it has here.
_SIZE = (3.9, 2.0)
_FRAME = (0.13, 0.22, 0.84, 0.66)
_MOST_NAMED_BARS = 32


def ranking_figure(layer, selected=()):
    """Draw the susceptibility of the filters of one layer, highest first.

    This is Figure 4 of the paper with the selected filters coloured. Where the
    layer has no Borda counts, bars show the mean EMD, or, where it was ranked by
    another criterion, the score, which may be negative.

    Args:
        layer: A `LayerRanking`.
        selected: Indices of the filters that were selected.

    Returns:
        A matplotlib `Figure`.
    """
    order = np.asarray(layer.order)
    counts = layer.mean_distance if layer.borda_counts is None else layer.borda_counts
    heights = np.asarray(counts, float)[order]
    chosen = np.isin(order, np.asarray(selected, int))
    ranks = np.arange(1, len(order) + 1)
    with chart_style():
        figure = Figure(figsize=_SIZE)
        axes = figure.add_axes(_FRAME)
        # One filter is a bar in the middle, not a wall.
        margin = max(0.6, (8 - len(order)) / 2)
        axes.set_xlim(1 - margin, len(order) + margin)
        low, high = min(0, 1.05 * heights.min()), max(0, 1.05 * heights.max())
        axes.set_ylim(low, high if low or high else 1)
        _bars(axes, ranks[~chosen], heights[~chosen], GREY)
        _bars(axes, ranks[chosen], heights[chosen], BLUE)
        if not heights.any():
            axes.text(0.5, 0.5, "all zero", transform=axes.transAxes, ha="center", color=TEXT)
        whole = layer.borda_counts is not None
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))
        axes.yaxis.set_major_formatter(FuncFormatter(_short))
        # Names of criteria are text, not mathematics.
        axes.set_title(
            measure(layer), loc="left", fontsize=8.5, color=TEXT, pad=5, parse_math=False
        )
        if len(order) <= _MOST_NAMED_BARS:
            axes.set_xticks(ranks, [str(index) for index in order], fontsize=7)
            if len(order) > 16:
                axes.tick_params(axis="x", rotation=90, pad=4)
            axes.set_xlabel("index of the filter")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(_short))
            axes.set_xlabel("place in the ranking")
        return figure


def training_figure(history, metric):
    """Draw one metric of a training history over the epochs.

    Args:
        history: Keras's `History.history`.
        metric: `"loss"` or `"accuracy"`; drawn for training data and, where the
            history has it, for validation data.

    Returns:
        A matplotlib `Figure`.
    """
    curves = {
        "train": (history.get(metric, ()), ORANGE, (0, (4, 2))),
        "validation": (history.get(f"val_{metric}", ()), BLUE, "solid"),
    }
    epochs = max(len(values) for values, _, _ in curves.values())
    with chart_style():
        figure = Figure(figsize=_SIZE)
        axes = figure.add_axes(_FRAME)
        for values, color, dashes in curves.values():
            axes.plot(
                np.arange(1, len(values) + 1),
                np.asarray(values, float),
                color=color,
                linestyle=dashes,
                linewidth=1.6,
                marker="o" if epochs <= 25 else None,
                markersize=2.6,
            )
        margin = 0.5 if epochs == 1 else 0.03 * epochs
        axes.set_xlim(1 - margin, epochs + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if metric == "accuracy":
            # One value alone would be given an axis that reaches past 100%.
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, -0.01), min(high, 1.01))
            axes.yaxis.set_major_formatter(PercentTicks())
        axes.set_title(metric, loc="left", fontsize=8.5, color=TEXT, pad=5)
        axes.set_xlabel("epoch")
        return figure


def measure(layer):
    """What the bars of a layer show, in words."""
    if layer.borda_counts is not None:
        return "Borda count"
    criterion = criterion_of(layer)
    return "mean EMD" if criterion is None else f"score by {plain_text(criterion)}"


def _bars(axes, places, heights, color):
    # All bars of a colour are one path of vertical strokes: a layer of 2,048
    # filters costs a page some 60 kB, as rectangles it would be 400 kB.
    if not len(places):
        return
    ends = np.stack([places, np.zeros_like(heights), places, heights], 1)
    codes = np.tile([Path.MOVETO, Path.LINETO], len(places))
    path = Path(ends.reshape(-1, 2), codes)
    path.should_simplify = False
    low, high = axes.get_xlim()
    width = 72 * _SIZE[0] * _FRAME[2] / (high - low)
    axes.add_patch(
        PathPatch(
            path,
            fill=False,
            edgecolor=color,
            # However many filters there are, the tallest bar is to be seen.
            linewidth=max(0.78 * width, 0.7),
            capstyle="butt",
        )
    )


def _short(value, _):
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:,g}"
