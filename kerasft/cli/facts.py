import datetime
import platform
import shlex
import sys

import keras

import kerasft


def command_line():
    """The command that this process was started with, as a shell takes it."""
    return shlex.join(["kerasft", *sys.argv[1:]])


def run_facts(command, more):
    """How a result came about, for a page.

    Args:
        command: The command.
        more: Dictionary of further facts from name to text.

    Returns:
        Dictionary from name to text: the command, today's date, those, and
        versions.
    """
    return {
        "Command": command,
        "Date": datetime.date.today().isoformat(),
        **more,
        "Versions": f"kerasft {kerasft.__version__}, Keras {keras.__version__} "
        f"({keras.backend.backend()}), Python {platform.python_version()}",
    }
