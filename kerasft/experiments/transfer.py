"""Transfer: fine-tuned on one distortion, tested on the others and on clean images."""

import numpy as np

from kerasft.experiments.figure5 import DISTORTIONS
from kerasft.experiments.fine_tuning_run import accuracy, train_run
from kerasft.experiments.summary import mean_intervals, with_interval

METHODS = ("none", "most", "all")


def _kind_and_level(distortion):
    kind, _, level = distortion.partition(":")
    return ("blur", "awgn").index(kind), float(level)


# What every network is tested on: clean images, and the distortions by level.
TESTED_ON = ("clean", *sorted(DISTORTIONS, key=_kind_and_level))

KEYS = ("distortion", "size", "method", "tested_on")
VALUES = ("accuracy", "gain")

# What images are to a network that was tuned on others.
SAME, LEVELS, KIND, CLEAN = "the same", "other levels", "other type", "clean"


def configurations(distortions=DISTORTIONS, size=2500, seeds=3):
    """The runs of the transfer between distortions.

    Args:
        distortions: Short forms to fine-tune on, of `TESTED_ON`.
        size: Number of distorted training images.
        seeds: Number of repetitions.

    Returns:
        List of configurations for `run`: `distortion`, `size`, `method` and
        `seed`; the network before fine-tuning (method `"none"`, distortion
        `"clean"`, size 0) once.

    Raises:
        ValueError: A distortion that networks are not tested on.
    """
    unknown = [distortion for distortion in distortions if distortion not in TESTED_ON[1:]]
    if unknown:
        raise ValueError(
            f"Expected distortions of {', '.join(TESTED_ON[1:])}, which are tested on. "
            f"Received: {unknown[0]!r}."
        )
    before = {"distortion": "clean", "size": 0, "method": "none", "seed": 0}
    # By seed, so that the matrices are full early.
    return [before] + [
        {"distortion": distortion, "size": size, "method": method, "seed": seed}
        for seed in range(seeds)
        for distortion in distortions
        for method in METHODS[1:]
    ]


def run(bench, configuration):
    """Fine-tune on one distortion and test on all.

    Args:
        bench: A `kerasft.experiments.Bench`.
        configuration: One of `configurations`.

    Returns:
        List of rows, one for each of `TESTED_ON`: `tested_on`, `accuracy`.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.1, which leaves it to
        future work.
    """
    trained = train_run(
        bench,
        configuration["distortion"],
        configuration["size"],
        configuration["seed"],
        method=configuration["method"],
    )
    return [
        {
            "tested_on": tested_on,
            "accuracy": accuracy(
                trained.model, *bench.store.test(None if tested_on == "clean" else tested_on)
            ),
        }
        for tested_on in TESTED_ON
    ]


def summarise(rows):
    """Means and 95% intervals over the seeds.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion trained on, size, method
        and distortion tested on. `gain` is the accuracy over that of the
        network before fine-tuning on the same test images; empty where that
        one has no results yet.
    """
    return mean_intervals(_with_gain(rows), KEYS, VALUES)


def carry_over(rows):
    """How much of what networks gain on their own distortion they gain on others.

    A network that was tuned on one distortion is compared with the one that
    was tuned, with the same seed, on the distortion that both are tested on.
    Seeds that have fewer of these comparisons than others are left out: they
    would be means over other distortions.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each size, method, `trained_on` (`"blur"`
        or `"awgn"`) and `tested_on` (`"the same"` distortion, `"other levels"`
        of its type, the `"other type"`, `"clean"` images) with the mean
        `gain`, the mean `own_gain` of networks that were tuned on what is
        tested on, both with intervals, `carried`, their quotient, and `seeds`;
        empty where nothing can be compared.
    """
    gains = _with_gain(rows)
    gains = gains[gains["method"] != "none"].dropna(subset="gain")
    same_run = ["size", "method", "seed", "tested_on"]
    own = gains.loc[gains["distortion"] == gains["tested_on"], [*same_run, "gain"]]
    pairs = gains.merge(own.rename(columns={"gain": "own_gain"}), on=same_run, how="left")
    pairs["relation"] = list(map(_relation, pairs["distortion"], pairs["tested_on"]))
    pairs = pairs[pairs["own_gain"].notna() | (pairs["relation"] == CLEAN)]
    pairs = pairs.assign(trained_on=pairs["distortion"].str.split(":").str[0])
    keys = ["size", "method", "trained_on", "relation"]
    by_seed = pairs.groupby([*keys, "seed"], sort=False, as_index=False).agg(
        gain=("gain", "mean"), own_gain=("own_gain", "mean"), pairs=("gain", "size")
    )
    whole = by_seed["pairs"] == by_seed.groupby(keys)["pairs"].transform("max")
    table = mean_intervals(by_seed[whole], keys, ("gain", "own_gain"))
    # Nothing carries over where there was nothing to gain.
    carried = (table["gain"] / table["own_gain"]).where(table["own_gain"] > 0)
    return table.assign(carried=carried.round(5)).rename(columns={"relation": "tested_on"})


def _with_gain(rows):
    before = rows[rows["method"] == "none"].set_index("tested_on")["accuracy"]
    return rows.assign(gain=rows["accuracy"] - rows["tested_on"].map(before).astype(float))


def _relation(distortion, tested_on):
    if tested_on == "clean":
        return CLEAN
    if tested_on == distortion:
        return SAME
    same_kind = tested_on.partition(":")[0] == distortion.partition(":")[0]
    return LEVELS if same_kind else KIND


def draw(rows):
    """The figure: what is gained, trained on one distortion, tested on another.

    A matrix for each method, a line of them for each size; what was trained
    on and tested on is framed.

    Args:
        rows: What the grid gave.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    summary = summarise(rows)
    tuned = summary[summary["method"] != "none"]
    trained = [distortion for distortion in TESTED_ON if (tuned["distortion"] == distortion).any()]
    sizes = sorted(tuned["size"].unique())
    height = max(1, len(sizes)) * (0.45 * len(trained) + 1.6)
    figure = Figure(figsize=(11, height), layout="constrained")
    if not sizes:
        return figure
    gains = 100 * tuned["gain"]
    # A scale from 0 to 0 has no colours.
    limit = gains.abs().max() if gains.abs().max() > 0 else 1.0
    grid = figure.subplots(len(sizes), 2, squeeze=False)
    for line, size in zip(grid, sizes, strict=True):
        for axes, method in zip(line, METHODS[1:], strict=True):
            cells = tuned[(tuned["size"] == size) & (tuned["method"] == method)]
            matrix = 100 * (
                cells.set_index(["distortion", "tested_on"])["gain"]
                .unstack()
                .reindex(index=trained, columns=TESTED_ON)
            )
            image = _draw_matrix(axes, matrix, limit)
            axes.set_title(f"{method}, {size:,} images")
            axes.set_xlabel("tested on")
        line[0].set_ylabel("fine-tuned on")
    figure.colorbar(image, ax=grid, label="accuracy gained, points", aspect=30)
    return figure


def _draw_matrix(axes, matrix, limit):
    values = matrix.to_numpy(float)
    image = axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    # Runs without results yet.
    axes.set_facecolor("0.92")
    axes.set_xticks(range(len(matrix.columns)), matrix.columns, rotation=45, ha="right")
    axes.set_yticks(range(len(matrix.index)), matrix.index)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            axes.text(
                column, row, f"{value:+.1f}", ha="center", va="center", color=colour, fontsize=8
            )
        if matrix.index[row] == matrix.columns[column]:
            axes.add_patch(_frame(column, row))
    return image


def _frame(column, row):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False, edgecolor="black")


def describe(rows):
    """How much of the gain carries over to other levels and the other type.

    Args:
        rows: What the grid gave.

    Returns:
        List of sentences in Markdown.
    """
    table = carry_over(rows)
    if table.empty:
        return []
    sentences = []
    for names, group in table.groupby(["size", "method", "trained_on"], sort=False):
        size, method, trained_on = names
        other = "awgn" if trained_on == "blur" else "blur"
        places = {
            SAME: "at the level tuned on",
            LEVELS: f"at other levels of {trained_on}",
            KIND: f"under {other}",
            CLEAN: "on clean images",
        }
        found = {row.tested_on: row for row in group.itertuples()}
        parts = [f"{places[name]} {_gain(found[name])}" for name in places if name in found]
        sentences.append(
            f"Accuracy gained by fine-tuning `{method}` on {size:,} images with {trained_on}, in "
            f"points: {'; '.join(parts)}."
        )
    return sentences


def _gain(row):
    """A gain in percentage points, with its interval and the share carried over."""
    text = with_interval(row, "gain", "+.1f", 100)
    if row.tested_on in (LEVELS, KIND):
        text += f", where networks tuned on these gain {100 * row.own_gain:+.1f}"
        if np.isfinite(row.carried):
            text += f": {row.carried:.0%}"
    return text
