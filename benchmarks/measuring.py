"""What the benchmarks share: fair turns, fresh processes, peak memory, whole files.

Timings on a shared machine drift by more than the differences sought. So variants
take turns within one run, times are divided within each turn, and the median of
these ratios is reported. What must not profit from what ran before it, and every
peak of memory, is measured in a process of its own.
"""

import argparse
import gc
import importlib.util
import inspect
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.stats

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "docs" / "results"


class Parser(argparse.ArgumentParser):
    """Command line of a benchmark: `--out` and `--quick`.

    Args:
        doc: Docstring of the benchmark; its first line is the description.
        file: Name of the file it writes in `docs/results`. A quick run checks
            results, its times mean nothing: it goes to a temporary folder
            unless told otherwise.
    """

    def __init__(self, doc, file):
        super().__init__(description=doc.partition("\n")[0])
        self._file = file
        self.add_argument(
            "--out",
            type=pathlib.Path,
            help=f"File or folder. Default: docs/results/{file}; with --quick, a temporary folder.",
        )
        self.add_argument(
            "--quick", action="store_true", help="Check the results; times mean nothing."
        )

    def parse_args(self, args=None, namespace=None):
        parsed = super().parse_args(args, namespace)
        if parsed.out is None:
            parsed.out = pathlib.Path(tempfile.mkdtemp()) if parsed.quick else RESULTS
        if parsed.out.is_dir():
            parsed.out /= self._file
        return parsed


def take_turns(variants, turns, at_least=0.0):
    """Time variants in turns, after one untimed call of each.

    Args:
        variants: Dictionary from name to a function without arguments.
        turns: Number of turns; in each, every variant is timed, and another
            one comes first.
        at_least: Seconds for which a variant is called again in each turn, so
            that short calls are measured over many.

    Returns:
        Dictionary from name to an array of the seconds of one call in each
        turn.
    """
    for call in variants.values():
        call()
    seconds = {name: [] for name in variants}
    for turn in range(turns):
        for name in rotated(list(variants), turn):
            calls, start = 0, time.perf_counter()
            while True:
                variants[name]()
                calls += 1
                passed = time.perf_counter() - start
                if passed >= at_least:
                    break
            seconds[name].append(passed / calls)
    return {name: np.asarray(times) for name, times in seconds.items()}


def rotated(names, turn):
    """The names in order, another one first in each turn."""
    first = turn % len(names)
    return names[first:] + names[:first]


def ratios(seconds, base):
    """Times divided by those of one variant within each turn.

    Args:
        seconds: Dictionary from name to an array of one time for each turn.
        base: Name of the variant to divide by.

    Returns:
        Dictionary from name to `(median, low, high)`; see
        `median_with_interval`.
    """
    return {
        name: median_with_interval(np.asarray(times) / np.asarray(seconds[base]))
        for name, times in seconds.items()
    }


def median_with_interval(values):
    """The median and its 95% interval by order statistics.

    It presumes no distribution. Fewer than six values cannot give 95%; then it
    runs from the least to the largest.

    Returns:
        `(median, low, high)`, floats.
    """
    ordered = np.sort(np.asarray(values, "float64"))
    place = max(1, int(scipy.stats.binom.ppf(0.025, len(ordered), 0.5)))
    return float(np.median(ordered)), float(ordered[place - 1]), float(ordered[-place])


def call_measured(function):
    """Call a function and measure it, once.

    Returns:
        `(result, seconds, mib)`: what the function returns, its time, and the
        peak of this process's memory beyond what it held before. The peak is
        that of the call alone only where the system lets it be reset (Linux);
        elsewhere call this once in a process.
    """
    gc.collect()
    _reset_peak()
    before, _ = _memory()
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    _, peak = _memory()
    return result, seconds, max(0.0, (peak - before) / 1024)


def _reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:  # Not Linux, or not allowed.
        return


def _memory():
    """Memory that this process holds now and held at most, KiB."""
    try:
        with open("/proc/self/status") as file:
            values = dict(line.split(":", 1) for line in file)
        # Not `ru_maxrss`, which a process inherits from the one that started it.
        return int(values["VmRSS"].split()[0]), int(values["VmHWM"].split()[0])
    except (OSError, KeyError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = peak // 1024 if sys.platform == "darwin" else peak
        return peak, peak


def in_fresh_process(function, *arguments, environment=None):
    """Call a function in a new Python process.

    Args:
        function: Function at the top level of a file.
        *arguments: Its arguments, JSON values.
        environment: Dictionary of environment variables to set; `None` as a
            value removes one.

    Returns:
        What it returns, a JSON value.

    Raises:
        SystemExit: It failed; with what it wrote to standard error.
    """
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **(environment or {})}
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            inspect.getfile(function),
            function.__name__,
            json.dumps(arguments),
        ],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{function.__name__}{arguments} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def about():
    """When, with what and where a measurement was made, for the columns of its file.

    Returns:
        Dictionary: `kerasft.experiments.provenance`, and `numpy`, `python`,
        `machine`.
    """
    from kerasft.experiments import provenance

    return {
        **provenance(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{_processor()}, {_cores()} cores",
    }


def write_table(table, out):
    """Write a table whole, with the columns of `about`, and show it.

    Args:
        table: `pandas.DataFrame`.
        out: Path of the `.csv` file; its folder is made.
    """
    from kerasft.files import write_whole

    print(table.to_string(index=False), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, table.assign(**about()).to_csv(index=False).encode())
    print(f"Wrote {out}", flush=True)


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


def _cores():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not Linux.
        return os.cpu_count()


def _main(path, name, arguments):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    # Before it runs: what it hands to processes of its own is found by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    print(json.dumps(getattr(module, name)(*json.loads(arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
