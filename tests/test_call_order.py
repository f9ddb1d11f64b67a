"""In which order the calls of batch normalizations are measured."""

import keras
import numpy as np
import pytest
from batch_norm_models import SHAPE, conv, norm
from keras import layers

from kerasft.batch_norm import calls_in_order

IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype("float32")


def order(model):
    return [f"{layer.name}{index}" for layer, index in calls_in_order(model, IMAGES)]


def backbone(*between):
    steps = [conv("a"), norm("n"), layers.ReLU(), *between, conv("b"), norm("m")]
    return keras.Sequential([keras.Input(SHAPE), *steps], name="backbone")


def two_branches(*between):
    inputs, inner = keras.Input(SHAPE), backbone(*between)
    # Keras calls what is deeper first: the second branch, with a layer of its own.
    second = inner(norm("own")(-inputs))
    return keras.Model(inputs, norm("top")(layers.Add()([inner(inputs), second])))


# Pooling and a rectifier may make a number of NaN.
@pytest.mark.parametrize("between", [(), (layers.MaxPooling2D(2, 1), layers.ReLU(6.0))])
def test_all_calls_of_a_layer_come_before_what_they_feed_and_after_what_feeds_them(between):
    assert order(two_branches(*between)) == ["own0", "n0", "n1", "m0", "m1", "top0"]


def test_a_layer_that_feeds_another_and_not_that_one_again_is_not_in_its_circle():
    inputs, inner = keras.Input(SHAPE), keras.Sequential([norm("n")])
    # Called on its own output, and what is above is called between.
    first = inner(inputs)
    above = norm("above")(first)
    again = inner(layers.ReLU()(first))
    assert order(keras.Model(inputs, layers.Add()([above, again]))) == ["n0", "n1", "above0"]


def test_layers_that_feed_each_other_come_as_they_are_called():
    inputs, shared = keras.Input(SHAPE), norm("n")
    circle = shared(norm("m")(shared(inputs)))
    assert order(keras.Model(inputs, norm("top")(circle))) == ["n0", "m0", "n1", "top0"]


def test_layers_inside_layers_are_known_too():
    class Twice(layers.Layer):
        def __init__(self):
            super().__init__()
            self.steps = [norm("n"), norm("m")]

        def call(self, inputs):
            outputs = 0
            for x in (inputs, 2 * inputs):
                for step in self.steps:
                    x = step(x)
                outputs += x
            return outputs

    inputs = keras.Input(SHAPE)
    assert order(keras.Model(inputs, Twice()(inputs))) == ["n0", "n1", "m0", "m1"]


def test_layers_that_are_called_once_cost_one_call_of_the_model(monkeypatch):
    model, calls = backbone(), []
    call = model.call

    def count(*arguments, **settings):
        calls.append(1)
        return call(*arguments, **settings)

    monkeypatch.setattr(model, "call", count)
    assert order(model) == ["n0", "m0"]
    assert len(calls) == 1
