import dataclasses
from collections.abc import Callable

from kerasft.experiments import (
    figure4,
    figure5,
    figure6,
    overlap,
    rankings,
    selection_rules,
    transfer,
)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment of the paper.

    Attributes:
        title: What it shows.
        runs: Name of the results file; experiments with the same name share
            their runs.
        configurations: Function from the options of the grid to its
            configurations.
        run: Function from a bench and a configuration to rows.
        summarise: Function from all rows to a table.
        draw: Function from all rows to a figure.
        describe: Function from all rows to sentences.
        unmixed: Keys of a configuration of which a file holds one value only.
    """

    title: str
    runs: str
    configurations: Callable
    run: Callable
    summarise: Callable
    draw: Callable
    describe: Callable
    unmixed: tuple[str, ...] = ()


def _experiment(title, runs, grid, shown, unmixed=()):
    return Experiment(
        title,
        runs,
        grid.configurations,
        grid.run,
        shown.summarise,
        shown.draw,
        shown.describe,
        unmixed,
    )


# Votes of other parts of the images cannot be added up.
_PARTS = ("parts", "pairs")


EXPERIMENTS = {
    "figure4": _experiment(
        "Figure 4: susceptibility of filters", "rankings", rankings, figure4, _PARTS
    ),
    "overlap": _experiment(
        "Overlap of the most affected filters", "rankings", rankings, overlap, _PARTS
    ),
    "figure5": _experiment(
        "Figure 5: accuracy against distorted training images", "figure5", figure5, figure5
    ),
    "figure6": _experiment("Figure 6: disparity of feature maps", "figure6", figure6, figure6),
    "transfer": _experiment("Transfer to other distortions", "transfer", transfer, transfer),
    "selection": _experiment(
        "How many filters, by which rule", "selection", selection_rules, selection_rules
    ),
}
