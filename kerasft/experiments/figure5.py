"""Figure 5: accuracy on distorted images against the number of distorted training images."""

from kerasft.experiments.fine_tuning_run import accuracy, train_run
from kerasft.experiments.summary import mean_intervals

SIZES = (100, 200, 500, 1000, 2500, 5000, 15_000, 40_000)
DISTORTIONS = ("blur:1", "awgn:15", "blur:1.5", "awgn:25", "blur:0.5", "awgn:5")
METHODS = ("most", "least", "random", "all")

# What the paper compares with or says besides: layer-level fine-tuning of the
# first layers (Zhou et al.), one layer instead of several, retraining.
FURTHER_METHODS = ("first layer whole", "most, first layer", "most, last layer", "scratch")

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
    row = {
        "distorted_accuracy": accuracy(trained.model, *bench.store.test(distortion)),
        "clean_accuracy": accuracy(trained.model, *bench.store.test()),
    }
    return [{**row, **trained.columns}]


def _choice(method, layers):
    """A method as the filters and layers that `train_run` knows."""
    return {
        "first layer whole": ("all", layers[:1]),
        "most, first layer": ("most", layers[:1]),
        "most, last layer": ("most", layers[-1:]),
    }.get(method, (method, layers))


def summarise(rows):
    """Means and 95% intervals over the seeds.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and method.
    """
    return mean_intervals(rows, KEYS, VALUES)


def differences(rows, first, second):
    """Paired differences of two methods, seed by seed, on distorted images.

    Args:
        rows: What the grid gave.
        first: A method.
        second: The method to subtract.

    Returns:
        `pandas.DataFrame`, a row for each distortion and size, with the mean
        `difference` of the accuracies, `low`, `high` and `seeds`.
    """
    keys = ["distortion", "size", "seed"]
    of = {
        method: rows[rows["method"] == method].set_index(keys)["distorted_accuracy"]
        for method in (first, second)
    }
    both = (of[first] - of[second]).dropna().rename("difference").reset_index()
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
    kinds = [kind for kind in ("blur", "awgn") if rows["distortion"].str.startswith(kind).any()]
    panels = {
        kind: sorted(
            {d for d in rows["distortion"] if d.startswith(kind)},
            key=lambda d: float(d.partition(":")[2]),
        )
        for kind in kinds
    }
    columns = max(map(len, panels.values()))
    figure = Figure(figsize=(4.2 * columns, 3.6 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), columns, squeeze=False)
    for line, kind in zip(grid, kinds, strict=True):
        for axes in line[len(panels[kind]) :]:
            axes.remove()
        for axes, distortion in zip(line, panels[kind], strict=False):
            _draw_panel(axes, summary[summary["distortion"] == distortion])
            axes.set_title(distortion)
    for line in grid:
        line[0].set_ylabel("accuracy on distorted images")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _draw_panel(axes, summary):
    for method, group in summary[summary["method"] != "none"].groupby("method", sort=False):
        group = group.sort_values("size")
        line = axes.semilogx(
            group["size"], group["distorted_accuracy"], "o-", label=method, markersize=3
        )[0]
        axes.fill_between(
            group["size"],
            group["distorted_accuracy_low"],
            group["distorted_accuracy_high"],
            color=line.get_color(),
            alpha=0.15,
            linewidth=0,
        )
    before = summary.loc[summary["method"] == "none", "distorted_accuracy"]
    if len(before):
        axes.axhline(before.iloc[0], color="gray", linestyle="--", label="before")
    axes.set_xlabel("distorted training images")
    axes.grid(alpha=0.3)


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
            text = "; ".join(f"{point.size:,} images: {_points(point)}" for point in points)
            sentences.append(f"`{first}` minus `{second}` under {distortion}, in points: {text}.")
    return sentences


def _points(row):
    """A difference of accuracies in percentage points, with its interval."""
    text = f"{100 * row.difference:+.1f}"
    if row.seeds > 1:
        text += f" ({100 * row.difference_low:+.1f} to {100 * row.difference_high:+.1f})"
    return text
