"""The commands and options of `kerasft`, and how their errors are shown."""

import importlib
import os
import re
import sys

import click

from kerasft_cli.quiet_start import quiet_workers, start_backend_quietly

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
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Random seed.",
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
        # A default of `None` would be taken for a value by recent Click.
        needed = {"required": True} if default is None else {"default": default}
        return click.option(
            "--out",
            metavar="DIR",
            show_default=default is not None,
            help="Folder to write to.",
            **needed,
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
@click.option(
    "--confidence",
    type=float,
    metavar="C",
    help="Stop when the top 25% of each layer are settled; over 0, under 1, e.g. 0.95. "
    "Default: use all pairs.",
)
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


def _numbers(context, parameter, value):
    """`100,500` as integers."""
    if value is None:
        return None
    if not all(part.strip().isdigit() and int(part) > 0 for part in value.split(",")):
        raise click.BadParameter(f"expected whole numbers separated by commas, not {value!r}")
    return tuple(dict.fromkeys(int(part) for part in value.split(",")))


def _texts(context, parameter, value):
    """`a,b` as texts."""
    return None if value is None else tuple(dict.fromkeys(p.strip() for p in value.split(",")))


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
    click.option(
        "--jobs", type=click.IntRange(min=1), help="Runs at a time. Default: one for each core."
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster to run on."),
    click.option(
        "--distortions", metavar="A,B,…", callback=_texts, help="Such as blur:1,awgn:central."
    ),
)
_SEEDS = click.option("--seeds", type=click.IntRange(min=1), help="Repetitions. Default: 3.")
_SIZES = click.option(
    "--sizes", metavar="N,N,…", callback=_numbers, help="Distorted training images."
)
_SIZE = click.option("--size", type=click.IntRange(min=1), help="Distorted training images.")
_PAIRS = click.option(
    "--pairs", type=click.IntRange(min=5), help="Pairs of images that vote. Default: 40000."
)


@_experiment(_PAIRS)
def figure4(**options):
    """Borda counts of the first layer, and how concentrated they are."""
    _run_experiment("figure4", **options)


@_experiment(_PAIRS)
def overlap(**options):
    """Agreement of the most affected filters between distortions and levels."""
    _run_experiment("overlap", **options)


@_experiment(
    _SIZES,
    _SEEDS,
    click.option(
        "--methods",
        metavar="A,B,…",
        callback=_texts,
        help="most, least, random, all; further: 'first layer whole', 'most in first layer', …",
    ),
)
def figure5(**options):
    """Accuracy against the number of distorted training images."""
    _run_experiment("figure5", **options)


@_experiment(_SIZE, _SEEDS)
def figure6(**options):
    """Disparity of binary feature maps before and after fine-tuning."""
    _run_experiment("figure6", **options)


@_experiment(_SIZE, _SEEDS)
def transfer(**options):
    """Fine-tune on one distortion, test on every other."""
    _run_experiment("transfer", **options)


@_experiment(_SIZES, _SEEDS)
def selection(**options):
    """How many filters to fine-tune, and chosen by which rule."""
    _run_experiment("selection", **options)


@reproduce.command()
@click.option("--out", metavar="DIR", default="docs/results", show_default=True)
def report(out):
    """Make every summary, figure and text anew from the runs in a folder."""
    _run("experiment_report", out=out)


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
    _run("table1", **options)


def _run_experiment(name, **options):
    start_backend_quietly()
    with quiet_workers():
        _run("experiment", experiment=name, **options)


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
    # Names of files, and signs that a terminal cannot show, do not end a command.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = cli.main(arguments, prog_name="kerasft", standalone_mode=False)
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Click 8.1 does not have it.
            print(error.format_message(), file=sys.stderr)
            sys.exit(2)
        _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        print("Interrupted; no file was left half-written.", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        _fail(str(error) or type(error).__name__)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        _fail(
            "Expected a model and a batch that fit memory. Received: "
            f"{str(error).strip().partition(chr(10))[0][:200]}; a smaller --batch-size may help, "
            "where the command has one."
        )
    sys.exit(status or 0)


def _is_out_of_memory(error):
    """Whether TensorFlow, JAX or PyTorch found no memory; each has errors of its own."""
    name = type(error).__name__
    return name in ("ResourceExhaustedError", "OutOfMemoryError") or (
        name == "XlaRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
    )


def _fail(message):
    # Keras writes in bold; names of files may hold what a terminal obeys.
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split())
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print(f"Error: {''.join(shown)}", file=sys.stderr)
    sys.exit(2)
