"""Grids of independent runs that can be stopped at any moment and go on."""

import contextlib
import hashlib
import json
import shutil
import threading

import joblib
import keras
import pandas as pd

from kerasft.backend import limit_threads
from kerasft.experiments.provenance import provenance
from kerasft.experiments.results_file import ResultsFile, typed
from kerasft.files import locked, write_whole
from kerasft.progress import start_progress

# How often finished runs are looked for, in seconds.
_INTERVAL = 0.5


def run_grid(function, configurations, settings, path, *, description):
    """Run every configuration that has no result yet, and keep the results.

    Each run writes its rows to a file of its own, whole, from which they are
    moved to the table at `path`; a process that is killed loses the runs in
    flight and nothing else. Runs go in parallel over what
    `joblib.parallel_config` says: processes, or a Dask or Ray cluster whose
    machines share the folder of `path`. With processes each is limited to its
    share of the machine's threads.

    Args:
        function: Called with a configuration and returning the list of its
            rows, each a dictionary of JSON values, as many for every
            configuration; must be importable, and seeded by its configuration
            alone.
        configurations: List of dictionaries of JSON values, all with the same
            keys and none twice.
        settings: Dictionary of what all runs share and a file must not mix:
            the network, the data.
        path: The `.csv` file of all rows.
        description: A few words for the progress bar.

    Returns:
        `pandas.DataFrame` of all rows of the configurations, as the file has
        them, in the order of the grid: the columns of the configuration, of
        `settings`, of the rows, and of `kerasft.experiments.provenance`. Rows
        of configurations that were not asked for stay in the file.

    Raises:
        ValueError: The file has results of other settings or is damaged, or
            another process is writing it.
        MemoryError: A worker process was killed, as for want of memory.
        OSError: Results cannot be written, or do not arrive. Besides, what
            `function` raises.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasft.experiments import run_grid
    >>> def square(configuration):
    ...     return [{"square": configuration["number"] ** 2}]
    >>> numbers = [{"number": n} for n in range(3)]
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "squares.csv"
    >>> table = run_grid(square, numbers, {}, file, description="Squaring")
    >>> table["square"].tolist()
    [0, 1, 4]
    """
    file = ResultsFile(path)
    keys = [run_key(configuration) for configuration in configurations]
    if len(set(keys)) != len(keys):
        raise ValueError("Expected each configuration once. Received: one of them again.")
    with locked(file.path):
        table = _Table(file, configurations, settings)
        finished = table.collect()
        todo = [(k, c) for k, c in zip(keys, configurations, strict=True) if k not in finished]
        if todo:
            _run(function, todo, table, description, len(keys))
        table.sort(keys)
        return table.of(keys)


def run_key(configuration):
    """What tells a run from others: 12 hexadecimal digits of its configuration."""
    text = json.dumps(configuration, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _run(function, todo, table, description, total):
    table.folder.mkdir(parents=True, exist_ok=True)
    with _watched(table, description, total):
        try:
            joblib.Parallel(batch_size=1)(
                joblib.delayed(_run_one)(function, configuration, table.folder / f"{key}.json")
                for key, configuration in todo
            )
        except RuntimeError as error:
            # Of joblib's processes and of Dask, from modules that are not public.
            if type(error).__name__ not in ("TerminatedWorkerError", "KilledWorker"):
                raise
            raise MemoryError(
                "Expected worker processes that end by themselves. Received: one that was killed, "
                "perhaps for want of memory; what is done is kept, go on with fewer --jobs."
            ) from error
    missing = [key for key, _ in todo if key not in table.finished]
    if missing:
        raise OSError(
            f"Expected the results of {len(todo)} runs in {table.folder}. Received: "
            f"{len(todo) - len(missing)}; do all workers see that folder?"
        )
    shutil.rmtree(table.folder, ignore_errors=True)


@contextlib.contextmanager
def _watched(table, description, total):
    """Collect what runs leave and show how many there are, while the block runs.

    joblib tells of finished runs as they come for some of its backends only.
    """
    stop, failed = threading.Event(), []
    # Runs are few and long, so that the time left follows from all of them.
    progress = start_progress(speed_estimate_period=7 * 24 * 3600)
    task = progress.add_task(description, total=total, completed=len(table.finished_of_grid()))

    def watch():
        while not stop.wait(_INTERVAL):
            try:
                table.collect()
            except Exception as error:  # Raised again where it is seen.
                failed.append(error)
                return
            finished = len(table.finished_of_grid())
            if finished > progress.tasks[0].completed:
                progress.update(task, completed=finished)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        progress.stop()
        if not failed:
            table.collect()
    if failed:
        raise failed[0]


def _run_one(function, configuration, path):
    """One run, in whatever process or machine."""
    limit_threads()
    rows = function(configuration)
    # What one run leaves behind must not slow the next. In the caller's own process that
    # forgets custom objects in scope too, and an empty scope gives them back when it ends.
    with keras.saving.custom_object_scope({}):
        keras.utils.clear_session(free_memory=True)
    content = {"configuration": configuration, "rows": rows, "provenance": provenance()}
    write_whole(path, json.dumps(content).encode())


class _Table:
    """The rows in the file and those that finished runs left beside it.

    Attributes:
        folder: Where runs write their rows. Its name holds the settings, so
            that runs of others that still go on are not taken for these.
        finished: Set of the keys of runs that have rows in the file.
    """

    def __init__(self, file, configurations, settings):
        self._file = file
        self._settings = settings
        self._grid = {run_key(configuration) for configuration in configurations}
        self.folder = file.path.with_name(f".{file.path.stem}.{run_key(settings)}.runs")
        self._rows = file.read()
        if self._rows is None:
            self._rows = pd.DataFrame({"run": []}, dtype=str)
        else:
            self._check(set(configurations[0]) if configurations else set())
        self.finished = set(self._rows["run"])

    def _check(self, keys):
        missing = sorted({"run", *keys, *self._settings} - set(self._rows.columns))
        if missing:
            raise ValueError(
                f"Expected results with the columns {missing} in {self._file.path}. Received: "
                f"{list(self._rows.columns)[:12]}."
            )
        for name, value in self._settings.items():
            others = sorted(set(self._rows[name]) - {_text(value)})
            if others:
                raise ValueError(
                    f"Expected results with {name} = {_text(value)} in {self._file.path}. "
                    f"Received: those of {others[0]!r}; give another --out."
                )

    def finished_of_grid(self):
        """Keys of the runs of this grid that have rows in the file."""
        return self.finished & self._grid

    def collect(self):
        """Move what finished runs wrote into the file; returns `finished`."""
        new, files = [], sorted(self.folder.glob("[!.]*.json"))
        keys = {path.stem for path in files} - self.finished
        for path in files:
            if path.stem not in keys:
                continue
            for row in _rows_of_run(path, self._settings):
                new.append({"run": path.stem, **{name: _text(row[name]) for name in row}})
        if new:
            rows = pd.concat([self._rows, pd.DataFrame(new)]).fillna("")
            self._file.write(rows)
            # Only what is written is finished, and may go.
            self._rows = rows
        self.finished |= keys
        for path in files:
            path.unlink(missing_ok=True)
        return self.finished

    def sort(self, keys):
        """Put the rows into the order of the grid, others behind."""
        place = {key: index for index, key in enumerate(keys)}
        order = self._rows["run"].map(lambda key: place.get(key, len(place)))
        ordered = self._rows.iloc[order.argsort(kind="stable")]
        if not ordered["run"].equals(self._rows["run"]):
            self._rows = ordered.reset_index(drop=True)
            self._file.write(self._rows)

    def of(self, keys):
        """The rows of these runs, with numbers as numbers."""
        return typed(self._rows[self._rows["run"].isin(keys)])


def _rows_of_run(path, settings):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            {**content["configuration"], **settings, **row, **content["provenance"]}
            for row in content["rows"]
        ]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"Expected the rows of a finished run in {path}. Received: {type(error).__name__} "
            f"({error}); remove the file and the run is repeated."
        ) from error


def _text(value):
    return "" if value is None else str(value)
