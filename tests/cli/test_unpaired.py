"""Ranking without pairs, and Table 1, from the command line."""

import keras
import numpy as np
import pandas as pd
import pytest

from kerasft.datasets import load_image_folder
from kerasft.files import locked
from kerasft.susceptibility import FilterRanking, rank_filters_from_exemplars


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ((), {}),
        (("--exemplars", 5), {"exemplars": 5}),
        (
            ("--features", "feature_maps", "--metric", "hamming"),
            {"features": "feature_maps", "metric": "hamming"},
        ),
    ],
)
def test_rank_writes_the_ranking_from_exemplars(
    kerasft, trained_model, folders, tmp_path, options, arguments
):
    # `test` holds other images than `clean`: there are no pairs.
    status, out, _ = kerasft(
        "rank", trained_model, "--clean", folders / "clean", "--distorted", folders / "test",
        "--unpaired", *options, "--out", tmp_path / "r",
    )  # fmt: skip
    assert status == 0
    assert ("no votes" in out) == ("exemplars" not in arguments)
    clean, distorted = (
        load_image_folder(folders / name, channels=1).images for name in ("clean", "test")
    )
    model = keras.saving.load_model(trained_model)
    expected = rank_filters_from_exemplars(model, clean, distorted, **arguments)
    written = FilterRanking.load(tmp_path / "r" / "ranking.json")
    for name in expected:
        np.testing.assert_array_equal(written[name].order, expected[name].order)
    assert len(pd.read_csv(tmp_path / "r" / "ranking.csv")) == 32 + 64


def test_robustify_without_pairs_improves_the_model(kerasft, trained_model, folders, tmp_path):
    status, _, _ = kerasft(
        "robustify", trained_model, "--clean", folders / "clean_test",
        "--distorted", folders / "blurred", "--test", folders / "test", "--unpaired",
        "--epochs", 25, "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 0
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    overall = results[results["class"].isna()].set_index("images")
    assert overall.loc["distorted", "after"] > overall.loc["distorted", "before"] + 0.1
    assert overall.loc["clean", "count"] == 100
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "without pairs" in page
    ranking = FilterRanking.load(tmp_path / "out" / "ranking.json")
    assert ranking["conv1"].borda_counts is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--features", "pixels"), "Expected --unpaired with --features"),
        (("--exemplars", "2"), "Expected --unpaired with --exemplars"),
        (("--unpaired", "--metric", "hamming"), "metric 'euclidean' for pixels"),
        (("--unpaired", "--exemplars", "101"), "from 1 to 100"),
        (("--unpaired", "--exemplars", "0"), "0"),
        (("--unpaired", "--features", "edges"), "'edges'"),
    ],
)
def test_bad_options(kerasft, trained_model, folders, tmp_path, options, message):
    status, out, err = kerasft(
        "rank", trained_model, "--clean", folders / "clean", "--distorted", folders / "test",
        *options, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not list(tmp_path.iterdir())


def test_unpaired_needs_a_distorted_folder(kerasft, trained_model, folders, tmp_path):
    status, _, err = kerasft(
        "rank", trained_model, "--clean", folders / "clean", "--distortion", "blur:1",
        "--unpaired", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 2
    assert "--distorted DIR with --unpaired" in err


def _table1(kerasft, model, folders, out, *options):
    return kerasft(
        "reproduce", "table1", model, "--data", folders / "clean", "--distortion", "blur:1.2",
        "--layers", "conv1", "--size", 30, "--out", out, *options,
    )  # fmt: skip


RESULTS = "table1-cifar10_cnn-blur1.2.csv"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder for what is made once."""
    return tmp_path_factory.mktemp("table1")


@pytest.fixture
def one_draw(kerasft, trained_model, folders, shared):
    """The text of the results of one draw."""
    file = shared / RESULTS
    if not file.exists():
        _table1(kerasft, trained_model, folders, shared, "--subsets", 1)
    return file.read_text()


def test_table1_goes_on_where_it_stopped(kerasft, trained_model, folders, tmp_path, one_draw):
    status, out, _ = _table1(kerasft, trained_model, folders, tmp_path / "a", "--subsets", 2)
    assert status == 0
    assert "chance" in out
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / RESULTS).write_text(one_draw)
    _table1(kerasft, trained_model, folders, tmp_path / "b", "--subsets", 2)
    for name in (RESULTS, "table1-cifar10_cnn-blur1.2.summary.csv"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    assert (tmp_path / "b" / RESULTS).read_text().startswith(one_draw)
    rows = pd.read_csv(tmp_path / "a" / RESULTS)
    assert sorted(rows["subset"].unique()) == [0, 1]
    assert rows["matches"].between(0, rows["selected"]).all()
    assert (rows["chance"] == 8 * 8 / 32).all()


def test_table1_keeps_results_of_other_settings(
    kerasft, trained_model, folders, tmp_path, one_draw
):
    file = tmp_path / RESULTS
    file.write_text(one_draw)
    before = file.read_bytes()
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--size", 40)
    assert status == 2
    assert "other settings" in err
    assert file.read_bytes() == before
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--layers", "conv2")
    assert status == 2
    assert "layers conv2" in err
    other = tmp_path / "other.keras"
    model = keras.saving.load_model(trained_model)
    model.get_layer("conv1").bias.assign_add([1.0] * 32)
    model.save(other)
    status, _, err = _table1(kerasft, other, folders, tmp_path)
    assert status == 2
    assert "other settings" in err
    status, _, err = kerasft(
        "reproduce", "table1", trained_model, "--data", folders / "blurred",
        "--distortion", "blur:1.2", "--layers", "conv1", "--size", 30, "--out", tmp_path,
    )  # fmt: skip
    assert status == 2
    assert "other settings" in err
    assert file.read_bytes() == before


@pytest.mark.parametrize("names", [("1", "2"), ("1_1", "1_2"), ("None", "nan")])
def test_table1_takes_no_layers_name_for_a_number(kerasft, folders, tmp_path, names):
    images = keras.Input((8, 8, 1))
    maps = images
    for name in names:
        maps = keras.layers.Conv2D(10, 3, name=name)(maps)
    outputs = keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(maps))
    model = tmp_path / "model.keras"
    keras.Model(images, outputs, name="cifar10_cnn").save(model)
    for draws in (1, 2):
        status, _, err = _table1(
            kerasft, model, folders, tmp_path, "--layers", ",".join(names), "--subsets", draws,
        )  # fmt: skip
        assert (status, err) == (0, "")
        for file in (RESULTS, RESULTS.replace(".csv", ".summary.csv")):
            table = pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False)
            assert list(dict.fromkeys(table["layer"])) == list(names)
        assert set(table["draws"]) == {str(draws)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "nonsense\n", "'subset'"),
        (lambda text: text[:-2], "remove all rows of draw 0 (column subset)"),
        (lambda text: text.replace("subset", "draw", 1), "'subset'"),
        (lambda text: text[: text.rindex("\n", 0, -1) + 1], "Received: others for draw 0"),
        (lambda text: text.replace("pixels,euclidean,25", "pixels,,25", 1), "empty fields"),
        (lambda text: "", "which is empty"),
    ],
)
def test_table1_refuses_damaged_results(
    kerasft, trained_model, folders, tmp_path, one_draw, damage, message
):
    file = tmp_path / RESULTS
    damaged = damage(one_draw)
    file.write_text(damaged)
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path)
    assert status == 2
    assert message in err
    assert file.read_text() == damaged


# At the last line's end, and within the draw's number.
@pytest.mark.parametrize("end", ["", "conv1,"])
@pytest.mark.parametrize("draws", [1, 2])
def test_table1_goes_on_where_what_it_says_of_a_cut_off_file_is_done(
    kerasft, trained_model, folders, tmp_path, one_draw, draws, end
):
    file = tmp_path / RESULTS
    file.write_text(one_draw)
    _table1(kerasft, trained_model, folders, tmp_path, "--subsets", draws)
    whole = file.read_text()
    file.write_text(whole[: whole.rindex(end) + len(end)] + "0" if end else whole[:-2])
    _, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--subsets", draws)
    assert "feature_maps" not in err
    lines = file.read_text().splitlines(keepends=True)
    if "remove that line" in err:
        file.write_text("".join(lines[:-1]))
        _, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--subsets", draws)
        lines = lines[:-1]
    assert f"remove all rows of draw {draws - 1}" in err
    file.write_text("".join(x for x in lines if x.split(",")[4] != str(draws - 1)))
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--subsets", draws)
    assert (status, err, file.read_text()) == (0, "", whole)


def test_table1_leaves_a_file_alone_that_another_process_writes(
    kerasft, trained_model, folders, tmp_path, one_draw
):
    file = tmp_path / RESULTS
    file.write_text(one_draw)
    with locked(file):
        status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--subsets", 2)
    assert (status, file.read_text()) == (2, one_draw)
    assert "Expected no other process" in err


def test_table1_has_one_name_for_a_distortion(kerasft, trained_model, folders, tmp_path):
    status, _, _ = _table1(
        kerasft, trained_model, folders, tmp_path, "--distortion", "blur:central", "--subsets", 1,
    )  # fmt: skip
    assert status == 0
    file = tmp_path / "table1-cifar10_cnn-blur1.csv"
    assert (pd.read_csv(file)["distortion"] == "blur:1").all()


def test_table1_refuses_early(kerasft, trained_model, folders, tmp_path):
    taken = tmp_path / "file"
    taken.write_text("kept")
    status, _, err = _table1(kerasft, trained_model, folders, taken)
    assert (status, taken.read_text()) == (2, "kept")
    assert "which is a file" in err
    for ending in ("csv", "summary.csv", "svg", "md"):
        name = RESULTS.replace("csv", ending)
        (tmp_path / ending / name).mkdir(parents=True)
        status, _, err = _table1(kerasft, trained_model, folders, tmp_path / ending)
        assert (status, f"Received: {name}, which is a folder" in err) == (2, True)
        assert [x.name for x in (tmp_path / ending).iterdir()] == [name]
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--layers", "conv7")
    assert status == 2
    assert "'conv7'" in err


def test_table1_of_a_model_that_takes_other_pixels(
    kerasft, trained_model, folders, tmp_path, one_draw, shared
):
    inner = keras.saving.load_model(trained_model)
    inputs = keras.Input((8, 8, 1))
    outputs = inner(keras.layers.Rescaling(127.5, 127.5)(inputs))
    model = keras.Model(inputs, outputs, name="cifar10_cnn")
    model.save(tmp_path / "unit.keras")
    status, _, err = _table1(
        kerasft, trained_model, folders, tmp_path / "a", "--pixels", "0..1",
    )  # fmt: skip
    assert status == 2
    assert "--pixels 0..255" in err
    status, _, _ = _table1(
        kerasft, tmp_path / "unit.keras", folders, tmp_path / "a", "--pixels", "-1..1",
        "--subsets", 1,
    )  # fmt: skip
    assert status == 0
    unit, bytes_ = (
        pd.read_csv(file).drop(columns=["pixels", "model_sha256"])
        for file in (tmp_path / "a" / RESULTS, shared / RESULTS)
    )
    pd.testing.assert_frame_equal(unit, bytes_)


def test_table1_needs_two_disjoint_sets(kerasft, trained_model, folders, tmp_path):
    status, _, err = _table1(kerasft, trained_model, folders, tmp_path, "--size", 101)
    assert status == 2
    assert "at least 202 images" in err
    assert not list(tmp_path.iterdir())
