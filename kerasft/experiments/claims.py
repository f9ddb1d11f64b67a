"""What the paper says, beside what the committed runs say."""

import pathlib

import numpy as np
import pandas as pd

from kerasft.experiments import figure4, figure5, figure6, overlap
from kerasft.experiments.common_cells import common_cells
from kerasft.experiments.results_file import ResultsFile, results_of
from kerasft.experiments.summary import mean_intervals, with_interval
from kerasft.experiments.verdict import HOLDS, NOT, OPEN, PARTLY, TOO_FEW, judge_difference

CENTRAL, HIGH, LOW = ("blur:1", "awgn:15"), ("blur:1.5", "awgn:25"), ("blur:0.5", "awgn:5")

# Where the paper's curves cross is between these.
_SMALL, _LARGE = 500, 15_000

# Section 5.2: where low levels improve at all, it is of this order.
_MARGIN = 0.02

# Section 5.1, as a share: 6 of 8 filters.
_OVERLAP = 0.75

_ONE_LAYER = ("first", "last")


def claims(folder, label):
    """Every claim of the paper, as far as the runs of a network reach.

    Args:
        folder: Path of the folder of results.
        label: What the names of their files end in: the network.

    Returns:
        `pandas.DataFrame`, a row for each claim: `claim`, `label`, `paper`
        (its figure), `ours` (with 95% intervals), `verdict` (`"holds"`,
        `"holds partly"`, `"does not hold"` or `"cannot be judged"`), `rule`,
        what makes it hold, and `file`.

    Raises:
        ValueError: A damaged file, or runs of different networks.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.
    """
    folder = pathlib.Path(folder)
    tables = {
        name: ResultsFile(folder / name).table()
        for name in sorted({file.format(label=label) for *_, file, _ in _CLAIMS})
        if (folder / name).exists()
    }
    networks = {}
    for name, table in tables.items():
        with results_of("an experiment", folder / name):
            networks[name] = set(table["model_sha256"])
    if len(set.union(set(), *networks.values())) > 1:
        raise ValueError(
            f"Expected runs of one network in {folder}. Received: "
            f"{', '.join(f'{name} of {sorted(digests)}' for name, digests in networks.items())}."
        )
    rows = []
    for claim, paper, rule, file, judge in _CLAIMS:
        name = file.format(label=label)
        ours, verdict = "no runs", OPEN
        if name in tables:
            try:
                with results_of("an experiment", folder / name):
                    ours, verdict = judge(tables[name])
            except ValueError as error:  # Summaries refuse what is not complete.
                ours = str(error)
        rows.append(
            {
                "claim": claim,
                "label": label,
                "paper": paper,
                "ours": ours,
                "verdict": verdict,
                "rule": rule,
                "file": name if name in tables else "",
            }
        )
    return pd.DataFrame(rows)


def _concentrated(rows):
    table = figure4.summarise(rows)
    first = table[table["layer"] == table["layer"].iloc[0]]
    text = "; ".join(
        f"{row.distortion} {with_interval(row, 'share', '.1%')}" for row in first.itertuples()
    )
    text += f"; at random {first['independent'].max():.0%}"
    twice = first["share_low"] > 2 * first["independent"]
    over = first["share_low"] > first["independent"]
    surely_not = first["share_high"] <= 2 * first["independent"]
    return text, _verdict(twice.all(), over.all(), surely_not.any())


def _independent(rows):
    if rows["distortion"].nunique() < 2:
        return TOO_FEW
    table = overlap.summarise(rows)
    table = table[(table["kind"] == overlap.OTHER_TYPE) & table["same_level"]]
    if table.empty:
        return TOO_FEW
    text = "; ".join(
        f"{row.layer}, {row.first} and {row.second}: {with_interval(row, 'matches')} "
        f"of {row.selected}, "
        f"by chance {row.chance:.0f}"
        for row in table.itertuples()
    )
    first = table[table["layer"] == table["layer"].iloc[0]]
    asked = _OVERLAP * first["selected"]
    over = (first["matches_low"] > first["chance"]).mean() > 0.5
    holds, surely_not = first["matches_low"] >= asked, first["matches_high"] < asked
    return text, _verdict(holds.all(), over, surely_not.any())


def _difference(first, second, distortions, sizes=(1, 10**9), margin=0.0):
    """A claim that one method is more accurate than another, or not less by a margin."""

    def judge(rows):
        chosen = rows[rows["distortion"].isin(distortions) & rows["size"].between(*sizes)]
        both = figure5.paired(chosen, first, second)
        both["difference"] = both["first"] - both["second"]
        return judge_difference(both, margin, distortions)

    return judge


def _low_levels(rows):
    keys = ["distortion", "size", "seed", "method"]
    low = rows[rows["distortion"].isin(LOW)]
    before = low[low["method"] == "none"].set_index("distortion")["distorted_accuracy"]
    tuned = low.loc[low["method"].isin(("most", "all")), [*keys, "distorted_accuracy"]]
    if set(before.index) != set(LOW) or set(tuned["distortion"]) != set(LOW):
        return TOO_FEW
    gain = tuned["distorted_accuracy"] - tuned["distortion"].map(before)
    table = mean_intervals(tuned.assign(gain=gain), ["distortion", "size", "method"], ["gain"])
    if (table["seeds"] < 2).any():
        return TOO_FEW
    best = table.loc[table.groupby("distortion")["gain"].idxmax()]
    text = "largest gain: " + "; ".join(
        f"{row.distortion} {with_interval(row, 'gain', '+.1f', 100)} points with `{row.method}` "
        f"of {row.size:,}"
        for row in best.itertuples()
    )
    small = best["gain"] <= _MARGIN
    return text, HOLDS if small.all() else PARTLY if small.any() else NOT


def _several_layers(rows):
    parts = {
        which: _difference("most", f"most in {which} layer", CENTRAL)(rows) for which in _ONE_LAYER
    }
    if TOO_FEW in parts.values():
        return TOO_FEW
    text = "; ".join(f"against the {which} alone {ours}" for which, (ours, _) in parts.items())
    return text, _together(verdict for _, verdict in parts.values())


def _faster(rows):
    both = common_cells(figure5.paired(rows, "most", "all", "best_epoch"))
    # Ratios go with their logarithms: half and twice are equally far from one.
    difference = np.log(both["second"]) - np.log(both["first"])
    judged = judge_difference(both.assign(difference=difference))
    if judged == TOO_FEW:
        return TOO_FEW
    by_seed = (-difference).groupby(both["seed"]).mean().to_frame("log").assign(all="all")
    mean = mean_intervals(by_seed, ["all"], ["log"]).iloc[0]
    low, middle, high = np.exp(mean[["log_low", "log", "log_high"]].astype(float))
    return f"{middle:.2f} ({low:.2f} to {high:.2f}) times the epochs of `all`", judged[1]


def _fewer(rows):
    both = figure5.paired(rows, "most", "all", "trained_parameters")
    if both.empty:
        return TOO_FEW
    share = both["first"] / both["second"]
    text = f"{share.max():.1%} of those of `all`"
    return text, HOLDS if (share < 1).all() else NOT


def _disparity(rows):
    summary, lower = figure6.summarise(rows), figure6.differences(rows)
    before = summary[summary["method"] == "none"].set_index(["distortion", "layer"])["disparity"]
    tuned = summary[summary["method"] != "none"]
    if tuned.empty or before.empty or lower.empty or (tuned["seeds"] < 2).any():
        return TOO_FEW
    base = before.reindex(pd.MultiIndex.from_frame(tuned[["distortion", "layer"]])).to_numpy()
    falls = tuned["disparity_high"].to_numpy() < base
    rises = tuned["disparity_low"].to_numpy() >= base
    texts = {}
    for row, start in zip(tuned.itertuples(), base, strict=True):
        texts.setdefault(f"{row.distortion}, {row.size:,} images", []).append(
            f"{row.layer} `{row.method}` {row.disparity / start - 1:+.0%} "
            f"({row.disparity_low / start - 1:+.0%} to {row.disparity_high / start - 1:+.0%})"
        )
    text = "; ".join(f"{cell}: {', '.join(parts)}" for cell, parts in texts.items())
    less = (lower["difference_high"] < 0).sum(), (lower["difference_low"] > 0).sum()
    text += f"; `most` surely below `all` in {less[0]} of {len(lower)} cases, above in {less[1]}"
    holds = falls.all() and less[0] == len(lower)
    return text, _verdict(holds, falls.mean() > 0.5, rises.any() or less[1] > 0)


def _exemplars(rows):
    paper = rows[rows["exemplars"] == 1]
    total = paper.groupby(["features", "metric", "subset"])["matches"].sum().unstack("subset")
    ours = total.loc[("pixels", "euclidean")]
    parts, verdicts = [], []
    for name, rival in total.drop(("pixels", "euclidean")).iterrows():
        frame = (ours - rival).rename("difference").to_frame().assign(all="all")
        row = mean_intervals(frame, ["all"], ["difference"]).iloc[0]
        low, high = row["difference_low"], row["difference_high"]
        parts.append(f"maps, {name[1]} {with_interval(row, 'difference', '+.1f')}")
        verdicts.append(HOLDS if low > 0 else NOT if high < 0 else OPEN)
    selected = paper.drop_duplicates("layer")["selected"].sum()
    text = f"{ours.mean():.1f} of {selected} filters in all layers; more than by "
    return text + "; ".join(parts), _together(verdicts)


def _verdict(holds, partly, surely_not):
    """Where it is sure neither that a claim holds nor that it does not, it is open."""
    return HOLDS if holds else PARTLY if partly else NOT if surely_not else OPEN


def _together(verdicts):
    """The verdict on a claim that says several things."""
    verdicts = set(verdicts)
    return _verdict(verdicts == {HOLDS}, verdicts & {HOLDS, PARTLY}, NOT in verdicts)


_ALL = (*CENTRAL, *HIGH, *LOW)
_OVER = "the mean difference is surely over 0, and over 0 in every cell"
_NOT_WORSE = "the mean difference is surely over -1 point, and over that in every cell"
_CLAIMS = (
    (
        "Susceptibility is concentrated in few filters",
        "Figure 4: few filters of the first layer hold most points",
        "a quarter of the filters surely holds over twice the points that it would at random; "
        "partly: surely more than that",
        "rankings-{label}.csv",
        _concentrated,
    ),
    (
        "The set is nearly independent of the type of distortion",
        "6 of 8 and 19 of 24 filters in the first layer",
        "surely three quarters of the set match in the first layer; partly: surely more than by "
        "chance at most levels there",
        "rankings-{label}.csv",
        _independent,
    ),
    (
        "`most` is better than `least` everywhere",
        "in every panel of Figure 5",
        _OVER,
        "figure5-{label}.csv",
        _difference("most", "least", _ALL),
    ),
    (
        "`most` is better than as many filters at random everywhere",
        "not in the paper: a control",
        _OVER,
        "figure5-{label}.csv",
        _difference("most", "random", _ALL),
    ),
    (
        "`most` is better than as many filters at random for small sets",
        "not in the paper: a control",
        f"{_OVER}; up to {_SMALL} images",
        "figure5-{label}.csv",
        _difference("most", "random", _ALL, (1, _SMALL)),
    ),
    (
        "`most` is better than `all` for small sets at the central level",
        "columns 1 and 3 of Figure 5",
        f"{_OVER}; up to {_SMALL} images",
        "figure5-{label}.csv",
        _difference("most", "all", CENTRAL, (1, _SMALL)),
    ),
    (
        "`all` is at least as good as `most` for large sets",
        "columns 1 and 3 of Figure 5",
        f"{_NOT_WORSE}; from {_LARGE:,} images, central level",
        "figure5-{label}.csv",
        _difference("all", "most", CENTRAL, (_LARGE, 10**9), margin=0.01),
    ),
    (
        "`all` is at least as good as `most` at high levels",
        "columns 2 and 4 of Figure 5",
        _NOT_WORSE,
        "figure5-{label}.csv",
        _difference("all", "most", HIGH, margin=0.01),
    ),
    (
        "Low levels need no fine-tuning",
        "a margin of the order of 2 points",
        "the largest mean gain is 2 points at most; partly: for one of the two distortions",
        "figure5-{label}.csv",
        _low_levels,
    ),
    (
        "Several layers are better than one",
        "in the text of Section 5.2",
        f"{_OVER}, against each layer; central level",
        "figure5-{label}.csv",
        _several_layers,
    ),
    (
        "`most` converges faster than `all`",
        "in the text of Section 6",
        "surely fewer epochs to the best one, and fewer in every cell",
        "figure5-{label}.csv",
        _faster,
    ),
    (
        "`most` trains fewer parameters",
        "a quarter of the filters",
        "fewer in every run; so by construction",
        "figure5-{label}.csv",
        _fewer,
    ),
    (
        "Disparity falls, a little more for `most` than for `all`",
        "Figure 6",
        "surely falls in every layer, and surely further for `most`; partly: falls in most",
        "figure6-{label}.csv",
        _disparity,
    ),
    (
        "Exemplars by pixels and Euclidean distance agree best",
        "50 of 72 filters in Table 1",
        "surely more matches than by either kind of feature maps",
        "table1-{label}-awgn15.csv",
        _exemplars,
    ),
)
