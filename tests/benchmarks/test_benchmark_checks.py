"""A benchmark whose variants do not compute the same stops before it times anything."""

import sys
import types

import emd
import frozen_prefix
import grid_scaling
import keras
import merged_inference
import numpy as np
import pandas as pd
import pytest
import ranking
import startup
import training_step
from images import photograph_like
from paper_ranking import rank_as_in_the_paper

import kerasft


@pytest.fixture
def small_model():
    keras.utils.set_random_seed(0)
    return kerasft.models.cifar10_cnn((8, 8, 1))


def test_photographs_are_pixels_of_many_values():
    images = photograph_like(3, size=16)
    assert images.shape == (3, 16, 16, 3)
    assert images.dtype == np.uint8
    assert all(len(np.unique(image)) > 50 for image in images)
    assert 60 < images.mean() < 180
    np.testing.assert_array_equal(images, photograph_like(3, size=16))


@pytest.mark.parametrize("make", [emd.relu_maps, emd.gaussian_maps])
def test_distances_that_are_off_in_the_sixth_digit(monkeypatch, make):
    clean, distorted = make(1)
    assert clean.shape == distorted.shape == (1, 32, 32, 96)
    emd.check(clean, distorted)
    right = kerasft.wasserstein_distances
    monkeypatch.setattr(kerasft, "wasserstein_distances", lambda *maps: right(*maps) + 1e-6)
    with pytest.raises(AssertionError):
        emd.check(clean, distorted)


def test_relu_maps_have_zeros():
    clean, _ = emd.relu_maps(1)
    assert 0.2 < np.mean(clean == 0) < 0.8


def test_a_ranking_that_is_not_the_papers(monkeypatch, small_model):
    images = kerasft.datasets.digits()[0][:12]
    noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    ranking.check(small_model, images, noisy)
    right = kerasft.rank_filters
    monkeypatch.setattr(
        kerasft, "rank_filters", lambda model, a, b, **more: right(model, a[:11], b[:11], **more)
    )
    with pytest.raises(AssertionError):
        ranking.check(small_model, images, noisy)


def test_points_that_are_not_the_papers(monkeypatch, small_model):
    images = kerasft.datasets.digits()[0][:12]
    noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    right = kerasft.rank_filters

    def reversed_votes(*arguments, **more):
        found = right(*arguments, **more)
        return {
            name: types.SimpleNamespace(
                mean_distance=layer.mean_distance, borda_counts=layer.borda_counts[::-1]
            )
            for name, layer in found.items()
        }

    monkeypatch.setattr(kerasft, "rank_filters", reversed_votes)
    with pytest.raises(SystemExit, match="points"):
        ranking.check(small_model, images, noisy)


def test_the_papers_procedure_does_not_depend_on_batches(small_model):
    images = kerasft.datasets.digits()[0][:10]
    noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    whole = rank_as_in_the_paper(small_model, [(images, noisy)], ["conv1"])
    parts = [(images[:4], noisy[:4]), (images[4:], noisy[4:])]
    counts, mean = rank_as_in_the_paper(small_model, parts, ["conv1"])["conv1"]
    np.testing.assert_allclose(mean, whole["conv1"][1], rtol=1e-4)
    assert counts.sum() == whole["conv1"][0].sum() == 10 * 55


def test_agreement_is_over_all_orders_and_places():
    full = {"conv1": [0, 1], "conv2": [0, 1, 2, 3]}
    selections = [full, {"conv1": [0, 2], "conv2": [0, 1, 4, 5]}]
    found = ranking.agreement(selections, full)
    assert found == {
        "agreement": 0.75,
        "agreement_conv1": 0.75,
        "agreement_conv2": 0.75,
        "orders": 2,
    }


def test_times_of_the_papers_procedure_are_multiplied_up_and_said_to_be():
    chosen = {"conv1": [0], "conv2": [0]}
    runs = pd.DataFrame(
        {
            "turn": turn,
            "distortion": "blur:1",
            "method": method,
            "seconds": seconds * (1 + turn),
            "peak_mib": 1.0,
            "pairs_run": pairs,
            "selections": [chosen] if method != ranking.PAPER else [],
        }
        for turn in range(2)
        for method, seconds, pairs in (
            (ranking.PAPER, 2.0, 10),
            (ranking.FULL, 4.0, 1000),
            (ranking.CONFIDENT, 1.0, 50),
        )
    )
    table = ranking.summarise(runs, 1000, "digits").set_index("method")
    assert table.loc[ranking.PAPER, "seconds"] == 1.5 * 200
    assert table["extrapolated"].tolist() == ["yes", "no", "no"]
    assert table["times_faster"].tolist() == [1, 50, 200]
    assert table["share"].tolist()[1:] == [1, 0.05]


def three_convolutions(classes):
    """As many layers and filters as the benchmark tunes, and no more."""
    convolutions = [
        keras.layers.Conv2D(
            training_step.FILTERS, 3, strides=3, use_bias=False, activation="relu", name=name
        )
        for name in training_step.LAYERS
    ]
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            *convolutions,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def test_filters_that_move_though_they_are_not_selected(monkeypatch):
    monkeypatch.setattr(training_step, "all_conv_net", three_convolutions)
    images, labels = training_step.batch(2)
    training_step.check(images, labels)
    right = training_step.make_partially_trainable
    monkeypatch.setattr(
        training_step,
        "make_partially_trainable",
        lambda model, selection: right(model, dict.fromkeys(selection, range(96))),
    )
    with pytest.raises(AssertionError):
        training_step.check(images, labels)


@pytest.mark.parametrize("fault", ["other weights", "nothing cached"])
def test_cached_layers_that_change_the_result(monkeypatch, fault):
    model, train, validation = frozen_prefix.task(4)

    def fine_tune(model, *_, cache_prefix, **__):
        tuned = keras.models.clone_model(model)
        tuned.set_weights([w + 1e-3 for w in model.get_weights()])
        if cache_prefix and fault == "other weights":
            tuned.set_weights([w + 1e-4 for w in tuned.get_weights()])
        cached = ("conv1",) if cache_prefix and fault != "nothing cached" else ()
        return types.SimpleNamespace(model=tuned, cached_prefix=cached)

    monkeypatch.setattr(kerasft, "fine_tune", fine_tune)
    with pytest.raises((AssertionError, SystemExit)):
        frozen_prefix.check(model, train, validation)


def test_a_merged_model_that_predicts_otherwise(monkeypatch, small_model):
    images = kerasft.datasets.digits()[0][:4].astype("float32")
    partial = kerasft.make_partially_trainable(small_model, {"conv1": [1, 2]})
    models = {"source": small_model, "partial": partial, "merged": kerasft.merge(partial)}
    merged_inference.check(models, images)
    models["merged"].set_weights([w + 1e-6 for w in small_model.get_weights()])
    with pytest.raises(AssertionError):
        merged_inference.check(models, images)


def test_a_command_that_says_something_else():
    def says(text):
        # Whatever else it is given.
        return [sys.executable, "-c", f"print({text!r})"]

    with pytest.raises(SystemExit, match="rank_filters"):
        startup.check({startup.KERASFT: ["echo", "-c"], startup.HELP: says("robustify")})
    with pytest.raises(SystemExit, match="robustify"):
        startup.check({startup.KERASFT: ["echo", "rank_filters"], startup.HELP: says("nothing")})


def test_runs_whose_results_depend_on_how_they_are_done():
    rows = [
        {"seed": seed, "which": "most", "first_loss": 0.7, "loss": loss, "accuracy": 0.9}
        | {"trained_parameters": 20, "began": 0.0, "ended": 1.0}
        for seed, loss in enumerate([0.5, 0.6])
    ]
    ways = (grid_scaling.LOOP, grid_scaling.ONE, grid_scaling.TWO, grid_scaling.LIMIT)
    # Whatever the order and the times.
    late = [row | {"began": 2.0, "ended": 4.0} for row in rows[::-1]]
    grid_scaling.check({**dict.fromkeys(ways, rows), grid_scaling.LIMIT: late})
    for way, column, value in (
        (grid_scaling.TWO, "loss", 0.5000001),
        (grid_scaling.LIMIT, "loss", 0.5000001),
        (grid_scaling.LOOP, "first_loss", 0.71),
        (grid_scaling.LOOP, "trained_parameters", 21),
    ):
        with pytest.raises(AssertionError):
            grid_scaling.check(
                {**dict.fromkeys(ways, rows), way: [rows[0] | {column: value}, rows[1]]}
            )
