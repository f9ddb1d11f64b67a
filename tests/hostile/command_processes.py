"""The command in processes of its own, which start at once and can be killed."""

import os
import resource
import sys

from eagerly import eagerly
from forkserver import forkserver

from kerasft_cli.command import main


def start(words, log, largest_file=None):
    """Start `kerasft`; what it prints goes to a file.

    Args:
        words: The command line without `kerasft`.
        log: Path of the file.
        largest_file: Bytes beyond which no file can grow, as on a full disk.

    Returns:
        A `multiprocessing.Process` with the status as its `exitcode`.
    """
    process = forkserver().Process(
        target=_run, args=([str(w) for w in words], str(log), largest_file)
    )
    process.start()
    return process


def _run(words, log, largest_file):
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["kerasft", *words]
    # What is written is tested here.
    with eagerly():
        main(words)
