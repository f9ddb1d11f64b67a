import math

# The method that leaves the model as it is.
UNCHANGED = "nothing"

# Of methods that are alike in accuracy, the first that differs decides; and how it is called.
_COSTS = {
    "labels_needed": "labels",
    "trained_parameters": "trained parameters",
    "added_parameters": "added parameters",
}


def recommend(seeds, leaderboard, clean_images):
    """Choose a method by its accuracy on validation images, and say why.

    The rule is that of one standard error (Breiman et al., Classification and
    Regression Trees, 1984): of the methods whose accuracy on validation images
    is, seed by seed, on average lower than that of the best by no more than
    the standard error of this difference, the one that needs the fewest
    labels, then trains the fewest parameters, then adds the fewest. With one
    seed there is no such error, and the best is chosen. Test images have no
    say.

    Args:
        seeds: DataFrame of `by_seed`.
        leaderboard: DataFrame of `leaderboard`.
        clean_images: Number of clean images tested on: of a few, all may be right.

    Returns:
        `(method, sentences)`; the method is `None` where there is none.
    """
    if leaderboard.empty:
        return None, "No method could be used on this model and these images."
    table = leaderboard.set_index("method")
    accuracy = seeds.pivot(index="seed", columns="method", values="validation_accuracy")
    costs = list(_COSTS)
    means = accuracy.mean()
    # The cheapest of those that are equally good.
    top = min(table.index, key=lambda name: (-means[name], *table.loc[name, costs]))
    alike = [name for name in table.index if _is_alike(accuracy[top] - accuracy[name])]
    best = min(alike, key=lambda name: (*table.loc[name, costs], -means[name]))
    return best, f"{_choice(best, top, table, means)} {_gain(best, table, clean_images)}"


def _is_alike(differences):
    error = differences.sem() if len(differences) > 1 else 0.0
    # Rounding apart.
    return differences.mean() <= error + 1e-9


def _choice(best, top, table, means):
    row = table.loc[best]
    advice = "Keep the model as it is" if best == UNCHANGED else f"Use “{best}”"
    if best == top:
        return (
            f"{advice}: its accuracy on distorted validation images, {means[best]:.1%}, is the "
            "highest."
        )
    # There is one: of two alike in all costs, the one at the top is the best.
    saved = next(cost for cost in _COSTS if row[cost] != table.loc[top, cost])
    amounts = f"{int(row[saved]):,} instead of {int(table.loc[top, saved]):,}"
    return (
        f"{advice}: its accuracy on distorted validation images, {means[best]:.1%}, is within one "
        f"standard error of the highest ({means[top]:.1%}, “{top}”), with fewer {_COSTS[saved]} "
        f"({amounts})."
    )


def _gain(best, table, clean_images):
    row = table.loc[best]
    before = table.loc[UNCHANGED] if UNCHANGED in table.index and best != UNCHANGED else None

    def measured(column):
        was = "" if before is None else f" ({before[column]:.1%} before)"
        return f"{row[column]:.1%}{was}"

    clean = ""
    if not math.isnan(row.clean_accuracy):
        number = f"{clean_images:,} clean {'one' if clean_images == 1 else 'ones'}"
        clean = f" and {measured('clean_accuracy')} on {number}"
    return f"On test images it reaches {measured('distorted_accuracy')} on distorted{clean}."
