"""Models that compute something else are other models, whatever Keras calls their layers."""

import keras
import numpy as np
import pytest

from kerasft.comparison.model_digest import model_digest


def _model(scale=1 / 255, activation="relu", first="relu", swapped=False, dtype=None, name=None):
    """A model of the same weights, whatever the arguments; layers without names of their own."""
    x = keras.Input((4, 4, 1))
    y = keras.layers.Rescaling(scale)(x) + 1
    block = keras.Input((4, 4, 1))
    inner = keras.layers.Conv2D(2, 3, activation=activation)(block)
    a = keras.Model(block, inner)(y)
    a, b = keras.layers.Activation(first)(a), keras.layers.Activation("tanh")(a)
    y = keras.layers.Subtract(dtype=dtype)([b, a] if swapped else [a, b])
    y = keras.layers.Dense(3, name=name)(keras.layers.Flatten()(y))
    model = keras.Model(x, y)
    model.set_weights([np.full(w.shape, 0.5) for w in model.get_weights()])
    return model


def test_a_model_built_again_is_the_same_whatever_its_names():
    digest = model_digest(_model())
    again = _model(name="scores")
    assert [x.name for x in again.layers] != [x.name for x in _model().layers]
    assert model_digest(again) == digest
    again.compile("adam", "mse")
    assert model_digest(again) == digest


def test_a_model_from_a_file_is_the_same(tmp_path):
    model = _model()
    model.save(tmp_path / "model.keras")
    assert model_digest(keras.saving.load_model(tmp_path / "model.keras")) == model_digest(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 1 / 127.5},
        {"activation": "tanh"},
        {"first": "sigmoid"},
        {"swapped": True},
        {"dtype": "float16"},
    ],
)
def test_equal_weights_do_not_make_models_equal(changes):
    assert model_digest(_model(**changes)) != model_digest(_model())


def test_other_weights_make_another_model():
    model = _model()
    model.set_weights([w + 1 for w in model.get_weights()])
    assert model_digest(model) != model_digest(_model())


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_sequential_models(scale):
    def build(scale):
        return keras.Sequential(
            [keras.Input((2, 2, 1)), keras.layers.Rescaling(scale), keras.layers.Flatten()]
        )

    assert (model_digest(build(scale)) == model_digest(build(1.0))) == (scale == 1)
