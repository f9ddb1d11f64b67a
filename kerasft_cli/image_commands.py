"""The commands that work on image folders."""

import click

from kerasft_cli import running
from kerasft_cli.options import (
    DISTORTION_HELP,
    WholeNumber,
    image_options,
    jobs_option,
    json_option,
    layers_option,
    options_given,
    out_options,
    seed_option,
    training_options,
    unpaired_options,
)


@click.command()
@click.option("--quick", is_flag=True, help="One seed and few epochs, to see that it runs.")
@out_options("kerasft-demo")
@json_option
def demo(**options):
    """Show the method on blurred handwritten digits.

    Trains a small network on clean digits, ranks its filters, fine-tunes a
    quarter of them on blurred digits and merges them. Needs no data and no
    network connection. Writes robust.keras, ranking.csv, results.csv, demo.png
    and report.html.

    \b
    Example:
      kerasft demo --quick --out digits
    """
    running.run("demo", **options)


@click.command()
@click.argument("model")
@click.option("--clean", metavar="DIR", required=True, help="Clean images.")
@click.option("--distorted", metavar="DIR", help="Distorted images; they or --distortion.")
@click.option("--distortion", metavar="KIND", help=DISTORTION_HELP)
@click.option(
    "--confidence",
    type=float,
    metavar="X",
    help="Stop when the top 25% of each layer are settled; over 0, under 1, such as 0.95.  "
    "[default: use all pairs]",
)
@unpaired_options
@layers_option
@image_options
@seed_option("Random seed of --distortion.")
@out_options("kerasft-ranking")
@json_option
def rank(**options):
    """Rank the filters of MODEL by what a distortion does to them.

    Images in CLEAN and DISTORTED are pairs where their paths below the folder
    are the same (file suffixes may differ); with --unpaired they are two
    independent sets; with --distortion the clean images are distorted. Writes
    ranking.csv and ranking.json.

    \b
    Examples:
      kerasft rank model.keras --clean photos --distortion awgn:15
      kerasft rank model.keras --clean photos --distorted noisy_photos
      kerasft rank model.keras --clean photos --distorted other_photos --unpaired
    """
    running.run("rank", **options)


@click.command()
@click.argument("model")
@click.option("--clean", metavar="DIR", required=True, help="Clean images.")
@click.option(
    "--distorted", metavar="DIR", required=True, help="Labelled distorted images to train on."
)
@click.option("--validation", metavar="DIR", help="Distorted images.  [default: a fifth held out]")
@click.option("--test", metavar="DIR", help="Distorted images.  [default: those for validation]")
@click.option("--clean-test", metavar="DIR", help="Clean images.  [default: from --clean]")
@click.option(
    "--fraction",
    type=float,
    metavar="X",
    default=0.25,
    show_default=True,
    help="Share of each layer's filters to train, over 0 and at most 1.",
)
@click.option(
    "--which",
    type=click.Choice(["most", "least", "random", "all"]),
    default="most",
    show_default=True,
    help="Which filters: the most affected, or another choice to compare with.",
)
@training_options
@unpaired_options
@layers_option
@image_options
@seed_option()
@out_options()
@json_option
def robustify(**options):
    """Make MODEL better on distorted images.

    Ranks the filters of MODEL, fine-tunes those that the distortion affects
    most and merges them. Images in CLEAN and DISTORTED are pairs where their paths below the folder
    are the same (file suffixes may differ); with --unpaired they are two
    independent sets. Writes robust.keras, report.html,
    ranking.csv, ranking.json, history.csv and results.csv.

    \b
    Example:
      kerasft robustify model.keras --clean photos --distorted noisy_photos \\
          --test noisy_test_photos --out robust
    """
    running.run("robustify", **options)


@click.command()
@click.argument("model")
@click.option("--data", metavar="DIR", required=True, help="Labelled images.")
@click.option("--distortion", metavar="KIND", help=DISTORTION_HELP)
@image_options
@seed_option("Random seed of --distortion.")
@json_option
def evaluate(**options):
    """Measure the accuracy of MODEL on labelled images.

    \b
    Examples:
      kerasft evaluate model.keras --data noisy_photos
      kerasft evaluate model.keras --data photos --distortion blur:1.0
    """
    running.run("evaluate", **options)


@click.command()
@click.argument("model", required=False)
@click.option("--clean", metavar="DIR", help="Clean images.")
@click.option(
    "--distorted",
    metavar="DIR",
    help="Distorted images to train on; without class folders: not labelled.",
)
@click.option("--validation", metavar="DIR", help="Distorted images.  [default: a fifth held out]")
@click.option("--test", metavar="DIR", help="Distorted images.  [default: a fifth kept for it]")
@click.option("--clean-test", metavar="DIR", help="Clean images.  [default: from --clean]")
@click.option(
    "--cifar10-c",
    metavar="PATH",
    help="Every corruption of CIFAR-10-C instead of --distorted; folder or archive.",
)
@click.option(
    "--severity",
    type=WholeNumber(1, 5),
    default=5,
    show_default=True,
    help="Severity of the corruptions, 1 to 5.",
)
@click.option(
    "--labels",
    type=WholeNumber(),
    help="Labelled distorted images to draw for each seed.  [default: all]",
)
@click.option(
    "--methods",
    metavar="A,B,…",
    help="Methods to compare, such as 'nothing,batch norm,most'.  [default: all]",
)
@training_options
@click.option(
    "--search-learning-rate",
    is_flag=True,
    help="Find the learning rate of each method that needs labels, on the validation images.",
)
@layers_option
@image_options
@click.option("--seeds", type=WholeNumber(), default=3, show_default=True, help="Repetitions.")
@jobs_option
@click.option(
    "--quick",
    is_flag=True,
    help="One seed and, without --epochs, few of them, to see that it runs; without MODEL on "
    "embedded digits, of which --labels are 100.",
)
@click.option("--save-best", is_flag=True, help="Write the recommended model, best.keras.")
@out_options(
    "kerasft-comparison",
    force="Write into OUT even if it exists; runs in it are kept, other files of the same names "
    "are replaced.",
)
@json_option
@click.pass_context
def compare(context, **options):
    """Compare ways to make MODEL better on distorted images.

    Every method is given the same images and the same early stopping. Images
    in CLEAN and DISTORTED are pairs where all paths below DISTORTED are in
    CLEAN too (file suffixes may differ). Writes comparison.csv (every run, as
    soon as it is done), leaderboard.csv and report.html; a command that was
    stopped goes on where it stopped.

    \b
    Examples:
      kerasft compare --quick
      kerasft compare model.keras --clean photos --distorted noisy_photos \\
          --test noisy_test_photos --labels 500 --save-best --out comparison
      kerasft compare model.keras --cifar10-c CIFAR-10-C.tar --labels 500
    """
    running.run_with_workers("compare", given=options_given(context), **options)
