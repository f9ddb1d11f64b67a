"""A model computes in its own precision, whatever the global policy is when it is looked at."""

import importlib

import keras
import numpy as np
import pytest

import kerasft


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            # Beyond what float16 can hold.
            keras.layers.Rescaling(1 / 65535),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request):
    """Sets the policy when it is called."""
    before = keras.config.dtype_policy()
    yield lambda: keras.config.set_dtype_policy(request.param)
    keras.config.set_dtype_policy(before)


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 65535, (20, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_ranking(monkeypatch, model, images, policy, accelerated):
    # The function of the same name hides the module.
    module = importlib.import_module("kerasft.susceptibility.rank_filters")
    monkeypatch.setattr(module, "has_accelerator", lambda: accelerated)
    expected = kerasft.rank_filters(model, images, images * np.float32(0.999))["conv"]
    policy()
    found = kerasft.rank_filters(model, images, images * np.float32(0.999))["conv"]
    np.testing.assert_array_equal(found.mean_distance, expected.mean_distance)
    np.testing.assert_array_equal(found.borda_counts, expected.borda_counts)


def test_disparity(model, images, policy):
    expected = kerasft.mean_disparity(model, images, images * np.float32(0.99))["conv"]
    policy()
    found = kerasft.mean_disparity(model, images, images * np.float32(0.99))["conv"]
    np.testing.assert_array_equal(found.mean_map, expected.mean_map)


def test_statistics_of_batch_normalization(model, images, policy):
    expected = kerasft.recalibrate_batch_norm(model, images).get_weights()
    policy()
    found = kerasft.recalibrate_batch_norm(model, images).get_weights()
    for new, old in zip(found, expected, strict=True):
        np.testing.assert_array_equal(new, old)
