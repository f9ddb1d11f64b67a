"""How a command reaches the module that does its work, once the backend is up."""

import importlib
import os

from kerasft_cli.quiet_start import quiet_workers, start_backend_quietly


def run(command, **options):
    """Run a command.

    Args:
        command: Name of the module in `kerasft.cli` that holds it.
        **options: Its options.
    """
    start_backend_quietly()
    importlib.import_module(f"kerasft.cli.{command}").run(**options)


def run_with_workers(command, **options):
    """Run a command that starts worker processes; arguments as for `run`."""
    # With several processes on one accelerator none may take its memory whole when it starts.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    start_backend_quietly()
    with quiet_workers():
        run(command, **options)
