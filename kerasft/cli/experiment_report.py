import pathlib

from kerasft.cli.output import print_line
from kerasft.cli.output_folder import check_output_folder
from kerasft.experiments.catalogue import EXPERIMENTS
from kerasft.experiments.claims import claims
from kerasft.experiments.outputs import write_outputs
from kerasft.experiments.table1_outputs import write_table1_outputs
from kerasft.files import write_whole


def run(out):
    """The command `kerasft reproduce report`; arguments are its options."""
    folder = pathlib.Path(out)
    found = [
        (name, file.stem.removeprefix(f"{experiment.runs}-"))
        for name, experiment in EXPERIMENTS.items()
        for file in sorted(folder.glob(f"{experiment.runs}-*.csv"))
        if not file.name.endswith(".summary.csv")
    ]
    tables = [f for f in sorted(folder.glob("table1-*.csv")) if not f.stem.endswith(".summary")]
    if not found and not tables:
        raise FileNotFoundError(f"Expected runs of experiments in {folder}. Received: none.")
    check_output_folder(folder, force=True)
    files = []
    for name, label in found:
        try:
            files += write_outputs(name, label, folder)
        except ValueError as error:
            # An experiment that was stopped does not keep the others from being shown.
            print_line(f"Left out {name} of {label}: {error}")
    for file in tables:
        try:
            files += write_table1_outputs(file)
        except ValueError as error:
            print_line(f"Left out table1 of {file.name}: {error}")
    for label in sorted({label for _, label in found}):
        try:
            content = claims(folder, label).to_csv(index=False).encode()
        except ValueError as error:
            print_line(f"Left out claims of {label}: {error}")
            continue
        files.append(folder / f"claims-{label}.csv")
        write_whole(files[-1], content)
    if not files:
        raise ValueError(f"Expected complete runs in {folder}. Received: none that are.")
    print_line(f"Wrote {len(files)} files to {folder}")
