"""What is measured, and that every method is given the same."""

import dataclasses

import fake_methods
import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from fake_methods import KEEP, TURN, fake, right

import kerasft
from kerasft.comparison import Comparison
from kerasft.comparison.draw import draw_problem
from kerasft.comparison.images import ComparedImages
from kerasft.comparison.settings import Settings
from kerasft.datasets import digits
from kerasft.experiments.provenance import provenance
from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome
from kerasft.statistics import mean_interval

MEASURED = ["method", "seed", "distorted_accuracy", "clean_accuracy", "validation_accuracy"]


def test_accuracies_are_those_counted_by_hand(compare, sets):
    comparison = compare(fake("nothing"), fake("turn", TURN, trained=9, needs_labels=True), seeds=2)
    assert isinstance(comparison, Comparison)
    runs = comparison.runs.set_index(["method", "seed"])
    assert len(runs) == 4
    for name, kernel in (("nothing", KEEP), ("turn", TURN)):
        for seed in (0, 1):
            row = runs.loc[name, seed]
            assert row["status"] == "done"
            assert row["distorted_accuracy"] == right(sets["distorted_test"], kernel)
            assert row["clean_accuracy"] == right(sets["clean_test"], kernel)
    assert runs.loc["turn", 0]["distorted_accuracy"] == 0.6
    assert runs.loc["turn", 0]["clean_accuracy"] == 0
    row = runs.loc["turn", 0]
    assert (row["labels_needed"], row["trained_parameters"], row["epochs"]) == (60, 9, 1)
    assert (row["trained_share"], row["layers_share"]) == (1, 1)
    assert runs.loc["nothing", 0]["labels_needed"] == 0
    assert set(provenance()) <= set(runs.columns)


def test_validation_accuracy_is_that_of_the_images_held_out(compare, sets):
    runs = compare(fake("turn", TURN, trained=9, needs_labels=True), seeds=2).runs
    compared = ComparedImages(*sets["distorted"], *sets["distorted_test"])
    for seed in (0, 1):
        draw = draw_problem(None, compared, _settings(), seed)
        measured = runs.set_index("seed").loc[seed, "validation_accuracy"]
        assert measured == pytest.approx(right(draw.validation, TURN))


def _settings(labels=None, paired=False):
    return Settings(labels, paired, None, 2, 1, 8, 1e-3)


def _rows(pixels):
    """Which images of a set these are."""
    return np.rint(pixels.min(axis=(1, 2, 3)) * 10000).astype(int)


@pytest.mark.parametrize("labels", [None, 30])
def test_a_draw_is_by_class_seeded_and_its_parts_are_apart(sets, labels):
    images = ComparedImages(*sets["distorted"], *sets["distorted_test"])
    draws = [draw_problem(None, images, _settings(labels), seed) for seed in (0, 0, 1)]
    for draw in draws:
        count = labels or 60
        trained, held = _rows(draw.problem.distorted), _rows(draw.validation[0])
        assert (len(trained), len(held), draw.labels) == (count * 4 // 5, count // 5, count)
        assert not set(trained) & set(held)
        np.testing.assert_array_equal(draw.problem.labels, sets["distorted"][1][trained])
        np.testing.assert_array_equal(draw.validation[1], sets["distorted"][1][held])
        assert draw.problem.validation is draw.validation
        assert np.bincount(draw.validation[1]).tolist() == [count // 15] * 3
        assert np.bincount(draw.problem.labels).tolist() == [count * 4 // 15] * 3
    first, again, other = (_rows(draw.problem.distorted).tolist() for draw in draws)
    assert first == again
    assert first != other


def test_pairs_stay_pairs(sets):
    clean = fake_methods.images(60, 0, seed=0)
    images = ComparedImages(
        *sets["distorted"], *sets["distorted_test"], clean=clean[0], clean_labels=clean[1]
    )
    problem = draw_problem(None, images, _settings(30, paired=True), 0).problem
    assert problem.paired
    np.testing.assert_array_equal(_rows(problem.clean), _rows(problem.distorted))
    np.testing.assert_array_equal(problem.clean_labels, problem.labels)
    apart = draw_problem(None, images, _settings(30), 0).problem
    assert not apart.paired
    assert len(apart.clean) == 60
    assert apart.other_clean is None


def test_clean_versions_of_images_that_were_not_drawn_are_other_clean_images(sets, monkeypatch):
    clean, labels = fake_methods.images(60, 0, seed=0)
    images = ComparedImages(
        *sets["distorted"], *sets["distorted_test"], clean=clean, clean_labels=labels
    )

    def draw(images, count=30, seed=0):
        return draw_problem(None, images, _settings(count, paired=True), seed)

    drawn = draw(images)
    others = _rows(drawn.problem.other_clean[0])
    # Neither trained on nor held out.
    used = set(_rows(drawn.problem.distorted)) | set(_rows(drawn.validation[0]))
    assert set(others) == set(range(60)) - used
    np.testing.assert_array_equal(drawn.problem.other_clean[1], labels[others])
    assert draw(dataclasses.replace(images, clean_labels=None)).problem.other_clean[1] is None
    assert draw(images, count=60).problem.other_clean is None
    # Of many a part, by the seed.
    monkeypatch.setattr("kerasft.comparison.draw._OTHERS", 10)
    parts = [_rows(draw(images, seed=seed).problem.other_clean[0]) for seed in (0, 0, 1)]
    assert set(parts[0]) < set(others)
    assert len(parts[0]) == 10
    assert parts[0].tolist() == parts[1].tolist() != parts[2].tolist()


def test_separate_validation_images_are_the_same_for_every_seed(compare, sets):
    validation = fake_methods.images(30, 0.5, seed=5)
    comparison = compare(
        fake("turn", TURN, trained=9, needs_labels=True),
        validation=validation,
        labels=np.int64(30),
        seeds=np.int64(2),
        learning_rate=np.float32(1e-3),
    )
    assert set(comparison.runs["validation_accuracy"]) == {right(validation, TURN)}
    assert set(comparison.runs["labels_needed"]) == {60}


def test_the_leaderboard_has_means_and_intervals_and_the_best_comes_first(compare, sets):
    methods = [fake_methods.random_kernel("dice"), fake("turn", TURN, trained=9)]
    comparison = compare(*methods, seeds=3)
    board = comparison.leaderboard
    assert board["distorted_accuracy"].is_monotonic_decreasing
    assert sorted(board["method"]) == ["dice", "turn"]
    assert set(board["seeds"]) == {3}
    row = board.set_index("method").loc["dice"]
    runs = comparison.runs[comparison.runs["method"] == "dice"]
    assert runs["distorted_accuracy"].nunique() > 1
    mean, low, high = mean_interval(runs["distorted_accuracy"])
    expected = [mean, max(low, 0), min(high, 1)]
    names = ["distorted_accuracy", "distorted_accuracy_low", "distorted_accuracy_high"]
    np.testing.assert_allclose(row[names].astype(float), expected, atol=1e-5)


def test_one_seed_has_no_interval_and_a_name_is_no_number(compare):
    comparison = compare(fake("7"), seeds=1)
    assert comparison.leaderboard["distorted_accuracy_low"].isna().all()
    assert comparison.best == "7"
    comparison.best_model()


def test_several_distortions_have_runs_of_their_own_and_count_alike(compare, sets):
    distortions = {"weak": 0.2, "strong": 0.8}
    comparison = compare(
        fake("nothing"),
        fake("turn", TURN, trained=9, needs_labels=True),
        distorted={k: fake_methods.images(60, share, 0) for k, share in distortions.items()},
        distorted_test={k: fake_methods.images(50, share, 1) for k, share in distortions.items()},
    )
    assert len(comparison.runs) == 4
    table = comparison.runs.set_index(["distortion", "method", "seed"])["distorted_accuracy"]
    assert table["weak", "turn", 0] == pytest.approx(0.2)
    assert table["strong", "turn", 0] == pytest.approx(0.8)
    board = comparison.leaderboard.set_index("method")
    assert board.loc["turn", "distorted_accuracy"] == pytest.approx(0.5)
    assert board.loc["turn", "seeds"] == 1
    assert any("2 distortions" in note for note in comparison.notes)
    with pytest.raises(ValueError, match="one set of distorted images"):
        comparison.best_model()


def test_learning_rates(compare):
    method = fake_methods.right_at_one_rate("picky", 3e-4)
    given = compare(method, learning_rate=3e-4).runs
    assert set(given["learning_rate"]) == {3e-4}
    assert set(given["distorted_accuracy"]) == {0.6}
    assert set(compare(method).runs["distorted_accuracy"]) == {0.4}
    free = fake_methods.right_at_one_rate("free", 3e-4, needs_labels=False)
    searched = compare(method, free, fake("nothing"), learning_rate="search")
    runs = searched.runs.groupby("method")
    assert set(runs.get_group("picky")["learning_rate"]) == {3e-4}
    assert set(runs.get_group("picky")["distorted_accuracy"]) == {0.6}
    assert runs.get_group("nothing")["learning_rate"].isna().all()
    # A rate that labels chose would not be without them.
    assert set(runs.get_group("free")["learning_rate"]) == {1e-3}
    assert set(runs.get_group("free")["labels_needed"]) == {0}
    assert searched.best == "picky"
    # The model of the best is made with the rate that was found.
    test = fake_methods.images(50, 0.6, seed=1)
    assert _accuracy(searched.best_model(), test) == pytest.approx(0.6)


def _accuracy(model, data):
    return float(np.mean(model.predict(data[0], verbose=0).argmax(-1) == data[1]))


def test_the_best_model_is_that_of_its_best_seed_and_can_be_saved(compare, sets, tmp_path):
    comparison = compare(fake_methods.random_kernel("dice"), seeds=3)
    row = comparison.runs.loc[comparison.runs["validation_accuracy"].idxmax()]
    expected = row["distorted_accuracy"]
    assert _accuracy(comparison.best_model(), sets["distorted_test"]) == pytest.approx(expected)
    comparison.save_best(tmp_path / "best.keras")
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    assert _accuracy(loaded, sets["distorted_test"]) == pytest.approx(expected)
    assert [file.name for file in tmp_path.iterdir()] == ["best.keras"]
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        comparison.save_best(tmp_path / "best.h5")
    with pytest.raises(ValueError, match="in a folder that exists"):
        comparison.save_best(tmp_path / "none" / "best.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ValueError, match=r"folder\.keras, which is a folder"):
        comparison.save_best(tmp_path / "folder.keras")


def test_any_number_of_jobs_gives_the_same(compare):
    method = fake_methods.random_kernel("dice")
    alone = compare(method, seeds=2)
    with joblib.parallel_config(n_jobs=2):
        together = compare(method, seeds=2)
    pd.testing.assert_frame_equal(alone.runs[MEASURED], together.runs[MEASURED])
    assert alone.recommendation == together.recommendation


def test_the_model_and_the_settings_of_keras_stay_as_they_are(compare):
    model = fake_methods.channel_model()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        compare(fake("turn", TURN, trained=9), model=model)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(model.get_weights()[0][0, 0], KEEP)


def test_methods_get_a_model_of_the_policy_that_the_given_one_has(compare):
    # By which Keras decides whether to scale the loss; the file of a model does not keep it.
    model, seen = fake_methods.channel_model(), []
    model.dtype_policy = "mixed_float16"

    def apply(problem, seed):
        seen.append(problem.model.dtype_policy.name)
        return Outcome(problem.model)

    compare(Method("seen", apply, needs_labels=False, reason_against=lambda _: None), model=model)
    assert seen == ["mixed_float16"]


def test_methods_of_the_package_on_digits_with_and_without_what_they_need():
    images, labels = digits()
    blurred = kerasft.gaussian_blur(images, 1.2)
    model = kerasft.models.cifar10_cnn((8, 8, 1))
    comparison = kerasft.compare(
        model,
        distorted=(blurred[:50], labels[:50]),
        distorted_test=(blurred[50:150], labels[50:150]),
        methods=["nothing", "batch norm", "first layers", "most"],
        seeds=1,
        epochs=1,
    )
    assert set(comparison.leaderboard["method"]) == {"nothing", "first layers"}
    assert "batch normalization" in comparison.left_out["batch norm"]
    assert "clean" in comparison.left_out["most"]
    row = comparison.leaderboard.set_index("method").loc["first layers"]
    assert 0 < row["trained_parameters"] <= model.count_params()
