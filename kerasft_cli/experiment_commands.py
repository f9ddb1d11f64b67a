"""The commands that repeat the paper's experiments."""

import click

from kerasft_cli import running
from kerasft_cli.options import (
    DISTORTION_HELP,
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
      kerasft reproduce figure5 --data cifar-10-python.tar.gz --distortions awgn:15
      kerasft reproduce figure4 --dataset digits --distortions blur:1 --out digits
    """


def _experiment(*grid):
    """A command for an experiment: what all share, and its own grid."""

    def decorate(function):
        command = function
        for option in reversed((*_EXPERIMENT_OPTIONS, *grid)):
            command = option(command)
        return reproduce.command()(command)

    return decorate


_EXPERIMENT_OPTIONS = (
    click.option(
        "--dataset",
        type=click.Choice(["cifar10", "cifar100", "digits"]),
        default="cifar10",
        show_default=True,
        help="Images; digits are embedded.",
    ),
    click.option(
        "--data",
        metavar="PATH",
        help="CIFAR as the official archive, its folder, or folders train/<class> and "
        "test/<class>. Default: downloaded by Keras.",
    ),
    click.option(
        "--network",
        type=click.Choice(["cifar10_cnn", "all_conv_net"]),
        default="cifar10_cnn",
        show_default=True,
    ),
    click.option(
        "--baseline-epochs",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        help="At most so many to train the network on clean images.",
    ),
    click.option(
        "--cache",
        metavar="DIR",
        default="kerasft-cache",
        show_default=True,
        help="Trained networks and unpacked images.",
    ),
    click.option("--out", metavar="DIR", default="docs/results", show_default=True),
    jobs_option,
    click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster to run on."),
    click.option(
        "--distortions", metavar="A,B,…", callback=texts, help="Such as blur:1,awgn:central."
    ),
)
_SEEDS = click.option("--seeds", type=click.IntRange(min=1), help="Repetitions. Default: 3.")
_SIZES = click.option(
    "--sizes", metavar="N,N,…", callback=numbers, help="Distorted training images."
)
_SIZE = click.option("--size", type=click.IntRange(min=1), help="Distorted training images.")
_PAIRS = click.option(
    "--pairs", type=click.IntRange(min=5), help="Pairs of images that vote. Default: 40000."
)


@_experiment(_PAIRS)
def figure4(**options):
    """Borda counts of the first layer, and how concentrated they are."""
    running.run_with_workers("experiment", experiment="figure4", **options)


@_experiment(_PAIRS)
def overlap(**options):
    """Agreement of the most affected filters between distortions and levels."""
    running.run_with_workers("experiment", experiment="overlap", **options)


@_experiment(
    _SIZES,
    _SEEDS,
    click.option(
        "--methods",
        metavar="A,B,…",
        callback=texts,
        help="most, least, random, all; further: 'first layer whole', 'most in first layer', …",
    ),
)
def figure5(**options):
    """Accuracy against the number of distorted training images."""
    running.run_with_workers("experiment", experiment="figure5", **options)


@_experiment(_SIZE, _SEEDS)
def figure6(**options):
    """Disparity of binary feature maps before and after fine-tuning."""
    running.run_with_workers("experiment", experiment="figure6", **options)


@_experiment(_SIZE, _SEEDS)
def transfer(**options):
    """Fine-tune on one distortion, test on every other."""
    running.run_with_workers("experiment", experiment="transfer", **options)


@_experiment(_SIZES, _SEEDS)
def selection(**options):
    """How many filters to fine-tune, and chosen by which rule."""
    running.run_with_workers("experiment", experiment="selection", **options)


@reproduce.command()
@click.option("--out", metavar="DIR", default="docs/results", show_default=True)
def report(out):
    """Make every summary, figure and text anew from the runs in a folder."""
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
@layers_option
@click.option(
    "--subsets",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Draws of two unpaired sets.",
)
@click.option(
    "--size",
    type=click.IntRange(min=25),
    default=2000,
    show_default=True,
    help="Images in each of the two sets.",
)
@image_options
@click.option("--out", metavar="DIR", default="docs/results", show_default=True)
def table1(**options):
    """Matches between rankings with and without pairs, on MODEL.

    Every draw is written when it is done; a command that was stopped goes on
    where it stopped.
    """
    running.run("table1", **options)
