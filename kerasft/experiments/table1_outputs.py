"""Table 1 as a summary, a figure and a short text."""

from kerasft.experiments.outputs import svg
from kerasft.experiments.results_file import ResultsFile, results_of
from kerasft.experiments.table1 import summarise_table1
from kerasft.files import write_whole


def table1_outputs(file):
    """Paths of what `write_table1_outputs` writes.

    Args:
        file: `pathlib.Path` of the draws.
    """
    return [file.with_suffix(suffix) for suffix in (".summary.csv", ".svg", ".md")]


def write_table1_outputs(file):
    """Make the summary, figure and text of Table 1 from its draws.

    Args:
        file: `pathlib.Path` of what `kerasft reproduce table1` wrote.

    Returns:
        List of the files written beside it: `.summary.csv`, `.svg` and `.md`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A damaged file.
    """
    rows = ResultsFile(file).table()
    with results_of("table1", file):
        contents = (
            summarise_table1(rows).to_csv(index=False).encode(),
            svg(draw, rows),
            _text(file, rows).encode(),
        )
    files = table1_outputs(file)
    for path, content in zip(files, contents, strict=True):
        write_whole(path, content)
    return files


def draw(rows):
    """The figure: a panel for each layer, a bar for each way to find exemplars.

    Args:
        rows: What `table1` returned, `pandas.DataFrame`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    from kerasft.chart_style import BLUE, INK, PALE_BLUE

    summary = summarise_table1(rows)
    layers = summary["layer"].unique()
    figure = Figure(figsize=(4.4 * len(layers), 3), layout="constrained")
    for axes, layer in zip(figure.subplots(1, len(layers), squeeze=False)[0], layers, strict=True):
        group = summary[summary["layer"] == layer].iloc[::-1]
        names = [_name(row) for row in group.itertuples()]
        # The paper's own configurations are dark.
        colours = [BLUE if count == 1 else PALE_BLUE for count in group["exemplars"]]
        errors = [
            (group["matches"] - group["low"]).fillna(0).clip(0),
            (group["high"] - group["matches"]).fillna(0).clip(0),
        ]
        axes.barh(names, group["matches"], color=colours, xerr=errors, ecolor=INK)
        axes.axvline(group["chance"].iloc[0], color=INK, linestyle="--", linewidth=1)
        axes.set_xlim(0, group["selected"].iloc[0])
        axes.set_title(f"{layer}: matches of {group['selected'].iloc[0]} (dashed: by chance)")
        axes.grid(axis="x")
    return figure


def _name(row):
    kind = "pixels" if row.features == "pixels" else "maps"
    exemplars = "1 exemplar" if row.exemplars == 1 else f"{row.exemplars} exemplars"
    return f"{kind}, {row.metric}, {exemplars}"


def _text(file, rows):
    lines = [
        f"**Table 1: rankings without pairs** under {rows['distortion'].iloc[0]}, two sets of "
        f"{rows['size'].iloc[0]:,} images, {rows['subset'].nunique()} draws; images "
        f"`{rows['images_sha256'].iloc[0]}`, network `{rows['model_sha256'].iloc[0]}`. Made by "
        f"`kerasft reproduce table1` from `{file.name}`.",
        "",
    ]
    for row in summarise_table1(rows).itertuples():
        interval = "" if row.draws == 1 else f" ({row.low:.1f} to {row.high:.1f})"
        lines.append(
            f"- {row.layer}, {_name(row)}: {row.matches:.1f}{interval} of {row.selected} filters "
            f"match, {row.chance:.1f} by chance."
        )
    return "\n".join([*lines, ""])
