"""What a reader sees of an experiment: a summary, a figure and a short text."""

import io

import pandas as pd

from kerasft.experiments.catalogue import EXPERIMENTS
from kerasft.files import write_whole
from kerasft.report.svg import chart_style


def write_outputs(name, network, folder):
    """Make an experiment's summary, figure and text from its runs.

    Args:
        name: A key of `kerasft.experiments.catalogue.EXPERIMENTS`.
        network: Name of the network.
        folder: `pathlib.Path` of the folder of results, with the runs.

    Returns:
        List of the files written: `<name>-<network>.summary.csv`, `.svg` and
        `.md`.

    Raises:
        FileNotFoundError: No runs.
    """
    experiment = EXPERIMENTS[name]
    runs = folder / f"{experiment.runs}-{network}.csv"
    # A digest of digits alone is no number.
    texts = dict.fromkeys(("run", "images_sha256", "model_sha256"), str)
    rows = pd.read_csv(runs, dtype=texts, float_precision="round_trip")
    figure = io.BytesIO()
    with chart_style():
        # Without a date the same runs give the same file.
        experiment.draw(rows).savefig(figure, format="svg", metadata={"Date": None})
    contents = {
        "summary.csv": experiment.summarise(rows).to_csv(index=False).encode(),
        "svg": figure.getvalue(),
        "md": _text(name, network, runs.name, rows).encode(),
    }
    files = []
    for ending, content in contents.items():
        files.append(folder / f"{name}-{network}.{ending}")
        write_whole(files[-1], content)
    return files


def _text(name, network, runs, rows):
    experiment = EXPERIMENTS[name]
    dates = sorted(rows["date"].unique())
    versions = ", ".join(
        f"{package} {' and '.join(sorted(rows[package].astype(str).unique()))}"
        for package in ("kerasft", "keras", "backend")
    )
    return "\n".join(
        [
            f"**{experiment.title}** (`{network}`, {rows['run'].nunique()} runs, "
            f"{' to '.join(dates[:: max(1, len(dates) - 1)])}; {versions}; images "
            f"`{rows['images_sha256'].iloc[0]}`, network `{rows['model_sha256'].iloc[0]}`). "
            f"Made by `kerasft reproduce {name} --network {network}` from `{runs}`.",
            "",
            *(f"- {sentence}" for sentence in experiment.describe(rows)),
            "",
        ]
    )
