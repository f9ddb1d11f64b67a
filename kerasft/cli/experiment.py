import functools
import pathlib

from kerasft.cli.input_folders import check_output_apart
from kerasft.cli.output import print_line
from kerasft.cli.output_folder import check_output_folder
from kerasft.cli.workers import workers
from kerasft.datasets import ImageDataset, cifar10, cifar100, digits, stratified_split
from kerasft.distortions import parse_distortion
from kerasft.experiments import Baseline, Bench, ImageStore, run_grid, train_baseline
from kerasft.experiments.catalogue import EXPERIMENTS
from kerasft.experiments.outputs import output_files, runs_file, write_outputs
from kerasft.experiments.results_file import ResultsFile


def run(
    experiment,
    dataset,
    data,
    network,
    baseline_epochs,
    cache,
    out,
    jobs,
    scheduler,
    **grid,
):
    """The commands `kerasft reproduce figure4` and others; arguments are their options."""
    entry = EXPERIMENTS[experiment]
    if grid["distortions"] is not None:
        grid["distortions"] = tuple(dict.fromkeys(map(_by_number, grid["distortions"])))
    configurations = entry.configurations(**{k: v for k, v in grid.items() if v is not None})
    for folder in (out, cache):
        check_output_folder(folder, force=True)
        if data is not None:
            # Beside these two is fine.
            check_output_apart(folder, *(pathlib.Path(data, part) for part in ("train", "test")))
    label = network if dataset == "cifar10" else f"{network}-{dataset}"
    path = runs_file(experiment, label, pathlib.Path(out))
    files = [path, *output_files(experiment, label, path.parent)]
    check_output_folder(out, True, [file.name for file in files])
    # What would be found out after hours of training the network.
    earlier = ResultsFile(path).read()
    if experiment == "overlap":
        _check_two(configurations, earlier)
    with workers(jobs, scheduler):
        store = ImageStore.create(_load(dataset, data), cache)
        _check_sizes(configurations, store)
        baseline = Baseline(network, epochs=baseline_epochs)
        bench = Bench(network, str(train_baseline(baseline, store, cache).absolute()), store)
        run_grid(
            functools.partial(entry.run, bench),
            configurations,
            bench.settings() | {key: configurations[0][key] for key in entry.unmixed},
            path,
            description=entry.title,
        )
    files = write_outputs(experiment, label, path.parent)
    print_line(f"Wrote {', '.join(map(str, files))}")


def _check_two(configurations, earlier):
    """Refuse one distortion for what two have in common, where the file has no other."""
    named = {configuration["distortion"] for configuration in configurations}
    if earlier is not None and "distortion" in earlier:
        named |= set(earlier["distortion"])
    if len(named) < 2:
        raise ValueError(f"Expected at least two --distortions. Received: {', '.join(named)}.")


def _by_number(distortion):
    """`awgn:central` as `awgn:15`, so that one distortion has one name in results."""
    return parse_distortion(distortion).short_form


def _load(dataset, data):
    if dataset == "digits":
        if data is not None:
            raise ValueError(
                f"Expected no --data for digits, which are embedded. Received: {data}."
            )
        images, labels = digits()
        train, test = stratified_split(labels, 597, seed=0)
        names = tuple(map(str, range(10)))
        return ImageDataset(images[train], labels[train], images[test], labels[test], names)
    return {"cifar10": cifar10, "cifar100": cifar100}[dataset](data)


def _check_sizes(configurations, store):
    available = len(store.training_rows())
    largest = max(configuration.get("size", 0) for configuration in configurations)
    if largest > available:
        raise ValueError(
            f"Expected at most {available} distorted training images, as many as there are. "
            f"Received: {largest}."
        )
