"""A comparison that was stopped goes on; another one is not mixed in."""

import shutil

import fake_methods
import keras
import pandas as pd
import pytest
from fake_methods import TURN, fake

import kerasft


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_runs_that_are_done_are_not_repeated(compare, tmp_path, marks):
    method = fake_methods.stops("stops", 1, RuntimeError("pulled plug"), marks)
    methods = [fake("first", folder=marks), method, fake("last", TURN, folder=marks)]
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="pulled plug"):
        compare(*methods, out=out, seeds=2)
    kept = pd.read_csv(out / "comparison.csv")
    # Seed 0 of all, and the first of seed 1.
    assert len(kept) == 4
    assert {file.name for file in out.iterdir() if not file.name.endswith(".runs")} == {
        "comparison.csv"
    }
    (marks / "go").touch()
    # Each run leaves a mark, and fails where there is one.
    comparison = compare(*methods, out=out, seeds=2)
    assert len(comparison.runs) == 6
    assert comparison.left_out == {}
    assert [file.name for file in out.iterdir()] == ["comparison.csv"]


def test_methods_and_seeds_can_be_added(compare, tmp_path, marks):
    first = fake("first", folder=marks)
    compare(first, out=tmp_path / "out", seeds=1)
    comparison = compare(first, fake("second", folder=marks), out=tmp_path / "out", seeds=2)
    assert len(comparison.runs) == 4
    # Those that are not asked for stay in the file, and out of the result.
    fewer = compare(first, out=tmp_path / "out", seeds=1)
    assert len(fewer.runs) == 1
    assert len(pd.read_csv(tmp_path / "out" / "comparison.csv")) == 4


def test_runs_of_other_versions_are_told(compare, tmp_path):
    file = tmp_path / "comparison.csv"
    assert not any("versions" in note for note in compare(fake("a"), out=tmp_path).notes)
    rows = pd.read_csv(file, dtype=str)
    rows["kerasft"] = "0.0.1"
    rows.to_csv(file, index=False)
    notes = compare(fake("a"), fake("b"), out=tmp_path).notes
    [told] = [note for note in notes if "versions" in note]
    assert f"kerasft 0.0.1 with Keras {keras.__version__} on" in told


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder of a comparison that is complete."""
    folder = tmp_path_factory.mktemp("done") / "out"
    kerasft.compare(
        fake_methods.channel_model(), **fake_methods.sets(), methods=[fake("nothing")], seeds=1,
        out=folder,
    )  # fmt: skip
    return folder


def test_a_word_among_numbers_is_told(compare, done, tmp_path):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "comparison.csv"
    pd.read_csv(file, dtype=str).assign(clean_accuracy="good").to_csv(file, index=False)
    with pytest.raises(
        ValueError, match=r"^Expected numbers in column clean_accuracy of .*csv\. Received: 'good';"
    ):
        compare(fake("nothing"), out=tmp_path, seeds=1)


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"distorted_test": fake_methods.images(50, 0.5, seed=1)}, "images_sha256"),
        ({"labels": 30}, "labelled_images"),
        ({"epochs": 3}, "epochs_at_most"),
        ({"learning_rate": "search"}, "learning_rate_given"),
        ({"layers": ["conv"]}, "layers"),
    ],
)
def test_other_images_and_settings_are_refused_and_nothing_is_lost(
    compare, done, tmp_path, changes, column
):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    before = (out / "comparison.csv").read_bytes()
    with pytest.raises(ValueError, match=rf"{column} = .*give another --out"):
        compare(fake("nothing"), out=out, **changes)
    assert (out / "comparison.csv").read_bytes() == before
    assert [file.name for file in out.iterdir()] == ["comparison.csv"]


def test_distortions_may_come_in_another_order(compare, tmp_path):
    a, b = fake_methods.images(60, 0.5), fake_methods.images(60, 0.4, seed=3)
    tests = {"a": fake_methods.images(50, 0.5, seed=1), "b": fake_methods.images(50, 0.4, seed=1)}
    compare(fake("nothing"), distorted={"a": a, "b": b}, distorted_test=tests, out=tmp_path)
    failing = fake_methods.failing("nothing", KeyError("repeated"))
    compare(failing, distorted={"b": b, "a": a}, distorted_test=tests, out=tmp_path)
    with pytest.raises(ValueError, match="images_sha256"):
        compare(failing, distorted={"a": b, "b": a}, distorted_test=tests, out=tmp_path)


def test_another_model_is_refused_and_the_same_one_built_again_is_not(compare, done, tmp_path):
    shutil.copytree(done, tmp_path / "out")
    other = fake_methods.channel_model()
    other.set_weights([TURN[None, None]])
    with pytest.raises(ValueError, match="model_sha256"):
        compare(fake("nothing"), out=tmp_path / "out", model=other)
    compare(fake_methods.failing("nothing", KeyError("repeated")), out=tmp_path / "out")


def test_a_model_of_equal_weights_that_computes_something_else_is_refused(compare, done, tmp_path):
    shutil.copytree(done, tmp_path / "out")
    model = fake_methods.channel_model()
    model.get_layer("conv").activation = keras.activations.relu
    with pytest.raises(ValueError, match="model_sha256"):
        compare(fake("nothing"), out=tmp_path / "out", model=model)


def test_what_a_killed_process_left_is_removed(compare, tmp_path):
    out = tmp_path / "out"
    (out / ".comparison.kerasft-ab12cd_9.tmp").mkdir(parents=True)
    compare(fake("nothing"), out=out)
    assert [file.name for file in out.iterdir()] == ["comparison.csv"]
