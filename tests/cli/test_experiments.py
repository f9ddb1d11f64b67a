"""The commands that repeat the paper's experiments, on the embedded digits."""

import dataclasses
import functools
import shutil

import pandas as pd
import pytest
from dask_cluster import dask_cluster

from kerasft.experiments import fine_tuning_run
from kerasft.experiments.catalogue import EXPERIMENTS

ENDINGS = ("summary.csv", "svg", "md")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder with the images and the network, `cache`, and what `finished` has made."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def reproduce(kerasft, shared, tmp_path, monkeypatch):
    """Run `kerasft reproduce` in this process, with few epochs and few shares of the filters."""
    monkeypatch.setattr(fine_tuning_run, "_EPOCHS", 2)
    selection = EXPERIMENTS["selection"]
    few = functools.partial(selection.configurations, shares=(0.25, 1.0))
    monkeypatch.setitem(
        EXPERIMENTS, "selection", dataclasses.replace(selection, configurations=few)
    )

    def run(name, *arguments, out=tmp_path / "results", cache=shared / "cache"):
        return kerasft(
            "reproduce", name, "--dataset", "digits", "--baseline-epochs", 1, "--jobs", 1,
            "--cache", cache, "--out", out, *arguments,
        )  # fmt: skip

    return run


CASES = {
    "figure4": ("rankings", ("--distortions", "blur:1,awgn:central", "--pairs", 50), 10),
    "overlap": ("rankings", ("--distortions", "blur:1,awgn:central", "--pairs", 50), 10),
    "figure5": (
        "figure5",
        ("--distortions", "awgn:15", "--sizes", "20,30", "--seeds", 1, "--methods", "most,all"),
        5,
    ),
    "figure6": ("figure6", ("--distortions", "awgn:15", "--size", 20, "--seeds", 1), 3),
    "transfer": ("transfer", ("--distortions", "awgn:15", "--size", 20, "--seeds", 1), 3),
    "selection": ("selection", ("--distortions", "awgn:15", "--sizes", "20", "--seeds", 1), 3),
}


@pytest.fixture
def finished(reproduce, shared, tmp_path):
    """Copy into `results` what an experiment writes, which is made once; gives what it printed."""

    def copy(name):
        made, printed = shared / name, shared / f"{name}.txt"
        if not printed.exists():
            status, output, _ = reproduce(name, *CASES[name][1], out=made)
            assert status == 0
            printed.write_text(output)
        shutil.copytree(made, tmp_path / "results", dirs_exist_ok=True)
        return printed.read_text()

    return copy


@pytest.mark.parametrize("name", CASES)
def test_an_experiment_writes_its_runs_and_what_a_reader_sees(reproduce, finished, tmp_path, name):
    runs, arguments, count = CASES[name]
    output = finished(name)
    results = tmp_path / "results"
    table = pd.read_csv(results / f"{runs}-cifar10_cnn-digits.csv")
    assert table["run"].nunique() == count
    assert set(table["distortion"]) <= {"blur:1", "awgn:15", "clean"}
    written = [f"{name}-cifar10_cnn-digits.{ending}" for ending in ENDINGS]
    assert {file.name for file in results.iterdir()} == {f"{runs}-cifar10_cnn-digits.csv", *written}
    assert all(file in output for file in written)
    assert (results / written[1]).read_text().startswith("<?xml")
    assert f"kerasft reproduce {name}" in (results / written[2]).read_text()
    # All of it comes from the runs alone, to the byte.
    before = {file: (results / file).read_bytes() for file in written}
    for file in written:
        (results / file).unlink()
    modified = (results / f"{runs}-cifar10_cnn-digits.csv").stat().st_mtime_ns
    assert reproduce(name, *arguments)[0] == 0
    assert before == {file: (results / file).read_bytes() for file in written}
    assert (results / f"{runs}-cifar10_cnn-digits.csv").stat().st_mtime_ns == modified


def test_report_makes_everything_anew_and_judges_every_claim(finished, kerasft, tmp_path):
    finished("figure4")
    finished("figure5")
    results = tmp_path / "results"
    status, _, _ = kerasft("reproduce", "report", "--out", results)
    assert status == 0
    claims = pd.read_csv(results / "claims-cifar10_cnn-digits.csv", keep_default_na=False)
    assert len(claims) == 14
    assert set(claims["verdict"]) <= {
        "holds", "holds partly", "does not hold", "cannot be judged",
    }  # fmt: skip
    judged = claims[claims["verdict"] != "cannot be judged"]
    assert set(judged["file"]) <= {
        "rankings-cifar10_cnn-digits.csv",
        "figure5-cifar10_cnn-digits.csv",
    }
    assert (results / "overlap-cifar10_cnn-digits.svg").exists()


def test_results_of_another_network_are_refused_and_kept(reproduce, finished, tmp_path):
    finished("figure6")
    file = tmp_path / "results" / "figure6-cifar10_cnn-digits.csv"
    before = file.read_bytes()
    status, _, err = reproduce("figure6", *CASES["figure6"][1], "--baseline-epochs", 2)
    assert status == 2
    assert "model_sha256" in err
    assert "--out" in err
    file.write_bytes(before[:-5])
    status, _, err = reproduce("figure6", *CASES["figure6"][1])
    assert status == 2
    assert "cut off" in err
    assert file.read_bytes() == before[:-5]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("figure5", ("--sizes", "961"), "at most 960 distorted training images"),
        ("figure5", ("--sizes", "10,x"), "whole numbers"),
        ("figure5", ("--sizes", "0"), "whole numbers"),
        ("figure5", ("--methods", "best"), "'best'"),
        ("figure5", ("--distortions", "fog:1"), "'fog:1'"),
        ("figure4", ("--distortions", "awgn:-1"), "Expected"),
        ("figure9", (), "figure9"),
        ("overlap", ("--distortions", "blur:1,blur:1.0"), "at least two --distortions"),
        ("transfer", ("--distortions", "blur:2"), "'blur:2'"),
        ("figure6", ("--data", "somewhere"), "embedded"),
        ("figure6", ("--scheduler", "tcp://127.0.0.1:1"), "one of --jobs and --scheduler"),
        ("figure6", ("--dataset", "cifar10", "--data", "nowhere"), "does not exist"),
        ("figure6", ("--dataset", "cifar100", "--data", "pyproject.toml"), "archive"),
        ("figure6", ("--network", "resnet"), "resnet"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    reproduce, tmp_path, monkeypatch, name, arguments, message
):
    (tmp_path / "pyproject.toml").write_text("no archive")
    monkeypatch.chdir(tmp_path)
    status, _, err = reproduce(name, *arguments)
    assert status == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_folder_in_the_place_of_an_output_is_refused_before_any_run(reproduce, tmp_path):
    for ending in ("csv", *ENDINGS):
        out, name = tmp_path / ending, f"figure6-cifar10_cnn-digits.{ending}"
        (out / name).mkdir(parents=True)
        # No images could be read, which would come next.
        status, _, err = reproduce("figure6", "--data", "somewhere", out=out)
        assert (status, f"Received: {name}, which is a folder" in err) == (2, True)
        assert [x.name for x in out.iterdir()] == [name]


def test_a_distortion_is_added_to_others_for_what_they_have_in_common(
    reproduce, finished, tmp_path
):
    finished("overlap")
    status, output, _ = reproduce("overlap", "--distortions", "awgn:5", "--pairs", 50)
    assert (status, "overlap-cifar10_cnn-digits.svg" in output) == (0, True)
    table = pd.read_csv(tmp_path / "results" / "overlap-cifar10_cnn-digits.summary.csv")
    assert set(table["first"]) | set(table["second"]) == {"blur:1", "awgn:15", "awgn:5"}


def test_rankings_of_another_number_of_pairs_are_refused_before_any_run(
    reproduce, finished, tmp_path
):
    finished("figure4")
    file = tmp_path / "results" / "rankings-cifar10_cnn-digits.csv"
    before = file.read_bytes()
    status, _, err = reproduce("overlap", "--distortions", "blur:1,awgn:15", "--pairs", 60)
    assert status == 2
    assert "pairs = 60" in err
    assert file.read_bytes() == before


def test_report_shows_the_rest_where_an_experiment_is_not_complete(finished, kerasft, tmp_path):
    finished("figure4")
    finished("figure6")
    results = tmp_path / "results"
    file = results / "rankings-cifar10_cnn-digits.csv"
    table = pd.read_csv(file, dtype=str)
    table[table["part"] != "4"].to_csv(file, index=False)
    for drawn in results.glob("figure*.svg"):
        drawn.unlink()
    status, output, _ = kerasft("reproduce", "report", "--out", results)
    assert status == 0
    assert "Left out figure4" in output
    assert (results / "figure6-cifar10_cnn-digits.svg").exists()


def test_a_file_cut_off_keeps_no_other_network_from_being_judged(finished, kerasft, tmp_path):
    finished("figure6")
    results = tmp_path / "results"
    file = results / "figure6-cifar10_cnn-digits.csv"
    (results / "figure6-another.csv").write_text(file.read_text()[:-3])
    status, output, _ = kerasft("reproduce", "report", "--out", results)
    assert status == 0
    assert "Left out claims of another: Expected whole lines" in output
    assert not (results / "claims-another.csv").exists()
    assert (results / "claims-cifar10_cnn-digits.csv").exists()


def test_a_report_of_damaged_files_alone_is_an_error(kerasft, tmp_path):
    (tmp_path / "figure6-a.csv").write_text("run,size\n1,2")
    status, output, err = kerasft("reproduce", "report", "--out", tmp_path)
    assert status == 2
    assert output.count("Left out") == 2
    assert err == f"Error: Expected complete runs in {tmp_path}. Received: none that are.\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_scheduler_that_is_not_there_is_told_before_anything_else(kerasft, tmp_path):
    pytest.importorskip("dask.distributed")
    status, _, err = kerasft(
        "reproduce", "figure4", "--dataset", "digits", "--scheduler", "nonsense",
        "--cache", tmp_path / "cache", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 2
    assert "Dask scheduler" in err
    assert not (tmp_path / "cache").exists()


def test_a_figure_on_a_dask_cluster_is_that_of_this_process(finished, kerasft, shared, tmp_path):
    finished("figure4")
    arguments = CASES["figure4"][1]
    options = ("--dataset", "digits", "--baseline-epochs", 1, "--cache", shared / "cache")
    with dask_cluster() as cluster:
        status, _, err = kerasft(
            "reproduce", "figure4", *options, "--out", tmp_path / "dask", *arguments,
            "--scheduler", cluster.scheduler_address,
        )  # fmt: skip
    assert (status, err) == (0, "")
    name = "rankings-cifar10_cnn-digits.csv"
    alone, dask = (pd.read_csv(tmp_path / folder / name) for folder in ("results", "dask"))
    pd.testing.assert_frame_equal(dask, alone)


def test_a_folder_without_runs_has_no_report(kerasft, tmp_path):
    status, _, err = kerasft("reproduce", "report", "--out", tmp_path)
    assert status == 2
    assert "Expected runs of experiments" in err


def test_an_output_folder_that_is_a_file_is_refused_early(reproduce, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("kept")
    status, _, err = reproduce("figure4", out=taken, cache=tmp_path / "cache")
    assert (status, taken.read_text()) == (2, "kept")
    assert "which is a file" in err
    assert not (tmp_path / "cache").exists()
