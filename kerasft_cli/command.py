"""The commands and options of `kerasft`, and how their errors are shown."""

import importlib
import os
import sys

import click

from kerasft_cli.quiet_start import start_backend_quietly

_EXISTING_OUT = "Write into OUT even if it exists; files of the same names are replaced."


def _image_options(command):
    """Options of every command that reads image folders for a model."""
    for option in (
        click.option(
            "--pixels",
            type=click.Choice(["0..255", "0..1", "-1..1"]),
            default="0..255",
            show_default=True,
            help="Pixel values that the model takes.",
        ),
        click.option(
            "--classes",
            metavar="A,B,…",
            help="Class folders in the order of the model's outputs. Default: alphabetical.",
        ),
    ):
        command = option(command)
    return command


def _seed_option(command):
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
    )(command)


def _layers_option(command):
    return click.option(
        "--layers", metavar="A,B,…", help="Convolution layers. Default: every Conv2D."
    )(command)


def _unpaired_options(command):
    for option in (
        click.option("--exemplars", type=click.IntRange(min=1), help="Of each set. Default: 1."),
        click.option(
            "--metric",
            type=click.Choice(["euclidean", "hamming"]),
            help="Distance that exemplars are found by. Default: euclidean.",
        ),
        click.option(
            "--features",
            type=click.Choice(["pixels", "feature_maps"]),
            help="What exemplars are found by. Default: pixels.",
        ),
        click.option(
            "--unpaired",
            is_flag=True,
            help="Rank from the exemplars of both folders; no pairs are needed.",
        ),
    ):
        command = option(command)
    return command


def _out_options(default=None):
    def decorate(command):
        command = click.option("--force", is_flag=True, help=_EXISTING_OUT)(command)
        return click.option(
            "--out",
            metavar="DIR",
            required=default is None,
            default=default,
            show_default=default is not None,
            help="Folder to write to.",
        )(command)

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kerasft")
def cli():
    """Recover an image classifier's accuracy on bad images.

    Finds the convolution filters that a distortion disturbs most, fine-tunes
    only those, and writes an ordinary Keras model back. Image folders hold one
    subfolder per class: DIR/<class>/*.jpg|png.
    """


@cli.command()
@_out_options("kerasft-demo")
@click.option("--quick", is_flag=True, help="One seed and few epochs, to see that it runs.")
def demo(out, force, quick):
    """Show the method on handwritten digits: blur, rank, fine-tune, merge.

    Needs no data and no network. Writes robust.keras, ranking.csv,
    results.csv, demo.png and report.html.
    """
    _run("demo", out=out, force=force, quick=quick)


@cli.command()
@click.argument("model")
@click.option("--clean", metavar="DIR", required=True, help="Clean images.")
@click.option("--distorted", metavar="DIR", help="Their distorted versions, at the same paths.")
@click.option("--distortion", metavar="KIND", help="awgn:SIGMA, blur:SIGMA or e.g. awgn:central.")
@_unpaired_options
@_layers_option
@_image_options
@_seed_option
@_out_options("kerasft-ranking")
def rank(**options):
    """Rank the filters of MODEL by what a distortion does to them.

    \b
    Examples:
      kerasft rank model.keras --clean photos --distortion awgn:15
      kerasft rank model.keras --clean photos --distorted noisy_photos
      kerasft rank model.keras --clean photos --distorted other_photos --unpaired
    """
    _run("rank", **options)


@cli.command()
@click.argument("model")
@click.option("--clean", metavar="DIR", required=True, help="Clean images.")
@click.option(
    "--distorted", metavar="DIR", required=True, help="Labelled distorted images to train on."
)
@click.option("--validation", metavar="DIR", help="Distorted images. Default: a fifth held out.")
@click.option("--test", metavar="DIR", help="Distorted images. Default: those for validation.")
@click.option("--clean-test", metavar="DIR", help="Clean images. Default: from --clean.")
@click.option(
    "--fraction",
    type=float,
    default=0.25,
    show_default=True,
    help="Share of each layer's filters to train.",
)
@click.option(
    "--which",
    type=click.Choice(["most", "least", "random", "all"]),
    default="most",
    show_default=True,
    help="Which filters: the most affected, or another choice to compare with.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Epochs without improvement before stopping.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@_unpaired_options
@_layers_option
@_image_options
@_seed_option
@_out_options()
def robustify(**options):
    """Make MODEL better on distorted images: rank, select, fine-tune, merge.

    Images in CLEAN and DISTORTED are pairs where their paths below the folder
    are the same (file suffixes may differ); with --unpaired they are two
    independent sets. Writes robust.keras, report.html,
    ranking.csv, ranking.json, history.csv and results.csv.

    \b
    Example:
      kerasft robustify model.keras --clean photos --distorted noisy_photos \\
          --test noisy_test_photos --out robust
    """
    _run("robustify", **options)


@cli.command()
@click.argument("model")
@click.option("--data", metavar="DIR", required=True, help="Labelled images.")
@click.option("--distortion", metavar="KIND", help="awgn:SIGMA, blur:SIGMA or e.g. awgn:central.")
@_image_options
@_seed_option
def evaluate(**options):
    """Measure the accuracy of MODEL on labelled images.

    \b
    Example:
      kerasft evaluate model.keras --data photos --distortion blur:1.0
    """
    _run("evaluate", **options)


@cli.group()
def reproduce():
    """Repeat an experiment of the paper (arXiv 1904.03949)."""


@reproduce.command()
@click.argument("model")
@click.option("--data", metavar="DIR", required=True, help="Clean images.")
@click.option(
    "--distortion",
    metavar="KIND",
    default="awgn:15",
    show_default=True,
    help="awgn:SIGMA, blur:SIGMA or e.g. awgn:central.",
)
@_layers_option
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
@_image_options
@click.option("--out", metavar="DIR", default="docs/results", show_default=True)
def table1(**options):
    """Matches between rankings with and without pairs, on MODEL.

    Every draw is written when it is done; a command that was stopped goes on
    where it stopped.
    """
    _run("reproduce", **options)


def _run(command, **options):
    start_backend_quietly()
    importlib.import_module(f"kerasft.cli.{command}").run(**options)


def main(arguments=None):
    """Run the command.

    Errors are one line on standard error and status 2; an interrupt is 130.

    Args:
        arguments: List of strings. Default: those of the process.
    """
    # Python code of TensorFlow obeys this; its native code is quieted later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        status = cli.main(arguments, prog_name="kerasft", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        print("Interrupted; no file was left half-written.", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        _fail(str(error) or type(error).__name__)
    sys.exit(status or 0)


def _fail(message):
    print(f"Error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
