"""What the benchmarks named check before they time anything, and that they run.

    python benchmarks/quick.py emd ranking

One process runs all: the start of one takes as long as most of them. Their times, and the
summary of them, go to a temporary folder and mean nothing. What one prints is shown if it
fails.
"""

import contextlib
import importlib
import io
import pathlib
import sys
import tempfile

import keras


def check(name, out):
    """The quick run of one benchmark, or of the summary; it writes below `out`."""
    where = ["--results", str(out)] if name == "summary" else ["--quick"]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            importlib.import_module(name).main([*where, "--out", str(out)])
    except BaseException:
        print(printed.getvalue(), flush=True)
        raise
    keras.utils.clear_session(free_memory=True)
    print(f"{name} checked", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in [*sys.argv[1:], "summary"]:
            check(benchmark, pathlib.Path(folder))
