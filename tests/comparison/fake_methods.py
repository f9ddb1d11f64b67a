"""Methods whose outcome is known beforehand, and images on which it can be counted.

An image of class c is bright in channel c; a distorted one, where it is distorted at
all, in the next channel. The model says the brightest channel after a convolution with
a kernel of 1×1, so that every method is a matrix of channels.
"""

import pathlib

import keras
import numpy as np

from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome

CLASSES = 3
KEEP = np.eye(CLASSES, dtype="float32")
# Turns the channels back.
TURN = np.roll(KEEP, 1, axis=0)


def channel_model():
    x = keras.Input((2, 2, CLASSES))
    y = keras.layers.Conv2D(CLASSES, 1, use_bias=False, name="conv")(x)
    y = keras.layers.GlobalAveragePooling2D()(y)
    model = keras.Model(x, keras.layers.Softmax(name="scores")(y), name="channels")
    model.set_weights([KEEP[np.newaxis, np.newaxis]])
    return model


def images(count, distorted, seed=0):
    """`(images, labels)` of `count` images, the first share of them `distorted`."""
    labels = np.random.default_rng(seed).permutation(np.arange(count) % CLASSES)
    bright = labels.copy()
    turned = round(distorted * count)
    bright[:turned] = (bright[:turned] + 1) % CLASSES
    pixels = np.zeros((count, 2, 2, CLASSES), "float32")
    pixels[np.arange(count), :, :, bright] = 9
    # No two alike, so that each can be told.
    pixels += np.arange(count, dtype="float32")[:, np.newaxis, np.newaxis, np.newaxis] / 10000
    return pixels, labels


def sets():
    """Arguments of `compare`: three fifths of the distorted images are distorted."""
    return {
        "distorted": images(60, 0.6, seed=0),
        "distorted_test": images(50, 0.6, seed=1),
        "clean_test": images(40, 0, seed=2),
    }


def right(data, kernel):
    """Share of images that the model with this kernel gives their label."""
    pixels, labels = data
    return float(np.mean((pixels[:, 0, 0] @ kernel).argmax(-1) == labels))


def _with_kernel(problem, kernel):
    model = keras.models.clone_model(problem.model)
    model.set_weights([kernel[np.newaxis, np.newaxis]])
    return model


def fake(name, kernel=KEEP, *, trained=0, added=0, needs_labels=False, reason=None, folder=None):
    """A method that sets the kernel; with `folder`, no run of it may happen twice."""

    def apply(problem, seed):
        if folder is not None:
            pathlib.Path(folder, f"{name}-{seed}").touch(exist_ok=False)
        return Outcome(_with_kernel(problem, kernel), trained, added, epochs=int(trained > 0))

    return Method(name, apply, needs_labels, lambda problem: reason)


def failing(name, error):
    def apply(problem, seed):
        raise error

    return Method(name, apply, needs_labels=False, reason_against=lambda problem: None)


def right_at_one_rate(name, rate, needs_labels=True):
    """A method that turns the channels back only with one learning rate."""

    def apply(problem, seed):
        kernel = TURN if problem.learning_rate == rate else KEEP
        return Outcome(_with_kernel(problem, kernel), trained_parameters=9, epochs=1)

    return Method(name, apply, needs_labels, reason_against=lambda problem: None)


def random_kernel(name):
    """A method whose outcome is another one for every seed."""

    def apply(problem, seed):
        kernel = np.random.default_rng(seed).normal(size=KEEP.shape).astype("float32")
        return Outcome(_with_kernel(problem, kernel), trained_parameters=9, epochs=1)

    return Method(name, apply, needs_labels=True, reason_against=lambda problem: None)


def stops(name, at_seed, error, folder):
    """A method that is interrupted at one seed, until told otherwise by a file `go`."""
    inner = fake(name, folder=folder)

    def apply(problem, seed):
        if seed == at_seed and not pathlib.Path(folder, "go").exists():
            raise error
        return inner.apply(problem, seed)

    return Method(name, apply, needs_labels=False, reason_against=lambda problem: None)
