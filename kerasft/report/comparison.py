"""Rival methods side by side: for the page, and as a picture for a README."""

import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerasft.chart_style import BLUE, DARK_ORANGE, INK, ORANGE, PALE_BLUE, chart_style
from kerasft.report.checks import BASELINE, check_comparison, check_samples
from kerasft.report.svg import plain_text

_MOST_PAIRS = 4


def comparison_figure(comparison):
    """Draw the accuracy on distorted images of several methods as bars.

    Bars carry their 95% interval; a dashed line marks the model before
    fine-tuning where the table has a row for it.

    Args:
        comparison: DataFrame as described for `Report.comparison`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: The table is not as described.

    Example:

    >>> import pandas as pd
    >>> from kerasft.report import comparison_figure
    >>> figure = comparison_figure(pd.DataFrame({
    ...     "method": ["none", "most"],
    ...     "labelled_images": [0, 200],
    ...     "trained_parameters": [0, 80],
    ...     "distorted_accuracy": [0.50, 0.75],
    ...     "distorted_low": [0.45, 0.71],
    ...     "distorted_high": [0.55, 0.79],
    ...     "clean_accuracy": [0.90, 0.89],
    ...     "seeds": [3, 3],
    ... }))
    >>> figure.savefig("comparison.pdf")  # doctest: +SKIP
    """
    check_comparison(comparison)
    bars = max(1, (comparison["method"] != BASELINE).sum())
    height = 0.62 + 0.46 * bars
    with chart_style():
        figure = Figure(figsize=(4.8, height))
        axes = figure.add_axes((0.02, 0.26 / height, 0.83, 1 - 0.56 / height))
        _draw_methods(axes, comparison, size=8.5)
        return figure


def comparison_chart_png(comparison, clean_samples, distorted_samples):
    """Draw sample images beside the accuracy of several methods, as a PNG.

    Args:
        comparison: DataFrame as described for `Report.comparison`.
        clean_samples: `(n, height, width, channels)` array of uint8; the first
            four samples are shown.
        distorted_samples: Their distorted versions, of the same shape.

    Returns:
        Bytes of a PNG file, 1,800 pixels wide.

    Raises:
        ValueError: An argument is not as described.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from kerasft.report import comparison_chart_png
    >>> table = pd.DataFrame({
    ...     "method": ["none", "most"],
    ...     "labelled_images": [0, 200],
    ...     "trained_parameters": [0, 80],
    ...     "distorted_accuracy": [0.50, 0.75],
    ...     "distorted_low": [0.45, 0.71],
    ...     "distorted_high": [0.55, 0.79],
    ...     "clean_accuracy": [0.90, 0.89],
    ...     "seeds": [3, 3],
    ... })
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> comparison_chart_png(table, images, images)[1:4]
    b'PNG'
    """
    check_comparison(comparison)
    # A report may be without.
    if clean_samples is None:
        raise ValueError("Expected `clean_samples` to show beside the distorted. Received: None.")
    check_samples(clean_samples, distorted_samples)
    buffer = io.BytesIO()
    with chart_style():
        figure = Figure(figsize=(12, 3.9), facecolor="white")
        rows = (("clean", clean_samples), ("distorted", distorted_samples))
        grid = figure.add_gridspec(
            2,
            _MOST_PAIRS,
            left=0.012,
            right=0.5,
            top=0.885,
            bottom=-0.02,
            wspace=0.05,
            hspace=0.2,
        )
        for row, (name, samples) in enumerate(rows):
            for column, image in enumerate(samples[:_MOST_PAIRS]):
                axes = figure.add_subplot(grid[row, column])
                axes.set_axis_off()
                picture = image[..., 0] if image.shape[-1] == 1 else image
                axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_anchor("NW")
                if column == 0:
                    axes.set_title(name, loc="left", fontsize=13, weight="bold")
        axes = figure.add_axes((0.545, 0.09, 0.375, 0.725))
        figure.text(0.545, 0.91, "accuracy on distorted images", fontsize=13, weight="bold")
        _draw_methods(axes, comparison, size=12)
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _draw_methods(axes, comparison, size):
    is_baseline = comparison["method"] == BASELINE
    methods = comparison[~is_baseline]
    accuracy = methods["distorted_accuracy"].to_numpy(float)
    low = methods["distorted_low"].to_numpy(float)
    high = methods["distorted_high"].to_numpy(float)
    places = np.arange(len(methods))
    had = np.zeros_like(accuracy)
    for before in comparison.loc[is_baseline, "distorted_accuracy"]:
        had = np.minimum(accuracy, before)
        _draw_baseline(axes, before, size)
    # What the model had before is pale, so that what a method added stands out.
    axes.barh(places, had, height=0.42, color=PALE_BLUE, zorder=3)
    axes.barh(places, accuracy - had, left=had, height=0.42, color=BLUE, zorder=3)
    axes.errorbar(
        accuracy,
        places,
        xerr=np.stack([accuracy - low, high - accuracy]),
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=size / 4,
        zorder=4,
    )
    for place, name in zip(places, methods["method"], strict=True):
        axes.text(
            0,
            place - 0.3,
            plain_text(name),
            fontsize=size,
            parse_math=False,
            # The dashed line passes behind the name, not through it.
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=2,
        )
        axes.text(
            np.fmax(accuracy, high)[place] + 0.018,
            place,
            f"{accuracy[place]:.1%}",
            fontsize=size,
            weight="bold",
            va="center_baseline",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(methods), 1) - 0.6, -0.75)
    axes.set_yticks([])
    axes.grid(visible=True, axis="x")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(labelsize=size)


def _draw_baseline(axes, before, size):
    axes.axvline(before, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.6, zorder=1)
    axes.annotate(
        f"before fine-tuning {before:.1%}",
        (before, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center" if 0.25 < before < 0.75 else "right" if before > 0.5 else "left",
        fontsize=size,
        color=DARK_ORANGE,
    )
