"""Figure 5: accuracy on distorted images against the number of distorted training images."""

import pandas as pd

from kerasft.experiments.curves import draw_curve
from kerasft.experiments.distortion_order import by_kind, in_order
from kerasft.experiments.fine_tuning_run import accuracies, train_run
from kerasft.experiments.summary import mean_intervals, with_interval

SIZES = (100, 200, 500, 1000, 2500, 5000, 15_000, 40_000)
DISTORTIONS = ("blur:1", "awgn:15", "blur:1.5", "awgn:25", "blur:0.5", "awgn:5")
METHODS = ("most", "least", "random", "all")

# What the paper compares with or says besides: layer-level fine-tuning of the
# first layers (Zhou et al.), one layer instead of several, retraining.
FURTHER_METHODS = ("first layer whole", "most in first layer", "most in last layer", "scratch")

KEYS = ("distortion", "size", "method")
VALUES = (
    "distorted_accuracy",
    "clean_accuracy",
    "trained_parameters",
    "best_epoch",
    "seconds_to_best",
    "seconds_per_step",
)


def configurations(distortions=DISTORTIONS, sizes=SIZES, methods=METHODS, seeds=3):
    """The runs of Figure 5, the most telling first.

    Args:
        distortions: Short forms, such as `"awgn:15"`.
        sizes: Numbers of distorted training images.
        methods: Of `METHODS` and `FURTHER_METHODS`.
        seeds: Number of repetitions.

    Returns:
        List of configurations for `run`.

    Raises:
        ValueError: An unknown method.
    """
    known = (*METHODS, *FURTHER_METHODS)
    unknown = [method for method in methods if method not in known]
    if unknown:
        raise ValueError(f"Expected methods of {', '.join(known)}. Received: {unknown[0]!r}.")
    before = [
        {"distortion": distortion, "size": 0, "method": "none", "seed": 0}
        for distortion in distortions
    ]
    return before + [
        {"distortion": distortion, "size": size, "method": method, "seed": seed}
        # Small sets of all levels are done before large ones of any.
        for size in sorted(sizes)
        for distortion in distortions
        for seed in range(seeds)
        for method in methods
    ]


def run(bench, configuration):
    """One run of the grid.

    Args:
        bench: A `kerasft.experiments.Bench`.
        configuration: One of `configurations`.

    Returns:
        List of one row: accuracies and costs.
    """
    distortion, method = configuration["distortion"], configuration["method"]
    chosen, layers = _choice(method, bench.layers)
    trained = train_run(
        bench,
        distortion,
        configuration["size"],
        configuration["seed"],
        method=chosen,
        layers=layers,
    )
    return [accuracies(bench, distortion, trained)]


def _choice(method, layers):
    """A method as the filters and layers that `train_run` knows."""
    return {
        "first layer whole": ("all", layers[:1]),
        "most in first layer": ("most", layers[:1]),
        "most in last layer": ("most", layers[-1:]),
    }.get(method, (method, layers))


def summarise(rows):
    """Means and 95% intervals over the seeds.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and method; in the
        order of the figure, whatever was run first.
    """
    # Networks before fine-tuning, which come first, have no costs.
    rows = rows.reindex(columns=[*KEYS, *VALUES])
    places = {name: place for place, name in enumerate(in_order(set(rows["distortion"])))}
    rows = rows.sort_values("size", kind="stable").sort_values(
        "distortion", kind="stable", key=lambda names: names.map(places)
    )
    return mean_intervals(rows, KEYS, VALUES)


def paired(rows, first, second, value="distorted_accuracy"):
    """Two methods side by side, seed by seed.

    Args:
        rows: What the grid gave.
        first: A method.
        second: Another.
        value: Column to compare.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and seed that both
        methods have, with the value of each as `first` and `second`.
    """
    keys = ["distortion", "size", "seed"]
    of = {
        name: rows[rows["method"] == method].set_index(keys)[value]
        for name, method in (("first", first), ("second", second))
    }
    return pd.concat(of, axis=1, join="inner").dropna().reset_index()


def differences(rows, first, second):
    """Paired differences of two methods on distorted images, over the seeds.

    Args:
        rows: What the grid gave.
        first: A method.
        second: The method to subtract.

    Returns:
        `pandas.DataFrame`, a row for each distortion and size, with the mean
        `difference` of the accuracies, `difference_low`, `difference_high`
        and `seeds`.
    """
    both = paired(rows, first, second)
    both["difference"] = both["first"] - both["second"]
    return mean_intervals(both, ("distortion", "size"), ("difference",))


def draw(rows):
    """The figure: a panel for each distortion, a curve for each method.

    Args:
        rows: What the grid gave.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    summary = summarise(rows)
    panels = by_kind(set(rows["distortion"]))
    columns = max(map(len, panels))
    figure = Figure(figsize=(4.2 * columns, 3.6 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), columns, squeeze=False)
    curves = {}
    for line, distortions in zip(grid, panels, strict=True):
        for axes in line[len(distortions) :]:
            axes.remove()
        for axes, distortion in zip(line, distortions, strict=False):
            curves |= _draw_panel(axes, summary[summary["distortion"] == distortion])
            axes.set_title(distortion)
            _label_sizes(axes, sorted(set(summary["size"]) - {0}))
    for line in grid:
        line[0].set_ylabel("accuracy on distorted images")
    labels = [name for name in (*METHODS, *FURTHER_METHODS, "before") if name in curves]
    handles = [curves[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _draw_panel(axes, summary):
    """Draw a curve for each method; returns them by name."""
    curves = {}
    # Each method has its colour, whatever else is there.
    for colour, method in enumerate((*METHODS, *FURTHER_METHODS)):
        group = summary[summary["method"] == method]
        if len(group):
            curves[method] = draw_curve(axes, "size", group, "distorted_accuracy", colour)
    axes.set_xscale("log")
    before = summary.loc[summary["method"] == "none", "distorted_accuracy"]
    if len(before):
        curves["before"] = axes.axhline(before.iloc[0], color="gray", linestyle="--")
    # Retraining on few images is so far below that nothing else could be told apart.
    others = summary.loc[summary["method"] != "scratch", "distorted_accuracy"]
    if len(others) > 1:
        axes.set_ylim(bottom=others.min() - 0.05 * (others.max() - others.min() + 0.1))
    axes.set_xlabel("distorted training images")
    axes.grid(alpha=0.3)
    return curves


def _label_sizes(axes, sizes):
    """The same numbers of images below every panel."""
    if not sizes:
        return
    axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7)
    axes.minorticks_off()


def describe(rows):
    """What the grid says, in sentences.

    Args:
        rows: What the grid gave.

    Returns:
        List of sentences in Markdown.
    """
    sentences = []
    for first, second in (("most", "least"), ("most", "random"), ("most", "all")):
        table = differences(rows, first, second)
        for distortion, group in table.groupby("distortion", sort=False):
            points = group.sort_values("size").itertuples()
            text = "; ".join(
                f"{point.size:,} images: {with_interval(point, 'difference', '+.1f', 100)}"
                for point in points
            )
            sentences.append(f"`{first}` minus `{second}` under {distortion}, in points: {text}.")
    return sentences
