from kerasft.experiments.common_cells import common_cells
from kerasft.experiments.distortion_order import in_order
from kerasft.experiments.summary import mean_intervals, with_interval

HOLDS, PARTLY, NOT, OPEN = "holds", "holds partly", "does not hold", "cannot be judged"

# What is said where runs do not suffice.
TOO_FEW = ("too few runs", OPEN)


def judge_difference(rows, margin=0.0, distortions=()):
    """Whether a paired difference is over 0, from all cells of an experiment.

    The mean over cells is taken for each seed, over `common_cells`; the seeds
    are the repetitions.

    Args:
        rows: `pandas.DataFrame`, a row for each cell (`distortion`, `size`)
            and `seed`, with the `difference`.
        margin: How far below 0 still counts as not below.
        distortions: Those that must have a cell among these, or it cannot be
            judged.

    Returns:
        `(text, verdict)`; where there are several `distortions`, the text has
        the mean under each, too. The claim holds where the interval of the mean is
        over 0 and so is the mean of every cell; partly where some cell is not;
        it does not hold where the interval is below 0, partly again where
        some cell is surely over 0. Where the interval spans 0, or there is
        one seed only, it cannot be judged, unless cells are surely on both
        sides (partly).
    """
    cell = ["distortion", "size"]
    rows = common_cells(rows)
    if rows["seed"].nunique() < 2:
        return TOO_FEW
    by_seed = rows.groupby("seed", as_index=False)["difference"].mean().assign(all="all")
    mean = mean_intervals(by_seed, ["all"], ["difference"]).iloc[0]
    cells = mean_intervals(rows, cell, ["difference"])
    over, below = cells["difference_low"] > -margin, cells["difference_high"] < -margin
    text = (
        f"{with_interval(mean, 'difference', '+.1f', 100)} points in the mean of {len(cells)} "
        f"cells; over 0 in {(cells['difference'] > 0).sum()}, surely below "
        f"{f'-{100 * margin:g} in ' if margin else 'in '}{below.sum()}"
    )
    if len(distortions) > 1:
        text += f"; {_by_distortion(rows)}"
    missing = [name for name in distortions if name not in set(rows["distortion"])]
    if missing:
        return f"{text}; too few runs under {', '.join(missing)}", OPEN
    if mean["difference_low"] > -margin:
        return text, HOLDS if (cells["difference"] > -margin).all() else PARTLY
    if mean["difference_high"] < -margin:
        return text, PARTLY if over.any() else NOT
    return text, PARTLY if over.any() and below.any() else OPEN


def _by_distortion(rows):
    """The mean over the cells of each distortion; a mean of two can hide two answers."""
    means = rows.groupby(["distortion", "seed"], as_index=False)["difference"].mean()
    table = mean_intervals(means, ["distortion"], ["difference"]).set_index("distortion")
    return ", ".join(
        f"{name} {with_interval(table.loc[name], 'difference', '+.1f', 100)}"
        for name in in_order(table.index)
    )
