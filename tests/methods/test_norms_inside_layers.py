"""What methods do about batch normalizations inside layers that are no models."""

import keras
import numpy as np
import pytest
from batch_norm_models import NormBlock

import kerasft
from kerasft.methods import METHODS, Problem
from kerasft.sublayers import sublayers

layers = keras.layers
RECALIBRATING = ["batch norm", "sensitive filters", *(n for n in METHODS if "recalibrated" in n)]


@pytest.fixture(scope="module")
def problem():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            NormBlock(name="block"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    clean = rng.normal(1, 2, (16, 8, 8, 3)).astype("float32")
    labels, distorted = np.arange(16) % 2, 0.5 * clean - 1
    settings = {"clean": clean, "clean_labels": labels, "paired": True, "epochs": 1}
    return Problem(model, distorted, labels, validation=(distorted, labels), **settings)


def statistics(model):
    norm = next(x for x in sublayers(model) if isinstance(x, layers.BatchNormalization))
    return [keras.ops.convert_to_numpy(w) for w in (norm.moving_mean, norm.moving_variance)]


@pytest.mark.parametrize("name", RECALIBRATING)
def test_they_are_recalibrated_and_then_stand_still(name, problem):
    assert METHODS[name].reason_against(problem) is None
    images = problem.distorted
    if "clean kept" in name:
        images = np.concatenate([images, problem.clean])
    expected = statistics(kerasft.recalibrate_batch_norm(problem.model, images))
    found = statistics(METHODS[name].apply(problem, 0).model)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_trains_or_has_none_says_where_they_are(problem):
    assert "stand inside layers" in METHODS["tent"].reason_against(problem)
    assert "has batch normalization" in METHODS["filter moments"].reason_against(problem)
