"""What the paper says, beside what the committed runs say."""

import pathlib

import pandas as pd

from kerasft.experiments import figure4, figure5, figure6, overlap
from kerasft.experiments.summary import mean_intervals

HOLDS, PARTLY, NOT, OPEN = "holds", "holds partly", "does not hold", "cannot be judged"

CENTRAL, HIGH, LOW = ("blur:1", "awgn:15"), ("blur:1.5", "awgn:25"), ("blur:0.5", "awgn:5")

_ONE_LAYER = ("first", "last")

# What the paper calls few and many images is read off the crossing of its curves.
_SMALL, _LARGE = 500, 15_000

# Section 5.2: where low levels improve at all, it is of this order.
_MARGIN = 0.02


def claims(folder, network):
    """Every claim of the paper, as far as the runs of a network reach.

    Args:
        folder: Path of the folder of results.
        network: Name of the network.

    Returns:
        `pandas.DataFrame`, a row for each claim: `claim`, `network`, `paper`
        (its figure), `ours` (with 95% intervals), `verdict` (`"holds"`,
        `"holds partly"`, `"does not hold"` or `"cannot be judged"`) and
        `file`. Verdicts follow from the numbers: of the difference that a
        claim names, averaged over the cells it is about, with seeds as
        repetitions. It holds where the interval is over 0 and no cell
        contradicts it, partly where only the mean is over 0 or a cell
        contradicts it.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.
    """
    folder = pathlib.Path(folder)
    rows = []
    for claim, paper, stem, judge in _CLAIMS:
        files = sorted(folder.glob(f"{stem}-{network}*.csv"))
        files = [file for file in files if ".summary." not in file.name]
        ours, verdict = "no runs", OPEN
        if files:
            judged = judge(_read(files[0]))
            ours, verdict = judged if judged is not None else ("too few runs", OPEN)
        rows.append(
            {
                "claim": claim,
                "network": network,
                "paper": paper,
                "ours": ours,
                "verdict": verdict,
                "file": files[0].name if files else "",
            }
        )
    return pd.DataFrame(rows)


def _read(file):
    return pd.read_csv(file, float_precision="round_trip")


def _concentrated(rows):
    table = figure4.summarise(rows)
    first = table[table["layer"] == table["layer"].iloc[0]]
    text = "; ".join(
        f"{row.distortion} {row.share:.0%}, by chance {row.independent:.0%}"
        for row in first.itertuples()
    )
    far = (first["share"] > 2 * first["independent"]).all()
    over = (first["share"] > first["independent"]).all()
    return f"of all points in the first layer: {text}", HOLDS if far else PARTLY if over else NOT


def _independent(rows):
    if rows["distortion"].nunique() < 2:
        return None
    table = overlap.summarise(rows)
    table = table[(table["kind"] == overlap.OTHER_TYPE) & table["same_level"]]
    first = table[table["layer"] == table["layer"].iloc[0]]
    text = "; ".join(
        f"{row.first} and {row.second} {row.matches:.1f} of {row.selected}"
        f" ({row.matches_low:.1f} to {row.matches_high:.1f})"
        for row in first.itertuples()
    )
    near = (first["matches"] >= 0.75 * first["selected"]).all()
    some = (first["matches"] > first["chance"]).all()
    text += f"; by chance {first['chance'].iloc[0]:.1f}"
    return text, HOLDS if near else PARTLY if some else NOT


def _difference(first, second, distortions=None, sizes=None):
    """A claim that one method is more accurate than another."""

    def judge(rows):
        chosen = rows[rows["distortion"].isin(distortions)] if distortions else rows
        if sizes:
            chosen = chosen[chosen["size"].between(*sizes)]
        return _judge_differences(chosen, first, second)

    return judge


def _judge_differences(rows, first, second):
    """Mean over cells of paired differences."""
    cells = figure5.differences(rows, first, second)
    if cells.empty:
        return None
    both = figure5.paired(rows, first, second)
    mean = _mean_over_seeds(both.assign(difference=both["first"] - both["second"]), "difference")
    against = int((cells["difference_high"] < 0).sum())
    text = (
        f"{_points(mean)} points in the mean of {len(cells)} cells, "
        f"over 0 in {(cells['difference'] > 0).sum()}, surely below in {against}"
    )
    if mean["difference"] <= 0:
        return text, NOT
    return text, PARTLY if against or not mean["difference_low"] > 0 else HOLDS


def _mean_over_seeds(both, value):
    """Mean and interval of what the cells of a seed give in the mean."""
    by_seed = both.groupby("seed", as_index=False)[value].mean().assign(all="all")
    return mean_intervals(by_seed, ["all"], [value]).iloc[0]


def _points(row):
    text = f"{100 * row['difference']:+.1f}"
    if row["seeds"] > 1:
        low, high = 100 * row["difference_low"], 100 * row["difference_high"]
        text += f" ({low:+.1f} to {high:+.1f})"
    return text


def _low_levels(rows):
    table = figure5.summarise(rows[rows["distortion"].isin(LOW)])
    if table.empty or not (table["method"] == "none").any():
        return None
    before = table[table["method"] == "none"].set_index("distortion")["distorted_accuracy"]
    tuned = table[table["method"].isin(("most", "all"))]
    if tuned.empty:
        return None
    gain = tuned["distorted_accuracy"] - tuned["distortion"].map(before)
    text = (
        f"gain from {100 * gain.min():+.1f} to {100 * gain.max():+.1f} points in "
        f"{len(gain)} cells of `most` and `all`"
    )
    return text, HOLDS if gain.max() <= _MARGIN else PARTLY if gain.mean() <= _MARGIN else NOT


def _several_layers(rows):
    parts = [_judge_differences(rows, "most", f"most in {which} layer") for which in _ONE_LAYER]
    if None in parts:
        return None
    text = "; ".join(
        f"against the {which} alone {ours}"
        for which, (ours, _) in zip(_ONE_LAYER, parts, strict=True)
    )
    verdicts = {verdict for _, verdict in parts}
    return text, verdicts.pop() if len(verdicts) == 1 else PARTLY


def _ratio(value):
    """A claim that `most` has less of something than `all`."""

    def judge(rows):
        both = figure5.paired(rows, "most", "all", value)
        if both.empty:
            return None
        mean = _mean_over_seeds(both.assign(ratio=both["first"] / both["second"]), "ratio")
        text = f"{mean['ratio']:.2f} times those of `all`"
        if mean["seeds"] > 1:
            text += f" ({mean['ratio_low']:.2f} to {mean['ratio_high']:.2f})"
        sure = mean["ratio_high"] < 1
        return text, HOLDS if sure else PARTLY if mean["ratio"] < 1 else NOT

    return judge


def _disparity(rows):
    table = figure6.summarise(rows)
    before = table[table["method"] == "none"].set_index(["distortion", "layer"])["disparity"]
    tuned = table[table["method"] != "none"]
    compared = figure6.differences(rows)
    if tuned.empty or before.empty or compared.empty:
        return None
    keys = pd.MultiIndex.from_frame(tuned[["distortion", "layer"]])
    falls = tuned["disparity"].to_numpy() < before.reindex(keys).to_numpy()
    lower = compared["difference"] < 0
    text = (
        f"falls in {falls.sum()} of {len(falls)} cases; lower for `most` than for `all` in "
        f"{lower.sum()} of {len(lower)} layers"
    )
    if falls.all() and lower.all():
        return text, HOLDS
    return text, PARTLY if falls.mean() > 0.5 or lower.any() else NOT


def _exemplars(rows):
    paper = rows[rows["exemplars"] == 1]
    means = mean_intervals(paper, ("features", "metric", "layer"), ("matches",))
    total = means.groupby(["features", "metric"], sort=False)["matches"].sum()
    selected = paper.drop_duplicates("layer")["selected"].sum()
    text = "; ".join(
        f"{'pixels' if features == 'pixels' else 'maps'}, {metric} {value:.1f}"
        for (features, metric), value in total.items()
    )
    best = total.index[total.argmax()] == ("pixels", "euclidean")
    each = all(
        group["features"].iloc[group["matches"].argmax()] == "pixels"
        for _, group in means.groupby("layer")
    )
    return f"matches of {selected}, all layers: {text}", HOLDS if best and each else (
        PARTLY if best else NOT
    )


_CLAIMS = (
    (
        "Susceptibility is concentrated in few filters",
        "Figure 4: few filters of the first layer hold most points",
        "rankings",
        _concentrated,
    ),
    (
        "The set is nearly independent of the type of distortion",
        "6 of 8 and 19 of 24 filters in the first layer",
        "rankings",
        _independent,
    ),
    (
        "`most` is better than `least` everywhere",
        "in every panel of Figure 5",
        "figure5",
        _difference("most", "least"),
    ),
    (
        "`most` is better than `all` for small sets at the central level",
        "columns 1 and 3 of Figure 5",
        "figure5",
        _difference("most", "all", CENTRAL, (1, _SMALL)),
    ),
    (
        "`all` is better than `most` for large sets at the central level",
        "columns 1 and 3 of Figure 5",
        "figure5",
        _difference("all", "most", CENTRAL, (_LARGE, 10**9)),
    ),
    (
        "`all` is better than `most` at high levels",
        "columns 2 and 4 of Figure 5",
        "figure5",
        _difference("all", "most", HIGH),
    ),
    ("Low levels need no fine-tuning", "a margin of the order of 2 points", "figure5", _low_levels),
    (
        "Several layers are better than one",
        "in the text of Section 5.2",
        "figure5",
        _several_layers,
    ),
    (
        "`most` converges faster than `all`",
        "in the text of Section 6 (here: epochs to the best)",
        "figure5",
        _ratio("best_epoch"),
    ),
    (
        "`most` trains fewer parameters",
        "a quarter of the filters",
        "figure5",
        _ratio("trained_parameters"),
    ),
    ("Disparity falls, a little more for `most` than for `all`", "Figure 6", "figure6", _disparity),
    (
        "Exemplars by pixels and Euclidean distance agree best",
        "50 of 72 filters in Table 1",
        "table1",
        _exemplars,
    ),
)
