"""Charts of time and memory against the number of images."""


def write_chart(table, path, *, panel, line, x):
    """Write time and memory against a size, log–log, as SVG.

    Args:
        table: `pandas.DataFrame` with the columns named here, `seconds` and
            `peak_mib`.
        path: The `.svg` file.
        panel: Column with a pair of panels for each of its values.
        line: Column with a line for each of its values, in their order.
        x: Column of the horizontal axis; its name is the axis's.
    """
    # Late, so that a process that only measures does not wait for Keras.
    from kerasft.experiments.outputs import svg
    from kerasft.files import write_whole

    write_whole(path, svg(lambda rows: _draw(rows, panel, line, x), table))


def _draw(table, panel, line, x):
    from matplotlib.figure import Figure

    from kerasft.chart_style import BLUE, DARK_ORANGE, GREY, INK

    styles = (("o", BLUE), ("s", DARK_ORANGE), ("^", INK), ("D", GREY))
    panels, lines = (list(dict.fromkeys(table[column])) for column in (panel, line))
    marks = dict(zip(lines, styles, strict=False))
    figure = Figure(figsize=(8.4, 3.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, squeeze=False)
    for (seconds, memory), title in zip(axes, panels, strict=True):
        for name, rows in table[table[panel] == title].groupby(line, sort=False):
            mark, colour = marks[name]
            # A logarithm has no zero.
            for plot, column, least in ((seconds, "seconds", 0.01), (memory, "peak_mib", 0.1)):
                values = rows[column].clip(lower=least)
                plot.loglog(rows[x], values, marker=mark, color=colour, label=name)
        seconds.set_title(f"{title}: seconds", loc="left")
        memory.set_title(f"{title}: MiB beyond the images", loc="left")
        seconds.legend(frameon=False)
        for plot in (seconds, memory):
            plot.set_xlabel(x)
            plot.grid(True, axis="both")
    return figure
