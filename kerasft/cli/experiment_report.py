import pathlib

from rich.console import Console

from kerasft.experiments import EXPERIMENTS, NETWORKS
from kerasft.experiments.outputs import write_outputs


def run(out):
    """The command `kerasft reproduce report`; arguments are its options."""
    folder = pathlib.Path(out)
    files = [
        file
        for name, experiment in EXPERIMENTS.items()
        for network in sorted(NETWORKS)
        if (folder / f"{experiment.runs}-{network}.csv").exists()
        for file in write_outputs(name, network, folder)
    ]
    if not files:
        raise FileNotFoundError(f"Expected runs of experiments in {folder}. Received: none.")
    Console().print(f"Wrote {len(files)} files to {folder}", markup=False, soft_wrap=True)
