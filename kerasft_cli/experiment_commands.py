"""The commands that repeat the paper's experiments."""

import click

from kerasft_cli import running
from kerasft_cli.options import (
    DISTORTION_HELP,
    WholeNumber,
    image_options,
    jobs_option,
    layers_option,
    numbers,
    texts,
)


@click.group()
def reproduce():
    """Repeat an experiment of the paper (arXiv 1904.03949).

    Every run is written when it is done; a command that was stopped goes on
    where it stopped. Each experiment writes its runs as CSV, and from them a
    summary, a figure and a short text.

    \b
    Examples:
      kerasft reproduce figure5 --data cifar-10-python.tar.gz
      kerasft reproduce figure4 --dataset digits --distortions blur:1 --out digits
    """


_OUT = click.option(
    "--out",
    metavar="DIR",
    default="docs/results",
    show_default=True,
    help="Folder to write to.",
)


def _experiment(*grid, short_help=None):
    """A command for an experiment: its grid between what it works on and where it runs."""

    def decorate(function):
        command = function
        for option in reversed((*_MATERIAL_OPTIONS, *grid, *_RUNNING_OPTIONS)):
            command = option(command)
        return reproduce.command(short_help=short_help)(command)

    return decorate


_MATERIAL_OPTIONS = (
    click.option(
        "--dataset",
        type=click.Choice(["cifar10", "cifar100", "digits"]),
        default="cifar10",
        show_default=True,
        help="Images to work on; digits are embedded.",
    ),
    click.option(
        "--data",
        metavar="PATH",
        help="CIFAR as the official archive, its folder, or folders train/<class> and "
        "test/<class>.  [default: downloaded by Keras]",
    ),
    click.option(
        "--network",
        type=click.Choice(["cifar10_cnn", "all_conv_net"]),
        default="cifar10_cnn",
        show_default=True,
        help="Network to train on clean images.",
    ),
    click.option(
        "--baseline-epochs",
        type=WholeNumber(),
        default=200,
        show_default=True,
        help="At most so many passes over the clean images.",
    ),
    click.option(
        "--distortions",
        metavar="A,B,…",
        callback=texts,
        help="Distortions, such as blur:1,awgn:central.  [default: those of the experiment]",
    ),
)
_RUNNING_OPTIONS = (
    jobs_option,
    click.option("--scheduler", metavar="ADDRESS", help="Dask cluster to run on."),
    click.option(
        "--cache",
        metavar="DIR",
        default="kerasft-cache",
        show_default=True,
        help="Folder for trained networks and unpacked images.",
    ),
    _OUT,
)
_SEEDS = click.option("--seeds", type=WholeNumber(), help="Repetitions.  [default: 3]")
_SIZES = click.option(
    "--sizes",
    metavar="N,N,…",
    callback=numbers,
    help="Distorted training images.  [default: those of the experiment]",
)
_SIZE = click.option(
    "--size",
    type=WholeNumber(),
    help="Distorted training images.  [default: that of the experiment]",
)
_PAIRS = click.option(
    "--pairs",
    type=WholeNumber(5),
    help="Pairs of images that vote, at least 5.  [default: 40000]",
)


@_experiment(_PAIRS)
def figure4(**options):
    """Borda counts of the first layer, and how concentrated they are.

    \b
    Example:
      kerasft reproduce figure4 --dataset digits --distortions blur:1 --out digits
    """
    running.run_with_workers("experiment", experiment="figure4", **options)


@_experiment(_PAIRS, short_help="Agreement of rankings between distortions and levels.")
def overlap(**options):
    """Agreement of the most affected filters between distortions and levels.

    \b
    Example:
      kerasft reproduce overlap --dataset digits --distortions blur:1,awgn:15
    """
    running.run_with_workers("experiment", experiment="overlap", **options)


@_experiment(
    _SIZES,
    _SEEDS,
    click.option(
        "--methods",
        metavar="A,B,…",
        callback=texts,
        help="Methods: most, least, random, all; further: 'first layer whole', "
        "'most in first layer', ….  [default: the first four]",
    ),
)
def figure5(**options):
    """Accuracy against the number of distorted training images.

    \b
    Example:
      kerasft reproduce figure5 --data cifar-10-python.tar.gz --sizes 500,5000
    """
    running.run_with_workers("experiment", experiment="figure5", **options)


@_experiment(_SIZE, _SEEDS)
def figure6(**options):
    """Disparity of binary feature maps before and after fine-tuning.

    \b
    Example:
      kerasft reproduce figure6 --data cifar-10-python.tar.gz --distortions blur:1
    """
    running.run_with_workers("experiment", experiment="figure6", **options)


@_experiment(_SIZE, _SEEDS)
def transfer(**options):
    """Fine-tune on one distortion, test on every other.

    \b
    Example:
      kerasft reproduce transfer --data cifar-10-python.tar.gz --size 500
    """
    running.run_with_workers("experiment", experiment="transfer", **options)


@_experiment(_SIZES, _SEEDS)
def selection(**options):
    """How many filters to fine-tune, and chosen by which rule.

    \b
    Example:
      kerasft reproduce selection --data cifar-10-python.tar.gz --seeds 5
    """
    running.run_with_workers("experiment", experiment="selection", **options)


@reproduce.command(short_help="Make summaries, figures and texts anew from runs.")
@_OUT
def report(out):
    """Make every summary, figure and text anew from the runs in a folder.

    \b
    Example:
      kerasft reproduce report --out docs/results
    """
    running.run("experiment_report", out=out)


@reproduce.command()
@click.argument("model")
@click.option("--data", metavar="DIR", required=True, help="Clean images.")
@click.option(
    "--distortion",
    metavar="KIND",
    default="awgn:15",
    show_default=True,
    help=DISTORTION_HELP,
)
@click.option(
    "--subsets",
    type=WholeNumber(),
    default=10,
    show_default=True,
    help="Draws of two unpaired sets.",
)
@click.option(
    "--size",
    type=WholeNumber(25),
    default=2000,
    show_default=True,
    help="Images in each of the two sets, at least 25.",
)
@layers_option
@image_options
@_OUT
def table1(**options):
    """Matches between rankings with and without pairs, on MODEL.

    Every draw is written when it is done; a command that was stopped goes on
    where it stopped.

    \b
    Example:
      kerasft reproduce table1 baseline.keras --data cifar10/train
    """
    running.run("table1", **options)
