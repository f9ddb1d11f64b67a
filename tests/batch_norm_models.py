"""A small network with batch normalization, and what its tests do with statistics."""

import keras
import numpy as np
import surgery_models
from keras import layers

from kerasft.sublayers import sublayers

SHAPE = (8, 8, 1)


@keras.saving.register_keras_serializable(package="batch_norm_models")
class NormBlock(layers.Layer):
    """A layer of the user's with a batch normalization inside, which no model lists."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.norm = layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)
        self.built = True

    def call(self, inputs, training=False):
        return self.norm(inputs, training=training)


def make_images():
    rng = np.random.default_rng(0)
    return (3 * rng.normal(1, rng.uniform(0.5, 2, (37, 1, 1, 1)), (37, *SHAPE))).astype("float32")


def norm(name, **arguments):
    return layers.BatchNormalization(name=name, **arguments)


def conv(name, filters=4, **arguments):
    return layers.Conv2D(filters, 3, name=name, **arguments)


def network(first=None, second=None):
    """Two convolutions with batch normalization, and statistics that are not the initial ones."""
    first = {"epsilon": 0.01} if first is None else first
    keras.utils.set_random_seed(2)
    inputs = keras.Input(SHAPE)
    x = norm("norm1", **first)(conv("conv1")(inputs))
    x = norm("norm2", **(second or {}))(conv("conv2", 5)(layers.ReLU()(x)))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))
    surgery_models.randomize(model)
    return model


def statistics(model):
    """`(mean, variance)` of every batch normalization, those inside other layers too."""
    return [
        (keras.ops.convert_to_numpy(x.moving_mean), keras.ops.convert_to_numpy(x.moving_variance))
        for x in sublayers(model)
        if isinstance(x, layers.BatchNormalization)
    ]


def assert_close(ours, theirs, rtol=2e-5, atol=1e-6):
    for pair, other in zip(ours, theirs, strict=True):
        for a, b in zip(pair, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def trained_statistics(model, inputs):
    for layer in sublayers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(inputs, training=True)
    return statistics(model)
