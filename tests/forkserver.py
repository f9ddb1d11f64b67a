"""Processes forked from one that has imported what takes seconds; they start at once."""

import multiprocessing
import multiprocessing.forkserver

_PRELOADED = ["kerasft.experiments", "kerasft.cli.robustify", "kerasft_cli.command", "pytest"]


def forkserver():
    """The context of such processes.

    Returns:
        A `multiprocessing` context, the same for all tests.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    # Dask has a list of its own, which is too late then.
    multiprocessing.forkserver.ensure_running()
    return context
