"""Options that several commands have."""

import click
from click.core import ParameterSource


class WholeNumber(click.ParamType):
    """An integer in a range; unlike that of `click.IntRange`, its help has no formulas."""

    name = "N"

    def __init__(self, minimum=1, maximum=None):
        self._range = click.IntRange(minimum, maximum)

    def convert(self, value, param, ctx):
        return self._range.convert(value, param, ctx)


DISTORTION_HELP = (
    "Distort the images: awgn:SIGMA, blur:SIGMA, jpeg:QUALITY, motion:LENGTH, contrast:FACTOR, "
    "impulse:AMOUNT, shot:PHOTONS, or a level as in awgn:central."
)


def image_options(command):
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
            help="Class folders in the order of the model's outputs.  [default: alphabetical]",
        ),
    ):
        command = option(command)
    return command


def seed_option(text="Random seed."):
    return click.option(
        "--seed",
        type=WholeNumber(0, 2**32 - 1),
        default=0,
        show_default=True,
        help=text,
    )


def layers_option(command):
    return click.option(
        "--layers", metavar="A,B,…", help="Convolution layers.  [default: every Conv2D]"
    )(command)


def training_options(command):
    """Options of every command that trains the model."""
    for option in (
        click.option(
            "--batch-size",
            type=WholeNumber(),
            default=64,
            show_default=True,
            help="Images in one training step.",
        ),
        click.option(
            "--patience",
            type=WholeNumber(),
            default=15,
            show_default=True,
            help="Epochs without improvement before stopping.",
        ),
        click.option(
            "--epochs",
            type=WholeNumber(),
            default=200,
            show_default=True,
            help="At most so many passes over the training images.",
        ),
    ):
        command = option(command)
    return command


def unpaired_options(command):
    for option in (
        click.option(
            "--exemplars", type=WholeNumber(), help="Exemplars of each folder.  [default: 1]"
        ),
        click.option(
            "--metric",
            type=click.Choice(["euclidean", "hamming"]),
            help="Distance that exemplars are found by.  [default: euclidean]",
        ),
        click.option(
            "--features",
            type=click.Choice(["pixels", "feature_maps"]),
            help="What exemplars are found by.  [default: pixels]",
        ),
        click.option(
            "--unpaired",
            is_flag=True,
            help="Rank from the exemplars of both folders; no pairs are needed.",
        ),
    ):
        command = option(command)
    return command


def out_options(
    default=None, force="Write into OUT even if it exists; files of the same names are replaced."
):
    def decorate(command):
        command = click.option("--force", is_flag=True, help=force)(command)
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


jobs_option = click.option(
    "--jobs",
    type=WholeNumber(),
    help="Runs at a time.  [default: one for each core, or a single one on an accelerator]",
)

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON, for machines.",
)


def options_given(context):
    """Names of the options on a command line, which a default does not tell from others.

    Args:
        context: The `click.Context` of the command.

    Returns:
        List such as `["--pixels"]`, in the order of the help.
    """
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]


def numbers(context, parameter, value):
    """`100,500` as integers."""
    if value is None:
        return None
    if not all(part.strip().isdigit() and int(part) > 0 for part in value.split(",")):
        raise click.BadParameter(f"expected whole numbers separated by commas, not {value!r}")
    return tuple(dict.fromkeys(int(part) for part in value.split(",")))


def texts(context, parameter, value):
    """`a,b` as texts."""
    return None if value is None else tuple(dict.fromkeys(p.strip() for p in value.split(",")))
