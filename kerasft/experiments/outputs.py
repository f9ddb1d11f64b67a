"""What a reader sees of an experiment: a summary, a figure and a short text."""

import io

from kerasft.chart_style import chart_style
from kerasft.experiments.catalogue import EXPERIMENTS
from kerasft.experiments.results_file import ResultsFile, results_of
from kerasft.files import write_whole


def runs_file(name, label, folder):
    """Path of the file with an experiment's runs.

    Args:
        name: A key of `kerasft.experiments.catalogue.EXPERIMENTS`.
        label: The network, and the data set where it is not CIFAR-10.
        folder: `pathlib.Path` of the folder of results.
    """
    return folder / f"{EXPERIMENTS[name].runs}-{label}.csv"


def output_files(name, label, folder):
    """Paths of what `write_outputs` writes; arguments are its own."""
    return [folder / f"{name}-{label}.{ending}" for ending in ("summary.csv", "svg", "md")]


def write_outputs(name, label, folder):
    """Make an experiment's summary, figure and text from its runs.

    Args:
        name: A key of `kerasft.experiments.catalogue.EXPERIMENTS`.
        label: As for `runs_file`.
        folder: `pathlib.Path` of the folder of results, with the runs.

    Returns:
        List of the files written: `<name>-<label>.summary.csv`, `.svg` and
        `.md`.

    Raises:
        FileNotFoundError: No runs.
        ValueError: Runs that are damaged or not complete enough.
    """
    experiment = EXPERIMENTS[name]
    runs = runs_file(name, label, folder)
    rows = ResultsFile(runs).table()
    with results_of(name, runs):
        contents = (
            experiment.summarise(rows).to_csv(index=False).encode(),
            svg(experiment.draw, rows),
            _text(name, label, runs.name, rows).encode(),
        )
    files = output_files(name, label, folder)
    for path, content in zip(files, contents, strict=True):
        write_whole(path, content)
    return files


def svg(draw, rows):
    """A figure as the bytes of an SVG file, the same for the same rows.

    Args:
        draw: Function from rows to a `matplotlib.figure.Figure`.
        rows: `pandas.DataFrame`.
    """
    content = io.BytesIO()
    with chart_style():
        draw(rows).savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _text(name, label, runs, rows):
    experiment = EXPERIMENTS[name]
    dates = sorted(rows["date"].unique())
    versions = ", ".join(
        f"{package} {' and '.join(sorted(rows[package].astype(str).unique()))}"
        for package in ("kerasft", "keras", "backend")
    )
    return "\n".join(
        [
            f"**{experiment.title}** (`{label}`, {rows['run'].nunique()} runs, "
            f"{' to '.join(dates[:: max(1, len(dates) - 1)])}; {versions}; images "
            f"`{rows['images_sha256'].iloc[0]}`, network `{rows['model_sha256'].iloc[0]}`). "
            f"Made by `kerasft reproduce {name}` from `{runs}`.",
            "",
            *(f"- {sentence}" for sentence in experiment.describe(rows)),
            "",
        ]
    )
