"""A small network that knows digits, and digits with little contrast on a gray ground."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

import kerasft
from kerasft.evaluation import predict_classes
from kerasft.methods import METHODS, Problem

TUNING, VALIDATION, TEST = slice(900, 1156), slice(1156, 1284), slice(1284, None)


def make_network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255, name="rescale"),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(name="norm1", momentum=0.9),
            layers.ReLU(name="relu1"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv2"),
            layers.BatchNormalization(name="norm2", momentum=0.9),
            layers.ReLU(name="relu2"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(16, 3, padding="same", name="conv3"),
            layers.BatchNormalization(name="norm3", momentum=0.9),
            layers.ReLU(name="relu3"),
            layers.Dropout(0.1, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="softmax", name="head"),
        ],
        name="network",
    )


def lose_contrast(images):
    return 0.35 * images + 120


def shorten(problem, images=64):
    """One epoch on a few images."""
    return dataclasses.replace(
        problem,
        distorted=problem.distorted[:images],
        labels=problem.labels[:images],
        clean=problem.clean[:images],
        clean_labels=problem.clean_labels[:images],
        epochs=1,
    )


@pytest.fixture(scope="session")
def short(problem):
    return shorten(problem)


@pytest.fixture(scope="session")
def digits():
    images, labels = kerasft.datasets.digits()
    return images.astype("float32"), labels


@pytest.fixture(scope="session")
def source(digits):
    """The network, and its weights before any method saw it."""
    images, labels = digits
    model = make_network()
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images[:900], labels[:900], batch_size=64, epochs=10, verbose=0)
    return model, [w.tobytes() for w in model.get_weights()]


@pytest.fixture(scope="session")
def problem(source, digits):
    images, labels = digits
    distorted = lose_contrast(images)
    return Problem(
        model=source[0],
        distorted=distorted[TUNING],
        labels=labels[TUNING],
        validation=(distorted[VALIDATION], labels[VALIDATION]),
        clean=images[TUNING],
        clean_labels=labels[TUNING],
        paired=True,
        epochs=6,
        patience=6,
        learning_rate=3e-3,
    )


@pytest.fixture(scope="session")
def outcome_of(problem):
    """The outcome of a method, computed once."""
    return functools.cache(lambda name: METHODS[name].apply(problem, 0))


@pytest.fixture(scope="session")
def accuracy(digits):
    """The accuracy of a model on test images, distorted by a function."""
    images, labels = digits

    def measure(model, distort=lose_contrast):
        return np.mean(predict_classes(model, distort(images[TEST])) == labels[TEST])

    return measure


@pytest.fixture(scope="session")
def still(problem):
    """A small problem in which training moves nothing."""
    return dataclasses.replace(shorten(problem), learning_rate=0.0, layers=("conv1",))
