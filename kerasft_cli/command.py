"""The `kerasft` command, and how its errors are shown."""

import os
import re
import sys

import click

from kerasft_cli.experiment_commands import reproduce
from kerasft_cli.image_commands import compare, demo, evaluate, rank, robustify
from kerasft_cli.interrupts import dropped_interrupts_again


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kerasft")
def cli():
    """Recover an image classifier's accuracy on bad images.

    Finds the convolution filters that a distortion disturbs most, fine-tunes
    only those, and writes an ordinary Keras model back. Image folders hold one
    subfolder per class: DIR/<class>/*.jpg|png.
    """


for _command in (compare, demo, evaluate, rank, reproduce, robustify):
    cli.add_command(_command)


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
        with dropped_interrupts_again():
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
        _fail(" ".join([str(error) or type(error).__name__, *_notes(error)]))
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        _fail(
            "Expected a model and a batch that fit memory. Received: "
            f"{str(error).strip().partition(chr(10))[0][:200]}; a smaller --batch-size may help, "
            f"where the command has one. {' '.join(_notes(error))}"
        )
    sys.exit(status or 0)


def _is_out_of_memory(error):
    """Whether TensorFlow, JAX or PyTorch found no memory; each has errors of its own."""
    name = type(error).__name__
    return name in ("ResourceExhaustedError", "OutOfMemoryError") or (
        name == "XlaRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
    )


def _notes(error):
    """What was added to an error on its way, such as which method failed so."""
    return getattr(error, "__notes__", [])


def _fail(message):
    # Keras writes in bold; names of files may hold what a terminal obeys.
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split())
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print(f"Error: {''.join(shown)}", file=sys.stderr)
    sys.exit(2)
