"""Methods, images and labels that do not fit: left out, told or refused."""

import types

import fake_methods
import joblib
import keras
import numpy as np
import pytest
from fake_methods import TURN, fake
from full_disk import no_file_over

from kerasft.comparison.images import ComparedImages
from kerasft.comparison.notes import notes_on
from kerasft.methods.method import Method

NEEDS_LABELS = {"trained": 9, "needs_labels": True}


def test_a_method_that_does_not_fit_is_left_out_with_its_reason(compare):
    reason = "The model has no batch normalization."
    comparison = compare(fake("nothing"), fake("norm", reason=reason))
    assert comparison.left_out == {"norm": reason}
    assert comparison.leaderboard["method"].tolist() == ["nothing"]
    rows = comparison.runs[comparison.runs["method"] == "norm"]
    assert set(rows["status"]) == {f"left out: {reason}"}
    assert rows["distorted_accuracy"].isna().all()


def test_nothing_that_fits_is_no_error(compare):
    comparison = compare(fake("norm", reason="No."))
    assert comparison.best is None
    assert "No method could be used" in comparison.recommendation
    assert comparison.leaderboard.empty
    with pytest.raises(ValueError, match="Expected a method that could be used"):
        comparison.best_model()


def test_a_method_that_fails_on_the_data_is_left_out_and_any_other_error_is_told(compare):
    diverged = fake_methods.failing("wild", ValueError("Expected numbers.\nReceived: NaN."))
    comparison = compare(fake("nothing"), diverged)
    assert comparison.left_out == {"wild": "Expected numbers. Received: NaN."}
    # pytest matches the notes of an error too.
    with pytest.raises(KeyError, match="Method 'broken' failed so on 'distorted' with seed 0"):
        compare(fake("nothing"), fake_methods.failing("broken", KeyError("x")))


def test_a_long_reason_is_cut_so_that_its_file_can_be_read_again(compare, tmp_path):
    # The csv module of Python reads no field of more than 131,072 characters.
    methods = [
        fake_methods.failing("wild", ValueError("x" * 200_000)),
        fake("norm", reason="y" * 200_000),
    ]
    for _ in range(2):
        comparison = compare(*methods, out=tmp_path)
        assert comparison.left_out == {"wild": "x" * 999 + "…", "norm": "y" * 999 + "…"}


@pytest.mark.filterwarnings("ignore:This process")
def test_which_method_failed_is_told_from_a_worker_process_too(compare):
    methods = [fake("nothing"), fake_methods.failing("broken", OSError("disk is full"))]
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.raises(OSError, match=r"disk is full\nMethod 'broken' failed .* with seed 0"),
    ):
        compare(*methods)


def test_a_full_disk_is_told_with_its_place(compare, tmp_path):
    with no_file_over(1000), pytest.raises(OSError, match=r"^Expected room for the") as told:
        compare(fake("nothing"), out=tmp_path)
    assert str(tmp_path) in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_reason_that_cannot_be_found_names_the_method(compare):
    def no_reason(problem):
        raise AttributeError("no filters")

    method = Method("unsure", None, needs_labels=False, reason_against=no_reason)
    with pytest.raises(AttributeError, match="Method 'unsure' failed so"):
        compare(method)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [("dw", "DepthwiseConv2D"), ("relu", "ReLU"), ("dense", "Dense"), ("up", "Conv2DTranspose")],
)
def test_layers_that_are_no_conv2d_are_refused_before_any_work(compare, tmp_path, layer, kind):
    x = keras.Input((2, 2, 3))
    y = keras.layers.Conv2D(3, 1, name="conv")(x)
    y = keras.layers.DepthwiseConv2D(1, name="dw")(y)
    y = keras.layers.Conv2DTranspose(3, 1, name="up")(keras.layers.ReLU(name="relu")(y))
    y = keras.layers.Dense(3, name="dense")(keras.layers.GlobalAveragePooling2D()(y))
    message = f"Expected layers as names of Conv2D layers. Received: '{layer}', a {kind}"
    with pytest.raises(ValueError, match=message):
        compare(
            fake("nothing"), model=keras.Model(x, y), layers=["conv", layer], out=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_model_that_gives_nan_is_left_out(compare):
    comparison = compare(fake("nothing"), fake("nan", TURN * np.float32("nan")))
    assert "NaN" in comparison.left_out["nan"]


def test_a_method_left_out_of_one_run_is_left_out_of_the_leaderboard(compare, tmp_path):
    (tmp_path / "marks").mkdir()
    method = fake_methods.stops("once", 1, ValueError("Not this seed."), tmp_path / "marks")
    comparison = compare(fake("nothing"), method, seeds=2)
    assert comparison.left_out == {"once": "Not this seed."}
    assert comparison.leaderboard["method"].tolist() == ["nothing"]


def test_without_labels_only_methods_that_need_none_are_compared(compare, sets):
    comparison = compare(
        fake("nothing"),
        fake("free", TURN, trained=3),
        fake("taught", TURN, **NEEDS_LABELS),
        distorted=sets["distorted"][0],
    )
    assert comparison.leaderboard["method"].tolist() == ["free", "nothing"]
    assert "needs labels" in comparison.left_out["taught"]
    assert any("no labels" in note for note in comparison.notes)
    assert any("one half of the labelled test images" in note for note in comparison.notes)
    assert comparison.best == "free"
    assert set(comparison.runs["labels_needed"].dropna()) == {0}


def test_without_labels_test_images_that_choose_do_not_measure(compare, sets):
    # Of the test images, those that choose and those that measure add up to all.
    runs = compare(fake("turn", TURN), distorted=sets["distorted"][0]).runs
    both = runs["distorted_accuracy"] * 25 + runs["validation_accuracy"] * 25
    np.testing.assert_allclose(both, 0.6 * 50)


def test_fewer_labels_than_classes_is_a_note_and_no_error(compare, sets):
    few = fake_methods.images(20, 0.5)
    comparison = compare(fake("nothing"), labels=2, distorted=few, validation=few)
    assert any("2 labels are fewer than the 3 classes" in note for note in comparison.notes)
    assert comparison.best == "nothing"
    enough = compare(fake("nothing"), labels=6)
    assert not any("fewer than" in note for note in enough.notes)


@pytest.mark.parametrize(
    ("labels", "separate", "warning"),
    [
        (9, True, "9 labels are fewer than the 10 classes"),
        (10, True, None),
        # A fifth is held out.
        (10, False, "8 of 10 labels are fewer than the 10 classes"),
        (13, False, None),
    ],
)
def test_labels_held_out_are_not_to_train_on(labels, separate, warning):
    pixels, right = fake_methods.images(20, 0.5)
    validation = (pixels, right) if separate else (None, None)
    images = ComparedImages(pixels, right, pixels, right, *validation)
    notes = notes_on({"distorted": images}, types.SimpleNamespace(labels=labels), classes=10)
    assert [note.partition(", ")[0] for note in notes if "fewer" in note] == (
        [] if warning is None else [f"Warning: {warning}"]
    )


def test_no_clean_test_images_is_a_note_and_no_error(compare):
    comparison = compare(fake("nothing"), clean_test=None)
    assert comparison.leaderboard["clean_accuracy"].isna().all()
    assert "clean" not in comparison.recommendation
    assert any("clean accuracy was not measured" in note for note in comparison.notes)


def _pixels(count=10, shape=(2, 2, 3)):
    return np.zeros((count, *shape), "float32")


LABELS = np.zeros(10, int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["best"]}, "Expected methods of .*Received: 'best'"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["nothing", fake("nothing")]}, "'nothing' twice"),
        ({"seeds": 0}, "seeds as a whole number"),
        ({"labels": 0}, "labels as a whole number"),
        ({"labels": 61}, "up to 60"),
        ({"labels": 4}, "at least 5 labelled"),
        ({"labels": True}, "labels as a whole number"),
        ({"learning_rate": 0.0}, "learning rate over 0"),
        ({"learning_rate": float("nan")}, "learning rate over 0"),
        ({"learning_rate": "fast"}, "'fast'"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"layers": ["conv9"]}, "'conv9'"),
        ({"distorted": (_pixels(), LABELS[:9])}, r"labels of shape \(9,\)"),
        ({"distorted": (_pixels(), np.eye(3)[LABELS])}, r"labels of shape \(10, 3\)"),
        ({"distorted": (_pixels(), LABELS + 3)}, "labels from 0 to 2"),
        ({"distorted": (_pixels(), LABELS + 0.5)}, "whole numbers"),
        ({"distorted": (_pixels(), LABELS, LABELS)}, "3 parts"),
        ({"distorted": (_pixels() + np.nan, LABELS)}, "NaN"),
        ({"distorted": (_pixels(0), LABELS[:0])}, "at least one"),
        ({"distorted": (_pixels(shape=(2, 2, 1)), LABELS)}, "as the model"),
        ({"distorted": _pixels(), "labels": 5}, "labelled distorted images for labels=5"),
        ({"distorted_test": _pixels()}, "images alone"),
        ({"distorted_test": None}, "NoneType"),
        ({"distorted": None}, r"Expected distorted as \(images, labels\). Received: None"),
        ({"distorted": {"a": (_pixels(), LABELS)}}, "mapping"),
        (
            {
                "distorted": {"a": (_pixels(), LABELS)},
                "distorted_test": {"b": (_pixels(), LABELS)},
            },
            "Received: .'b'",
        ),
        (
            {
                "distorted": {1: (_pixels(), LABELS), "a": (_pixels(), LABELS)},
                "distorted_test": {1: (_pixels(), LABELS)},
            },
            r"names of distorted, \[1, 'a'\], in distorted_test. Received: \[1\]",
        ),
        (
            {
                "distorted": {1: (_pixels(), LABELS), "1": (_pixels(), LABELS)},
                "distorted_test": None,
            },
            r"names that differ as text. Received: \[1, '1'\]",
        ),
        ({"distorted": {}, "distorted_test": {}}, "at least one set"),
        (
            {
                "distorted": {"a": (_pixels(), LABELS), "b": _pixels()},
                "distorted_test": {"a": (_pixels(), LABELS), "b": (_pixels(), LABELS)},
            },
            "in all sets of distorted images, or in none",
        ),
        ({"distorted": _pixels(), "distorted_test": (_pixels(1), LABELS[:1])}, "at least 2"),
        ({"paired": True}, "60 clean images for paired=True.* Received: none"),
        ({"paired": True, "clean": _pixels()}, "Received: 10"),
        (
            {
                "paired": True,
                "distorted": (_pixels(), LABELS),
                "clean": (_pixels(), np.arange(10) // 7),
            },
            "another label for 3 of 10",
        ),
        ({"clean_test": (_pixels() + 1, LABELS - 1)}, "from 0 to 2"),
        (
            {"clean": _pixels() + 255, "distorted": (_pixels() + 1, LABELS)},
            "Expected distorted and clean images over the same value range",
        ),
        *(
            (
                {name: (_pixels() + 1, LABELS), "distorted": (_pixels() + 255, LABELS)},
                f"Expected distorted and {name} images over the same value range",
            )
            for name in ("distorted_test", "validation", "clean_test")
        ),
    ],
)
def test_bad_input_is_refused_before_any_work(compare, sets, tmp_path, changes, message):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=message):
        compare(fake("nothing"), out=out, **changes)
    assert not out.exists()


def test_names_of_distortions_need_no_order(compare):
    sets = {1: (_pixels(), LABELS), "a": (_pixels(), LABELS)}
    runs = compare(fake("nothing"), distorted=sets, distorted_test=sets).runs
    assert sorted(set(runs["distortion"].astype(str))) == ["1", "a"]


def test_what_is_no_model_or_no_method_is_refused(compare):
    with pytest.raises(TypeError, match=r"keras\.Model"):
        compare(fake("nothing"), model="model.keras")
    with pytest.raises(TypeError, match="names or Method"):
        compare(3)
    with pytest.raises(TypeError, match=r"names or Method objects\. Received: int"):
        compare(methods=3)


def test_a_dictionary_of_one_output_is_refused_before_any_work(compare, tmp_path):
    model = fake_methods.channel_model()
    named = keras.Model(model.inputs, {"class": model.outputs[0]}, name="named")
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"output is one tensor\. Received: 'named' with a dict"):
        compare(fake("nothing"), model=named, out=out)
    assert not out.exists()


@pytest.mark.parametrize("layers", ["conv", 1])
def test_layers_are_a_list_of_names(compare, layers):
    with pytest.raises(TypeError, match=f"list of layer names. Received: {layers!r}"):
        compare(fake("nothing"), layers=layers)


def test_a_leaderboard_of_no_methods_has_the_columns_of_others(compare):
    empty = compare(fake("norm", reason="No.")).leaderboard
    assert list(empty.columns) == list(compare(fake("nothing")).leaderboard.columns)
