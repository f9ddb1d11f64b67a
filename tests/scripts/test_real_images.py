"""scripts/real_images.py goes on with the runs of its network and images, and with no others."""

import pathlib
import shutil
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import real_images

from kerasft.datasets import save_image_folder

RESULTS = "images,class,count,before,after\ndistorted,,9,0.1,0.3\nclean,,9,0.9,0.8\n"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script called with options; its one run leaves results and trains nothing."""
    work_folders = []

    def one_run(args):
        work_folders.append(args.work)
        yield ("500 images", "most", 0), {}

    def run(command, check):
        (out,) = (pathlib.Path(x[6:]) for x in command if x.startswith("--out="))
        # A folder of a run that was done already is an error.
        out.mkdir(parents=True)
        (out / "results.csv").write_text(RESULTS)
        (out / "history.csv").write_text("epoch\n0\n1\n")

    monkeypatch.setattr(real_images, "_photographs", one_run)
    monkeypatch.setattr(real_images.subprocess, "run", run)

    def call(**options):
        options = {"work": tmp_path / "work", "results": tmp_path / "results", **options}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        monkeypatch.setattr(sys, "argv", ["real_images.py", "photographs", *arguments])
        real_images.main()
        return work_folders[-1]

    return call


@pytest.fixture
def data(tmp_path):
    return make_data(tmp_path / "data", 0)


def make_data(folder, pixel):
    for part in ("train", "test"):
        save_image_folder(folder / part, np.full((1, 2, 2, 3), pixel, "uint8"), ["a/0.png"])
    return folder


def make_model(path, weight):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense")])
    model.set_weights([np.full((2, 1), weight), np.zeros(1)])
    model.save(path)
    return path


def test_a_run_is_done_once_and_its_row_says_of_what_it_is(script, data, tmp_path):
    model = make_model(tmp_path / "model.keras", 1.0)
    script(data=data, model=model)
    content = (tmp_path / "results" / "photographs.csv").read_bytes()
    script(data=data, model=model)
    assert (tmp_path / "results" / "photographs.csv").read_bytes() == content
    (row,) = pd.read_csv(tmp_path / "results" / "photographs.csv", dtype=str).to_dict("records")
    assert (row["epochs"], row["distorted_after"]) == ("2", "0.3")
    for name in ("model_sha256", "images_sha256"):
        assert len(row[name]) == 16
    assert {"date", "kerasft", "keras", "backend"} <= set(row)


def test_rows_of_another_network_or_of_other_images_are_refused(script, data, tmp_path):
    model = make_model(tmp_path / "model.keras", 1.0)
    work = script(data=data, model=model)
    content = (tmp_path / "results" / "photographs.csv").read_bytes()
    with pytest.raises(ValueError, match=r"Expected results with model_sha256 = .*those of"):
        script(data=data, model=make_model(tmp_path / "other.keras", 2.0))
    others = make_data(tmp_path / "others", 1)
    with pytest.raises(ValueError, match=r"Expected results with images_sha256 = .*--results"):
        script(data=others, model=model)
    assert (tmp_path / "results" / "photographs.csv").read_bytes() == content
    # Nor are distorted images of others taken for theirs.
    assert script(data=others, model=model, results=tmp_path / "more") != work


def test_rows_that_do_not_say_of_what_they_are_are_refused(script, data, tmp_path):
    file = tmp_path / "results" / "photographs.csv"
    file.parent.mkdir()
    file.write_text("case,which,seed\n500 images,most,0\n")
    with pytest.raises(ValueError, match="Received: rows that do not say theirs"):
        script(data=data, model=make_model(tmp_path / "model.keras", 1.0))
    assert file.read_text() == "case,which,seed\n500 images,most,0\n"


def test_the_summaries_of_the_documentation_are_those_of_its_runs(tmp_path, monkeypatch):
    results = pathlib.Path(__file__).parents[2] / "docs" / "results"
    for case in ("photographs", "resnet8"):
        shutil.copy(results / f"{case}.csv", tmp_path)
    monkeypatch.setattr(sys, "argv", ["real_images.py", "summaries", f"--results={tmp_path}"])
    real_images.main()
    for case in ("photographs", "resnet8"):
        name = f"{case}.summary.csv"
        assert (tmp_path / name).read_bytes() == (results / name).read_bytes()
