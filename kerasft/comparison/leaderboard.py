from kerasft.comparison.run_method import DONE
from kerasft.experiments.summary import mean_intervals

ACCURACIES = ("distorted_accuracy", "clean_accuracy", "validation_accuracy")
_COUNTS = ("labels_needed", "trained_parameters", "added_parameters")
_MEANS = ("trained_share", "layers_share", "epochs", "seconds", "peak_memory_mib")


def left_out(runs):
    """Why methods could not be used.

    Args:
        runs: DataFrame of `Comparison.runs`.

    Returns:
        Dictionary from the name of a method that was left out of any of its
        runs to the first reason.
    """
    out = runs[runs["status"] != DONE].drop_duplicates("method")
    return {row.method: row.status.partition(": ")[2] for row in out.itertuples()}


def by_seed(runs):
    """What each method reached with each seed, on average over the distortions.

    Args:
        runs: DataFrame of `Comparison.runs`.

    Returns:
        DataFrame, a row for each method and seed; methods that were left out
        of any of their runs are not in it, since means over fewer runs are
        not those of the others.
    """
    whole = runs[~runs["method"].isin(left_out(runs))]
    values = [*ACCURACIES, *_COUNTS, *_MEANS]
    return whole.groupby(["method", "seed"], sort=False)[values].mean().reset_index()


def leaderboard(seeds):
    """Means and intervals of the methods, best on distorted test images first.

    Args:
        seeds: DataFrame of `by_seed`.

    Returns:
        DataFrame of `Comparison.leaderboard`.
    """
    table = mean_intervals(seeds, ["method"], [*ACCURACIES, *_COUNTS, *_MEANS])
    table = table.drop(
        columns=[f"{n}_{end}" for n in (*_COUNTS, *_MEANS) for end in ("low", "high")]
    )
    for name in ACCURACIES:
        for end in ("low", "high"):
            table[f"{name}_{end}"] = table[f"{name}_{end}"].clip(0, 1)
    for name in _COUNTS:
        table[name] = table[name].round().astype("int64")
    order = ["distorted_accuracy", "labels_needed", "trained_parameters"]
    table = table.sort_values(order, ascending=[False, True, True], kind="stable")
    return table.reset_index(drop=True)
