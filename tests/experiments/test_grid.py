"""A grid of runs goes on where it was stopped and never loses or mixes results."""

import contextlib
import gc
import json
import os
import pathlib
import random
import signal
import time

import grid_functions
import joblib
import keras
import pandas as pd
import pytest
from dask_cluster import dask_cluster
from forkserver import forkserver

from kerasft.experiments import grid, run_grid
from kerasft.experiments.grid import run_key
from kerasft.experiments.results_file import ResultsFile
from kerasft.files import locked

NUMBERS = [{"number": number, "word": 'a, "b"\n c'} for number in range(6)]
SETTINGS = {"network": "small", "model_sha256": "0123456789012345"}
PROVENANCE = ["date", "kerasft", "keras", "backend", "device"]


def _run(function, path, configurations=NUMBERS, settings=SETTINGS):
    return run_grid(function, configurations, settings, path, description="Squaring")


def test_rows_are_those_of_the_function_in_the_order_of_the_grid(tmp_path):
    table = _run(grid_functions.square, tmp_path / "squares.csv")
    assert table["square"].tolist() == [0, 1, 4, 9, 16, 25]
    assert table["half"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert set(table["word"]) == {NUMBERS[0]["word"]}
    assert set(table["model_sha256"]) == {"0123456789012345"}
    assert list(table.columns) == [
        "run", "number", "word", "network", "model_sha256", "square", "half", *PROVENANCE,
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["squares.csv"]


def test_names_stay_texts_and_what_has_underscores_is_no_number(tmp_path):
    numbers = [NUMBERS[0] | {"layers": "1_1", "other": "1_1", "status": ""}]
    table = _run(grid_functions.square, tmp_path / "x.csv", numbers, {"layer": "1"})
    row = table.iloc[0]
    assert [row["layers"], row["other"], row["status"]] == ["1_1", "1_1", ""]
    assert [row["layer"], row["number"]] == ["1", 0]


def test_a_run_may_give_several_rows(tmp_path):
    table = _run(grid_functions.two_rows, tmp_path / "x.csv")
    assert table["value"].tolist() == [n for n in range(6) for _ in range(2)]
    assert table["run"].nunique() == 6


def test_what_is_done_is_not_done_again_and_its_rows_do_not_change(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    path = tmp_path / "x.csv"
    numbers = [{"number": number, "folder": str(folder)} for number in range(6)]
    _run(grid_functions.leave_a_mark, path, numbers[:4])
    before = path.read_bytes()
    assert _run(grid_functions.leave_a_mark, path, numbers[:4]).shape[0] == 4
    assert path.read_bytes() == before
    assert _run(grid_functions.leave_a_mark, path, numbers)["number"].tolist() == list(range(6))
    assert path.read_bytes().startswith(before)
    # Rows of a part, and of the whole grid in another order.
    assert _run(grid_functions.leave_a_mark, path, numbers[2:4])["square"].tolist() == [4, 9]
    table = _run(grid_functions.leave_a_mark, path, numbers[::-1])
    assert table["number"].tolist() == list(range(6))[::-1]


def test_processes_give_what_one_gives_and_keep_to_their_threads(tmp_path):
    alone = _run(grid_functions.square, tmp_path / "a.csv")
    with joblib.parallel_config(n_jobs=2):
        pd.testing.assert_frame_equal(_run(grid_functions.square, tmp_path / "b.csv"), alone)
        table = _run(grid_functions.threads, tmp_path / "c.csv")
    assert os.getpid() not in set(table["process"])
    assert set(table["threads"]) == {max(1, joblib.cpu_count() // 2)}


def test_a_failing_run_is_reported_and_the_others_are_kept(tmp_path):
    path = tmp_path / "x.csv"
    with joblib.parallel_config(n_jobs=2), pytest.raises(ValueError, match="Received: 3"):
        _run(grid_functions.fails_at_three, path)
    # Run 2 may still have been in flight.
    assert {"0", "1"} <= set(ResultsFile(path).read()["number"])
    assert _run(grid_functions.square, path)["square"].tolist() == [0, 1, 4, 9, 16, 25]


def _without_provenance(path):
    return pd.read_csv(path, dtype=str).drop(columns=PROVENANCE).to_csv(index=False)


KILLED_GRID = [{"number": number} for number in range(60)]


def _run_to_be_killed(path, jobs, backend):
    # A session of its own, so that its workers can be killed with it. Nobody hears it.
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    gc.freeze()
    # So that a kill may meet it.
    grid._INTERVAL = 0.03
    with joblib.parallel_config(backend, n_jobs=jobs):
        _run(grid_functions.slow_two_rows, path, KILLED_GRID)


def _start(context, path, jobs, backend):
    process = context.Process(target=_run_to_be_killed, args=(path, jobs, backend))
    process.start()
    return process


def test_twenty_kills_at_random_moments_lose_nothing(tmp_path):
    _run(grid_functions.two_rows, tmp_path / "whole.csv", KILLED_GRID)
    path = tmp_path / "killed.csv"
    context, generator = forkserver(), random.Random(0)
    # The workers of the first outlive it and go on writing; they import TensorFlow before.
    first = _start(context, path, 2, "loky")
    while first.is_alive() and not path.exists():
        time.sleep(0.005)
    first.join(generator.uniform(0, 0.4))
    assert first.is_alive()
    first.kill()
    first.join()
    kills, rows = 1, 0
    while kills < 20:
        # At times with workers that are forked.
        process = _start(context, path, 1 + (kills % 5 == 4), "multiprocessing")
        process.join(generator.uniform(0, 0.4))
        if not process.is_alive():
            # It came to its end: begin again.
            path.unlink()
            rows = 0
            continue
        kills += 1
        # The workers with it, as when a machine stops.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
        if path.exists():
            table = ResultsFile(path).read()
            assert len(table) >= rows
            assert (table["value"] == table["number"]).all()
            rows = len(table)
    _run(grid_functions.two_rows, path, KILLED_GRID)
    assert _without_provenance(path) == _without_provenance(tmp_path / "whole.csv")
    # They have nothing more to do, but would wait for it for minutes.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(first.pid, signal.SIGKILL)


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "x.csv"
    for name in (".x.csv.kerasft-lock", ".x.csv.kerasft-ab12cd_9.tmp"):
        (tmp_path / name).touch()
    (tmp_path / ".x.csv.settings").touch()
    _run(grid_functions.square, path)
    assert {p.name for p in tmp_path.iterdir()} == {"x.csv", ".x.csv.settings"}


def test_what_is_in_scope_stays_there(tmp_path):
    with keras.saving.custom_object_scope({"Mine": ResultsFile}):
        _run(grid_functions.square, tmp_path / "x.csv", NUMBERS[:2])
        assert keras.saving.get_registered_object("Mine") is ResultsFile


def test_runs_that_others_left_are_taken_only_with_the_same_settings(tmp_path):
    path = tmp_path / "x.csv"
    table = _run(grid_functions.square, path)
    folder = tmp_path / f".x.{run_key(SETTINGS)}.runs"
    folder.mkdir()
    late = {
        "configuration": {"number": 7, "word": ""},
        "rows": [{"square": 49, "half": 3.5}],
        "provenance": table[PROVENANCE].iloc[0].to_dict(),
    }
    (folder / f"{run_key(late['configuration'])}.json").write_text(json.dumps(late))
    other = tmp_path / ".x.0123456789ab.runs"
    other.mkdir()
    (other / f"{run_key({'number': 8})}.json").write_text(json.dumps(late))
    assert _run(grid_functions.square, path).shape[0] == 6
    assert sorted(ResultsFile(path).table()["number"]) == [*range(6), 7]


def test_a_failed_write_is_told_and_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    write, failures = ResultsFile.write, []

    def full_disk(self, rows):
        failures.append(len(rows))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultsFile, "write", full_disk)
    monkeypatch.setattr(grid, "_INTERVAL", 0.01)
    with pytest.raises(OSError, match="No space left"):
        _run(grid_functions.slow_square, path, KILLED_GRID[:6])
    assert failures
    assert not path.exists()
    monkeypatch.setattr(ResultsFile, "write", write)
    done = len(list(tmp_path.glob(".x.*.runs/*.json")))
    assert done > 0

    def nothing_more(configuration):
        raise AssertionError("a run was repeated")

    finished = [c for c in KILLED_GRID if c["number"] < done]
    assert len(_run(nothing_more, path, finished)) == done


def test_a_run_that_lost_rows_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    _run(grid_functions.two_rows, path, KILLED_GRID[:6])
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match=r"Expected 2 rows of every run.*Received: 1 of run"):
        ResultsFile(path).read()


def test_runs_that_do_not_arrive_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "_run_one", _writes_nowhere)
    with pytest.raises(OSError, match=r"results of 6 runs.*Received: 0"):
        _run(grid_functions.square, tmp_path / "x.csv")


def _writes_nowhere(function, configuration, path):
    """A worker that does not see the folder."""


UNDAMAGED_GRID = [{"number": number} for number in range(6)]


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    """The text of a file of results."""
    path = tmp_path_factory.mktemp("undamaged") / "x.csv"
    _run(grid_functions.square, path, UNDAMAGED_GRID)
    return path.read_text()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-4], "cut off; remove all rows of run '[0-9a-f]{12}'"),
        (lambda text: text.rpartition(",")[0] + "\n", r"Expected 11 fields .* 10 in line 7"),
        (
            lambda text: text.replace("0123456789012345", "f" * 16),
            "model_sha256 = 0123456789012345",
        ),
        (lambda text: text.replace("network", "net", 1), "columns"),
        (lambda text: "nonsense\n", "columns"),
        (lambda text: 'a,b\n"1\n', "Expected a table"),
        (lambda text: "", "which is empty"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_kept(tmp_path, undamaged, damage, message):
    path = tmp_path / "x.csv"
    damaged = damage(undamaged)
    path.write_text(damaged)
    with pytest.raises(ValueError, match=message):
        _run(grid_functions.square, path, UNDAMAGED_GRID)
    assert path.read_text() == damaged


def test_two_processes_do_not_write_one_file(tmp_path):
    path = tmp_path / "x.csv"
    with (
        locked(path),
        pytest.raises(ValueError, match="Expected no other process"),
    ):
        _run(grid_functions.square, path)
    assert _run(grid_functions.square, path).shape[0] == 6


def test_a_configuration_given_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="once"):
        _run(grid_functions.square, tmp_path / "x.csv", [NUMBERS[0], NUMBERS[0]])


def test_the_same_grid_on_a_dask_cluster_of_two_workers(tmp_path, monkeypatch):
    distributed = pytest.importorskip("dask.distributed")
    # Workers find the functions of this test as any user's module.
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))
    alone = _run(grid_functions.square, tmp_path / "alone.csv")
    with (
        dask_cluster() as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        table = _run(grid_functions.square, tmp_path / "dask.csv")
        processes = _run(grid_functions.threads, tmp_path / "threads.csv")["process"]
    pd.testing.assert_frame_equal(table, alone)
    assert os.getpid() not in set(processes)
