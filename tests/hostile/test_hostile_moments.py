"""Killed at any moment, on a full disk, beside another of its kind: no output is ever half."""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from hostile_material import contents, robustify

from kerasft.cli.output_folder import output_folder
from kerasft.susceptibility import FilterRanking

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills and limits processes")

RESULTS = {
    "robust.keras",
    "report.html",
    "ranking.csv",
    "ranking.json",
    "history.csv",
    "results.csv",
}


def start(words, log, **limits):
    # Not on Windows, which has no limits for processes.
    import command_processes

    return command_processes.start(words, log, **limits)


def assert_complete(folder):
    """All results are there and whole."""
    assert {file.name for file in folder.iterdir()} >= RESULTS
    with zipfile.ZipFile(folder / "robust.keras") as archive:
        assert archive.testzip() is None
    assert list(FilterRanking.load(folder / "ranking.json")) == ["conv"]
    for name in ("ranking.csv", "history.csv", "results.csv"):
        assert (folder / name).read_bytes().endswith(b"\n")
    assert (folder / "report.html").read_text("utf-8").rstrip().endswith("</html>")


def versions(folder):
    """What tells files from those in whose place they were put, even with the same content."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.iterdir()}


def staging_of(out):
    places = [out] if out.exists() else [out.parent]
    return [path for place in places for path in place.glob(f".{out.name}.kerasft-????????.tmp")]


def watched(process, out):
    """Seconds until the process begins to write and until it ends."""
    begin, writing = time.monotonic(), None
    while process.is_alive():
        if writing is None and staging_of(out):
            writing = time.monotonic() - begin
        time.sleep(0.001)
    process.join()
    return writing, time.monotonic() - begin


def kill_at_random_moments(box, kills):
    log = box.path / "log.txt"
    out = box.path / "earlier"
    box.out = out
    process = start(robustify(box), log)
    _, total = watched(process, out)
    assert process.exitcode == 0, log.read_text()
    assert_complete(out)
    (out / "mine.txt").write_text("kept")
    # The second is as fast as those that are killed: its parts are all imported.
    again = robustify(box, "--fraction", "0.5", "--force")
    fresh = box.path / "fresh"
    generator = random.Random(0)
    before = versions(out)
    interrupted = 0
    for kill in range(kills):
        box.out = out if kill % 2 else fresh
        words = again if kill % 2 else robustify(box)
        process = start(words, log)
        begin = time.monotonic()
        if kill % 3 == 0:
            # While it writes.
            while process.is_alive() and not staging_of(box.out):
                time.sleep(0.0005)
            process.join(generator.uniform(0, 0.2))
        else:
            process.join(generator.uniform(0, total))
        interrupted += process.is_alive()
        process.kill()
        process.join()
        assert time.monotonic() - begin < 100
        if kill % 2 == 0:
            # All of it or nothing.
            if fresh.exists():
                assert_complete(fresh)
                shutil.rmtree(fresh)
            continue
        assert (out / "mine.txt").read_text() == "kept"
        assert_complete(out)
        now = versions(out)
        changed = {name for name in RESULTS if now[name] != before[name]}
        if changed != RESULTS:
            # What was not yet put in place is still there, whole.
            rest = {file.name for left in staging_of(out) for file in left.iterdir()}
            assert not changed or RESULTS - changed <= rest
        else:
            before = now
    assert interrupted >= kills // 2
    box.out = out
    process = start(again, log)
    process.join()
    assert process.exitcode == 0, log.read_text()
    assert_complete(out)
    assert "50% of each layer" in (out / "report.html").read_text("utf-8")
    # What the killed ones left in the folder is gone.
    assert {file.name for file in out.iterdir()} == {*RESULTS, "mine.txt"}
    box.out = fresh
    process = start(robustify(box), log)
    process.join()
    assert process.exitcode == 0
    assert_complete(fresh)
    assert not list(box.path.glob(".*"))


def test_six_kills_leave_nothing_half(box):
    kill_at_random_moments(box, 6)


@pytest.mark.slow
def test_fifty_kills_leave_nothing_half(box):
    kill_at_random_moments(box, 50)


@pytest.fixture
def earlier(box):
    """A box whose output folder holds something already."""
    box.out.mkdir()
    for name in RESULTS:
        (box.out / name).write_text("earlier")
    return box


FULL = {"before the model is whole": 3_000, "before the report is whole": 25_000}


@pytest.mark.parametrize("case", FULL)
def test_a_disk_that_fills_up_is_told_and_earlier_results_stay(earlier, case):
    before = contents(earlier.path)
    log = earlier.path.with_name(f"{earlier.path.name}.log")
    process = start(robustify(earlier, "--force"), log, largest_file=FULL[case])
    process.join()
    text = log.read_text()
    assert process.exitcode == 2, text
    assert text.count("\n") == 1, text
    assert text.startswith("Error: Expected room for the results in "), text
    assert contents(earlier.path) == before


def mounted(*options):
    """Mount something for a test, where that is permitted."""
    done = subprocess.run(["mount", *map(str, options)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def disk(box):
    """A folder to mount something at."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    place = box.path / "disk"
    place.mkdir()
    yield place
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


@pytest.mark.parametrize("size", ["16k", "64k"])
def test_a_full_disk_is_told_and_earlier_results_stay(kerasft, box, disk, size):
    mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk)
    box.out = disk / "out"
    box.out.mkdir()
    (box.out / "results.csv").write_text("earlier")
    status, _, err = kerasft(*robustify(box, "--force"))
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("Error: Expected room for the results in ")
    assert contents(disk) == {box.out: None, box.out / "results.csv": b"earlier"}


def test_a_disk_that_is_read_only_is_refused_before_any_work(kerasft, box, disk):
    mounted("-t", "tmpfs", "tmpfs", disk)
    mounted("-o", "remount,ro", disk)
    box.out = disk / "out"
    box.model = box.path / "missing.keras"
    status, _, err = kerasft(*robustify(box))
    assert (status, err.count("\n")) == (2, 1)
    assert f"Expected a place that can be written to. Received: {disk}." in err


def test_an_output_folder_on_a_disk_of_its_own(kerasft, box, disk):
    mounted("-t", "tmpfs", "tmpfs", disk)
    box.out = disk
    status, _, err = kerasft(*robustify(box, "--force"))
    assert (status, err) == (0, "")
    assert_complete(disk)


def test_of_two_at_one_new_folder_one_wins(box):
    logs = [box.path / f"{name}.txt" for name in "ab"]
    words = [robustify(box), robustify(box, "--fraction", "0.5")]
    processes = [start(*both) for both in zip(words, logs, strict=True)]
    for process in processes:
        process.join()
    assert sorted(process.exitcode for process in processes) == [0, 2]
    loser = logs[[process.exitcode for process in processes].index(2)].read_text()
    assert loser.count("\n") == 1
    assert "Expected an output folder that does not exist yet" in loser
    assert_complete(box.out)
    assert not list(box.path.glob(".*"))


@pytest.mark.parametrize("exists", [False, True])
def test_of_two_that_write_at_the_same_time_the_second_waits(tmp_path, exists):
    target = tmp_path / "out"
    if exists:
        target.mkdir()
    inside, leave, second_inside = threading.Event(), threading.Event(), threading.Event()

    def write(mark, on_entry, until):
        with output_folder(target, force=True) as staging:
            on_entry.set()
            for name in "abcdef":
                (staging / name).write_text(mark)
            assert until.wait(60)

    done = threading.Event()
    done.set()
    first = threading.Thread(target=write, args=("first", inside, leave))
    second = threading.Thread(target=write, args=("second", second_inside, done))
    first.start()
    assert inside.wait(60)
    second.start()
    assert not second_inside.wait(0.3)
    leave.set()
    first.join()
    second.join()
    assert {file.name: file.read_text() for file in target.iterdir()} == dict.fromkeys(
        "abcdef", "second"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    target = tmp_path / "o[u]t"
    left = tmp_path / ".o[u]t.kerasft-ab12cd_9.tmp"
    left.mkdir()
    (left / "robust.keras").write_text("half")
    kept = {".out.kerasft-ab12cd_9.tmp", ".o[u]t.20260101", ".o[u]t.metadata"}
    for name in kept:
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()
    (tmp_path / ".o[u]t.kerasft-lock").touch()
    with output_folder(target, force=False) as staging:
        (staging / "x").write_text("1")
    assert {path.name for path in tmp_path.iterdir()} == {"o[u]t", *kept}
    assert all((tmp_path / name / "precious").exists() for name in kept)
    assert [path.name for path in pathlib.Path(target).iterdir()] == ["x"]
