"""Turns, ratios, memory and processes are what the benchmarks take them for."""

import math
import os
import sys

import measuring
import numpy as np
import pandas as pd
import pytest

MIB = 2**20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_variants_take_turns_after_one_untimed_call_and_each_comes_first_in_turn():
    calls = []
    variants = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = measuring.take_turns(variants, turns=4)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 4, "b": 4, "c": 4}


def test_a_short_variant_is_called_until_its_turn_is_long_enough(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])
    calls = []

    def two_seconds():
        calls.append(now[0])
        now[0] += 2

    seconds = measuring.take_turns({"a": two_seconds}, turns=2, at_least=5)
    # One untimed, then three in each turn: two would be over after four seconds.
    assert len(calls) == 1 + 3 + 3
    assert seconds["a"].tolist() == [2, 2]


def test_ratios_within_turns_are_not_moved_by_a_machine_that_slows_down():
    slower = np.array([1.0, 2.0, 8.0])
    found = measuring.ratios({"base": slower, "other": 3 * slower}, "base")
    assert found == {"base": (1, 1, 1), "other": (3, 3, 3)}


@pytest.mark.parametrize("count", [1, 3, 6, 7, 9, 15, 21, 40])
def test_interval_of_the_median_holds_95_percent_by_counting(count):
    values = np.random.default_rng(count).permutation(count)
    median, low, high = measuring.median_with_interval(values)
    assert median == np.median(values)
    assert low + high == count - 1

    def coverage(place):
        # The median of all values lies below the place-th of these with probability …
        outside = sum(math.comb(count, k) for k in range(place)) / 2**count
        return 1 - 2 * outside

    place = int(low) + 1
    assert place == 1 or coverage(place) >= 0.95
    # The narrowest that does.
    assert coverage(place + 1) < 0.95


@on_linux
def test_peak_memory_is_that_of_the_call_alone():
    # Large enough that the allocator hands them back at once.
    np.ones(300 * MIB, "uint8").sum()

    def hold(mib):
        return int(np.ones(mib * MIB, "uint8").sum()) // MIB

    result, seconds, peak = measuring.call_measured(lambda: hold(100))
    assert result == 100
    assert seconds > 0
    assert 90 < peak < 150
    assert measuring.call_measured(lambda: hold(1))[2] < 50


def identity(*arguments):
    return {"process": os.getpid(), "arguments": list(arguments), "set": os.environ.get("MARK")}


def peak_of_nothing():
    return measuring.call_measured(lambda: None)[2], measuring._memory()[1]


def fails():
    raise ValueError("Expected anything else.")


def test_a_fresh_process_gets_arguments_and_environment(monkeypatch):
    monkeypatch.setenv("MARK", "here")
    found = measuring.in_fresh_process(identity, 1, "two", [3])
    assert found["arguments"] == [1, "two", [3]]
    assert found["process"] != os.getpid()
    assert found["set"] == "here"
    assert measuring.in_fresh_process(identity, environment={"MARK": None})["set"] is None


@on_linux
def test_memory_of_a_fresh_process_is_not_that_of_the_one_that_started_it():
    held = np.ones(600 * MIB, "uint8")
    added, peak = measuring.in_fresh_process(peak_of_nothing)
    assert held.sum() == 600 * MIB
    assert added < 5
    assert peak / 1024 < 500


def test_failure_in_a_fresh_process_stops_the_benchmark_and_is_shown():
    with pytest.raises(SystemExit, match="Expected anything else"):
        measuring.in_fresh_process(fails)


def test_a_quick_run_keeps_away_from_the_results(tmp_path):
    parser = measuring.Parser("What it does.\n\nMore.", "bench-it.csv")
    assert parser.description == "What it does."
    assert parser.parse_args([]).out == measuring.RESULTS / "bench-it.csv"
    quick = parser.parse_args(["--quick"]).out
    assert quick.name == "bench-it.csv"
    assert measuring.RESULTS not in quick.parents
    assert parser.parse_args(["--out", str(tmp_path)]).out == tmp_path / "bench-it.csv"
    assert parser.parse_args(["--out", str(tmp_path / "x.csv")]).out == tmp_path / "x.csv"


def test_tables_say_when_where_and_with_what(tmp_path, capsys):
    out = tmp_path / "folder" / "table.csv"
    measuring.write_table(pd.DataFrame({"ratio": [1.5, 2.0]}), out)
    table = pd.read_csv(out)
    assert table["ratio"].tolist() == [1.5, 2.0]
    assert set(table.columns) >= {"date", "kerasft", "keras", "backend", "numpy", "machine"}
    assert (table["numpy"] == np.__version__).all()
    assert "cores" in table["machine"].iloc[0]
    assert str(out) in capsys.readouterr().out
