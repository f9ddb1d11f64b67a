"""Seconds that `import kerasft` adds to `import keras`, and that `kerasft --help` takes.

    python benchmarks/startup.py

Every start is a process of its own; the two imports take turns, and what kerasft adds
is the median of the differences within turns. Before anything is timed, the names of
the package and the text of the help are looked at.
"""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from measuring import Parser, median_with_interval, rotated, write_table

PYTHON, KERAS, KERASFT, HELP = "python", "import keras", "import keras, kerasft", "kerasft --help"


def main(arguments=None):
    parser = Parser(__doc__, "bench-startup.csv")
    parser.add_argument("--turns", default=15, type=int)
    args = parser.parse_args(arguments)
    turns = 1 if args.quick else args.turns
    starts = commands()
    check(starts)
    if not args.quick:
        # Once untimed, so that files are in memory and compiled.
        for command in starts.values():
            run(command)
    seconds = {name: [] for name in starts}
    for turn in range(turns):
        for name in rotated(list(starts), turn):
            start = time.perf_counter()
            run(starts[name])
            seconds[name].append(time.perf_counter() - start)
    rows = []
    for name, base in ((PYTHON, None), (KERAS, None), (KERASFT, KERAS), (HELP, None)):
        row = {"start": name, "seconds": round(float(np.median(seconds[name])), 3)}
        if base:
            added = np.subtract(seconds[name], seconds[base])
            numbers = (round(number, 3) for number in median_with_interval(added))
            row |= dict(zip(("added", "low", "high"), numbers, strict=True))
        rows.append({**row, "turns": turns})
    write_table(pd.DataFrame(rows), args.out)


def commands():
    """What is started: dictionary from name to the arguments of a process."""
    script = pathlib.Path(sys.executable).with_name("kerasft")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "kerasft_cli"]
    return {
        PYTHON: [sys.executable, "-c", ""],
        KERAS: [sys.executable, "-c", KERAS],
        KERASFT: [sys.executable, "-c", KERASFT],
        HELP: [*command, "--help"],
    }


def check(starts):
    """The import gives the package's names, and the help names its commands."""
    names = run([*starts[KERASFT][:2], f"{KERASFT}; print(dir(kerasft))"])
    text = run(starts[HELP])
    for wanted, where in (("rank_filters", names), ("robustify", text)):
        if wanted not in where:
            raise SystemExit(f"Expected {wanted!r} in what is started. Received: {where[:200]}")


def run(command):
    """What a command writes."""
    return subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
    ).stdout


if __name__ == "__main__":
    main()
