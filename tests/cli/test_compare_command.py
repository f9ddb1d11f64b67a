"""`kerasft compare` on folders, on CIFAR-10-C and on the embedded digits."""

import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from kerasft.datasets import load_image_folder, save_image_folder
from kerasft.evaluation import predict_classes
from kerasft.methods import METHODS
from kerasft.methods.method import Method

WRITTEN = {"comparison.csv", "leaderboard.csv", "report.html"}


@pytest.fixture
def compare(kerasft, trained_model, folders, tmp_path):
    """Compare two quick methods in this process, into `tmp_path / "out"`."""

    def run(*arguments, distorted=folders / "blurred", methods="nothing,head"):
        return kerasft(
            "compare", trained_model, "--clean", folders / "clean", "--distorted", distorted,
            "--methods", methods, "--seeds", 1, "--epochs", 2, "--jobs", 1,
            "--out", tmp_path / "out", *arguments,
        )  # fmt: skip

    return run


def test_a_comparison_writes_its_runs_a_leaderboard_a_page_and_the_best(compare, folders, tmp_path):
    status, printed, err = compare(
        "--test", folders / "test", "--clean-test", folders / "clean_test", "--save-best",
        "--labels", 100, "--seeds", 2,
    )  # fmt: skip
    assert (status, err) == (0, "")
    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} == WRITTEN | {"best.keras"}
    runs = pd.read_csv(out / "comparison.csv")
    assert len(runs) == 4
    assert set(runs["labels_needed"]) == {0, 100}
    board = pd.read_csv(out / "leaderboard.csv")
    assert set(board["method"]) == {"nothing", "head"}
    page = (out / "report.html").read_text("utf-8")
    head = board.set_index("method").loc["head"]
    for text in (printed, page):
        assert f"{head['distorted_accuracy']:.1%}" in text
        assert "on distorted validation images" in text
    # What was saved is what was measured.
    best = "nothing" if "Keep the model" in printed else "head"
    measured = runs[runs["method"] == best]
    row = measured.loc[measured["validation_accuracy"].idxmax()]
    test = load_image_folder(folders / "test", channels=1)
    model = keras.saving.load_model(out / "best.keras")
    accuracy = (predict_classes(model, test.images) == test.labels).mean()
    assert accuracy == pytest.approx(row["distorted_accuracy"], abs=0.011)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_comparison_goes_on_where_it_stopped(compare, tmp_path):
    assert compare(methods="nothing")[0] == 0
    file = tmp_path / "out" / "comparison.csv"
    first = file.read_text().splitlines()
    (tmp_path / "out" / "report.html").unlink()
    # No --force: it is the same comparison.
    status, printed, _ = compare()
    assert status == 0
    assert "held out to stop the training" in printed
    assert file.read_text().splitlines()[:2] == first[:2]
    assert {path.name for path in file.parent.iterdir()} == WRITTEN
    before = file.read_bytes()
    status, _, err = compare("--labels", 50)
    assert status == 2
    assert "labelled_images = 50" in err
    assert file.read_bytes() == before


def test_a_comparison_goes_on_that_was_stopped_before_its_first_run_was_done(compare, tmp_path):
    out = tmp_path / "out"
    # What an interrupt, a signal or a full disk leaves.
    (out / ".comparison.0123456789ab.runs").mkdir(parents=True)
    assert compare(methods="nothing")[0] == 0
    assert (out / "report.html").is_file()


def test_methods_are_looked_up_before_anything_is_read(kerasft, tmp_path):
    status, _, err = kerasft(
        "compare", "no.keras", "--clean", "c", "--distorted", "d", "--methods", "foo",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, "'foo'" in err) == (2, True)


def test_a_best_model_of_an_earlier_page_does_not_pass_for_that_of_this_one(
    compare, folders, tmp_path
):
    separate = ("--test", folders / "test")
    assert compare(*separate, "--save-best", methods="nothing")[0] == 0
    out = tmp_path / "out"
    earlier = (out / "best.keras").read_bytes()
    status, printed, _ = compare(*separate)
    assert status == 0
    told = "best.keras of an earlier page, which may be of another method, is now best.earlier"
    assert told in printed
    assert told in (out / "report.html").read_text("utf-8")
    assert {file.name for file in out.iterdir()} == WRITTEN | {"best.earlier.keras"}
    assert (out / "best.earlier.keras").read_bytes() == earlier
    status, printed, _ = compare(*separate, "--save-best")
    assert (status, told in printed) == (0, False)
    assert {file.name for file in out.iterdir()} == WRITTEN | {"best.keras", "best.earlier.keras"}
    # The model has no batch normalization.
    status, printed, _ = compare(*separate, "--save-best", methods="batch norm")
    assert status == 0
    assert "No best.keras was written, as no method could be used." in printed
    assert f"{told}-2.keras" in " ".join(printed.split())
    assert not (out / "best.keras").exists()
    # What was moved first is still there.
    assert (out / "best.earlier.keras").read_bytes() == earlier
    assert (out / "best.earlier-2.keras").is_file()


def test_a_best_model_stays_where_the_new_page_cannot_be_written(compare, tmp_path):
    assert compare("--save-best", methods="nothing")[0] == 0
    out = tmp_path / "out"
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    status, _, err = compare(methods="nothing")
    assert (status, "report.html, which is a folder" in err) == (2, True)
    assert (out / "best.keras").is_file()


def test_why_labels_are_fewer_than_images(compare, folders, tmp_path):
    labels = ("--labels", 201)
    there = f"Received: 201; there are 200 in {folders / 'blurred'}"
    done = compare(*labels)
    _refused(done, f"up to 160, as many images as there are to draw from. {there}", tmp_path)
    _refused(done, f"{there}, of which 40 are kept for the test, without --test DIR.", tmp_path)
    done = compare(*labels, "--test", folders / "test")
    _refused(done, f"up to 200, as many images as there are to draw from. {there}.", tmp_path)
    done = compare(*labels, "--validation", folders / "blurred")
    _refused(done, "all 200 of", tmp_path)


def test_another_existing_folder_is_not_touched(compare, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("precious")
    status, _, err = compare()
    assert status == 2
    assert "--force" in err
    assert (tmp_path / "out" / "report.html").read_text() == "precious"
    assert compare("--force", methods="nothing")[0] == 0
    assert "precious" not in (tmp_path / "out" / "report.html").read_text()


def test_without_a_test_folder_the_same_fifth_is_kept_and_its_twins_measure_clean(
    compare, tmp_path
):
    status, printed, _ = compare(methods="nothing")
    assert status == 0
    assert "40 of the 200 distorted images were kept for the test" in printed
    assert "Every distorted image has a clean version" in printed
    assert "measured on 40 clean images that no method was given" in printed


def test_pairs_that_are_not_complete_are_told(compare, folders, tmp_path):
    shutil.copytree(folders / "blurred", tmp_path / "more")
    save_image_folder(
        tmp_path / "more", np.zeros((3, 8, 8, 1), "uint8"), [f"1/x{i}.png" for i in range(3)]
    )
    status, printed, _ = compare(
        "--validation", folders / "test", distorted=tmp_path / "more", methods="nothing,most"
    )
    assert status == 0
    assert "distorted images have a clean version at the same path; since not all" in printed
    assert "Left out: most. There are no clean versions" in printed
    assert "Separate validation images" in printed


def test_a_folder_without_classes_runs_the_methods_that_need_no_labels(compare, folders, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (folders / "blurred").rglob("*.png"):
        shutil.copy(file, flat)
    status, _, err = compare(distorted=flat)
    assert status == 2
    assert "Expected --test DIR" in err
    status, _, err = compare("--test", folders / "test", "--labels", 50, distorted=flat)
    assert status == 2
    assert "Expected class folders in" in err
    status, printed, _ = compare("--test", folders / "test", distorted=flat)
    assert status == 0
    assert "The distorted images have no labels" in printed
    assert "Left out: head. It needs labels of distorted images." in printed
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert board["method"].tolist() == ["nothing"]


def test_fewer_labels_than_classes_is_warned_of(compare, folders):
    status, printed, _ = compare("--labels", 6, "--validation", folders / "test", methods="nothing")
    assert status == 0
    assert "Warning: 6 labels are fewer than the 10 classes" in printed


def test_an_error_of_one_method_is_one_line_that_names_it(compare, monkeypatch):
    def apply(problem, seed):
        raise OSError("disk is full")

    monkeypatch.setitem(METHODS, "head", Method("head", apply, False, lambda problem: None))
    status, _, err = compare()
    assert status == 2
    assert err == "Error: disk is full Method 'head' failed so on 'distorted' with seed 0.\n"


def test_methods_with_commas_in_their_names(compare, tmp_path):
    status, printed, _ = compare(methods="gradient recalibrated,clean kept, nothing")
    assert status == 0
    assert "Left out: gradient recalibrated, clean kept. The model has no batch" in printed


def test_quick_compares_on_embedded_digits_without_a_model(kerasft, tmp_path):
    status, printed, err = kerasft(
        "compare", "--quick", "--methods", "nothing,batch norm", "--jobs", 1,
        "--out", tmp_path / "out", "--save-best",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "Use “batch norm”" in printed
    runs = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert set(runs["seed"]) == {0}
    assert set(runs["labelled_images"]) == {100}
    assert "scikit-learn" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def cifar10_c(tmp_path_factory):
    """CIFAR-10-C with two corruptions of 20 images for each severity, and a model for them."""
    folder = tmp_path_factory.mktemp("corruptions")
    generator = np.random.default_rng(0)
    for name in ("fog", "contrast"):
        np.save(folder / f"{name}.npy", generator.integers(0, 256, (100, 32, 32, 3), "uint8"))
    np.save(folder / "labels.npy", np.arange(100) % 10)
    x = keras.Input((32, 32, 3))
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=4)(x))
    keras.Model(x, keras.layers.Dense(10, activation="softmax")(y)).save(folder / "model.keras")
    return folder


def test_all_corruptions_of_cifar10_c_make_one_leaderboard(kerasft, cifar10_c, tmp_path):
    status, printed, err = kerasft(
        "compare", cifar10_c / "model.keras", "--cifar10-c", cifar10_c, "--severity", 2,
        "--methods", "nothing", "--seeds", 2, "--jobs", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, err) == (0, "")
    runs = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert sorted(set(runs["distortion"])) == ["contrast", "fog"]
    assert len(runs) == 4
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert board["distorted_accuracy"].item() == pytest.approx(
        runs["distorted_accuracy"].mean(), abs=1e-5
    )
    assert "on CIFAR-10-C, severity 2" in printed
    assert "2 corruptions: contrast, fog." in printed
    assert "10 images were kept for the test and 10 were there to draw from" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--save-best",), "best model of its own"),
        (("--distorted", "x"), "--cifar10-c with --distorted"),
        (("--severity", "6"), "6"),
        (("--seeds", "2", "--quick"), "Expected --seeds without --quick"),
        (("--classes", "a,b"), "Expected the classes"),
        (("--labels", "11"), "20 in each corruption, of which 10 are kept for the test."),
    ],
)
def test_what_does_not_go_with_cifar10_c(kerasft, cifar10_c, tmp_path, arguments, message):
    done = kerasft(
        "compare", cifar10_c / "model.keras", "--cifar10-c", cifar10_c,
        "--out", tmp_path / "out", *arguments,
    )  # fmt: skip
    _refused(done, message, tmp_path)


def test_a_model_for_other_images_than_those_of_cifar10_c(
    kerasft, trained_model, cifar10_c, tmp_path
):
    done = kerasft("compare", trained_model, "--cifar10-c", cifar10_c, "--out", tmp_path / "out")
    _refused(done, "32×32 pixels and 3 channels", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "without MODEL"),
        (("--quick", "--distorted", "x"), "--distorted without MODEL"),
        (("--quick", "--pixels", "0..255"), "--pixels without MODEL"),
        (("--quick", "--classes", "a,b"), "--classes without MODEL"),
        (("--quick", "--severity", "5"), "--severity without MODEL"),
        (("--quick", "--seeds", "3"), "Expected --seeds without --quick"),
        (("model.keras",), "MODEL alone"),
        (("model.keras", "--clean", "x"), "--clean."),
        (("model.keras", "--clean", "x", "--distorted", "y"), "model.keras, which does not exist"),
    ],
)
def test_nothing_to_compare_on(kerasft, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    _refused(kerasft("compare", *arguments, "--out", tmp_path / "out"), message, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--methods", "best"), "'best'"),
        (("--methods", "nothing,,head"), "separated by commas"),
        (("--methods", "nothing,nothing"), "twice"),
        (("--labels", "0"), "0"),
        (("--labels", "161"), "up to 160"),
        (("--labels", "4"), "at least 5"),
        (("--seeds", "0"), "0"),
        (("--severity", "5"), "Expected --severity with --cifar10-c PATH"),
        (("--quick",), "Expected --seeds without --quick"),
        (("--jobs", "0"), "0"),
        (("--layers", "conv9"), "'conv9'"),
        (("--pixels", "0..1"), "it seems --pixels 0..255"),
        (("--classes", "a,b"), "class folders"),
        (("--validation", "nowhere"), "nowhere"),
        (("--test", "nowhere"), "nowhere"),
        (("--clean-test", "nowhere"), "nowhere"),
        (("--distorted", "nowhere"), "nowhere"),
    ],
)
def test_bad_options(compare, tmp_path, options, message):
    _refused(compare(*options), message, tmp_path)


def _refused(done, message, tmp_path):
    status, out, err = done
    assert status == 2, err
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
