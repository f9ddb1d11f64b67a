"""How many filters to fine-tune: a share of each layer, or all above one threshold."""

from kerasft.experiments.curves import draw_curve
from kerasft.experiments.fine_tuning_run import accuracies, train_run
from kerasft.experiments.summary import mean_intervals, with_interval

RULES = ("fraction", "threshold")
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)

# The paper's choice, "not based on a thorough assessment" (Section 5.2).
PAPER_SHARE = 0.25

KEYS = ("distortion", "size", "rule", "share")
VALUES = (
    "distorted_accuracy",
    "clean_accuracy",
    "filters",
    "trained_parameters",
    "best_epoch",
    "seconds_to_best",
    "seconds_per_step",
)


def configurations(
    distortions=("blur:1", "awgn:15"), sizes=(500, 5000), rules=RULES, shares=SHARES, seeds=3
):
    """The runs of the comparison of selection rules.

    Args:
        distortions: Short forms, such as `"awgn:15"`.
        sizes: Numbers of distorted training images.
        rules: Of `RULES`: `"fraction"` takes the share of each layer's
            filters; `"threshold"` takes the share of all layers' filters
            together, by one threshold on the mean earth mover's distance.
        shares: Shares of the filters, over 0 and at most 1.
        seeds: Number of repetitions.

    Returns:
        List of configurations for `run`: `distortion`, `size`, `rule`,
        `share` and `seed`. A share of 1, all filters, needs no threshold and
        is there as a fraction alone.

    Raises:
        ValueError: An unknown rule, a share out of range.
    """
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise ValueError(f"Expected rules of {', '.join(RULES)}. Received: {unknown[0]!r}.")
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong:
        raise ValueError(f"Expected shares over 0 and at most 1. Received: {wrong[0]}.")
    return [
        {"distortion": distortion, "size": size, "rule": rule, "share": float(share), "seed": seed}
        for size in sorted(sizes)
        # By seed, so that the curves are whole early.
        for seed in range(seeds)
        for distortion in distortions
        for share in shares
        for rule in rules
        if rule != "threshold" or share < 1
    ]


def run(bench, configuration):
    """Select by one rule, fine-tune and test.

    Args:
        bench: A `kerasft.experiments.Bench`.
        configuration: One of `configurations`.

    Returns:
        List of one row: accuracies and costs.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.2, which leaves it to
        future work.
    """
    distortion, share = configuration["distortion"], configuration["share"]
    rule = (
        {"fraction": share} if configuration["rule"] == "fraction" else {"threshold_share": share}
    )
    trained = train_run(bench, distortion, configuration["size"], configuration["seed"], **rule)
    return [accuracies(bench, distortion, trained)]


def summarise(rows):
    """Means and 95% intervals over the seeds.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size, rule and share.
    """
    return mean_intervals(rows, KEYS, VALUES)


def rule_differences(rows):
    """Paired differences of the rules, threshold minus fraction of the same share.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and share, with
        the mean `difference` of the accuracies on distorted images,
        `difference_low`, `difference_high` and `seeds`; empty where no seed
        has both rules.
    """
    keys = ["distortion", "size", "share", "seed"]
    of = {rule: rows[rows["rule"] == rule].set_index(keys) for rule in RULES}
    both = of["threshold"]["distorted_accuracy"] - of["fraction"]["distorted_accuracy"]
    both = both.dropna().rename("difference").reset_index()
    return mean_intervals(both, keys[:-1], ("difference",))


def share_differences(rows):
    """Paired differences of shares of each layer, each minus the paper's quarter.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and share other
        than a quarter, as of `rule_differences`; empty where no seed has the
        quarter and another share.
    """
    keys = ["distortion", "size", "seed"]
    rows = rows[rows["rule"] == "fraction"]
    paper = rows["share"] == PAPER_SHARE
    quarter = rows.loc[paper, [*keys, "distorted_accuracy"]]
    both = rows[~paper].merge(quarter, on=keys, suffixes=("", "_quarter"))
    both["difference"] = both["distorted_accuracy"] - both["distorted_accuracy_quarter"]
    return mean_intervals(both, ("distortion", "size", "share"), ("difference",))


def draw(rows):
    """The figure: accuracy against the share of filters, a curve for each rule.

    A line of panels for each distortion, a column for each size; shaded: 95%
    intervals.

    Args:
        rows: What the grid gave.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    summary = summarise(rows)
    distortions = summary["distortion"].unique()
    sizes = sorted(summary["size"].unique())
    shape = len(distortions), len(sizes)
    figure = Figure(figsize=(4.4 * shape[1], 3.4 * shape[0] + 0.4), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey="row")
    curves = {}
    for line, distortion in zip(grid, distortions, strict=True):
        for axes, size in zip(line, sizes, strict=True):
            cell = summary[(summary["distortion"] == distortion) & (summary["size"] == size)]
            curves |= _draw_panel(axes, cell)
            axes.set_title(f"{distortion}, {size:,} images")
        line[0].set_ylabel("accuracy on distorted images")
    shares = sorted(summary["share"].unique())
    for axes in grid[-1]:
        axes.set_xscale("log")
        axes.set_xticks(shares, [f"{100 * share:g}" for share in shares])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("filters fine-tuned, %")
    labels, handles = zip(*curves.items(), strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _draw_panel(axes, summary):
    """Draw a curve for each rule; returns them by name."""
    curves = {}
    # Each rule has its colour, whatever else is there.
    for colour, (rule, label) in enumerate(
        {"fraction": "share of each layer", "threshold": "one threshold for all layers"}.items()
    ):
        group = summary[summary["rule"] == rule]
        if len(group):
            curves[label] = draw_curve(axes, "share", group, "distorted_accuracy", colour)
    curves["the paper's quarter"] = axes.axvline(PAPER_SHARE, color="gray", linestyle=":")
    axes.grid(alpha=0.3)
    return curves


def describe(rows):
    """Which share is best, and whether a threshold is better, in sentences.

    Args:
        rows: What the grid gave.

    Returns:
        List of sentences in Markdown.
    """
    summary = summarise(rows)
    sentences = []
    for (distortion, size), cell in summary.groupby(["distortion", "size"], sort=False):
        best = cell.loc[cell["distorted_accuracy"].idxmax()]
        quarter = cell[(cell["rule"] == "fraction") & (cell["share"] == PAPER_SHARE)]
        text = f"{with_interval(best, 'distorted_accuracy', '.1%')} by {_rule(best)}"
        if len(quarter):
            found = with_interval(quarter.iloc[0], "distorted_accuracy", ".1%")
            text += f"; the paper's quarter of each layer has {found}"
        sentences.append(
            f"Highest of {len(cell)} mean accuracies under {distortion} with {size:,} images: "
            f"{text}."
        )
    for subject, table in (
        ("A share of each layer minus the paper's quarter", share_differences(rows)),
        ("One threshold for all layers minus the same share of each", rule_differences(rows)),
    ):
        if table.empty:
            continue
        for (distortion, size), group in table.groupby(["distortion", "size"], sort=False):
            points = group.sort_values("share").itertuples()
            text = "; ".join(
                f"{point.share:.0%}: {with_interval(point, 'difference', '+.1f', 100)}"
                for point in points
            )
            sentences.append(
                f"{subject}, {distortion}, {size:,} images, in points of accuracy: {text}."
            )
    return sentences


def _rule(row):
    if row["rule"] == "fraction":
        return f"{row['share']:.0%} of each layer's filters"
    return f"one threshold over which {row['share']:.0%} of all filters lie"
