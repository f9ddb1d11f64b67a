def draw_curve(axes, x, table, value, colour):
    """Draw means with a band of their intervals.

    Args:
        axes: A `matplotlib.axes.Axes`.
        x: Column of the horizontal axis.
        table: Rows of `kerasft.experiments.summary.mean_intervals`.
        value: Column of the mean.
        colour: Number of the colour, the same for the same method everywhere.

    Returns:
        The line.
    """
    table = table.sort_values(x)
    line = axes.plot(table[x], table[value], "o-", color=f"C{colour}", markersize=3)[0]
    axes.fill_between(
        table[x],
        table[f"{value}_low"],
        table[f"{value}_high"],
        color=f"C{colour}",
        alpha=0.15,
        linewidth=0,
    )
    return line
