import pathlib

from rich.console import Console

from kerasft.experiments import NETWORKS
from kerasft.experiments.catalogue import EXPERIMENTS
from kerasft.experiments.claims import claims
from kerasft.experiments.outputs import write_outputs
from kerasft.files import write_whole


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
    for network in sorted(NETWORKS):
        if any(network in file.name for file in files):
            files.append(folder / f"claims-{network}.csv")
            write_whole(files[-1], claims(folder, network).to_csv(index=False).encode())
    if not files:
        raise FileNotFoundError(f"Expected runs of experiments in {folder}. Received: none.")
    Console().print(f"Wrote {len(files)} files to {folder}", markup=False, soft_wrap=True)
