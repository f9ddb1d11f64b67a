"""How methods train: the same data, loss, optimizer and stopping for all."""

import contextlib
import math

import keras

from kerasft.backend import default_jit_compile
from kerasft.cross_entropy import cross_entropy
from kerasft.finetuning import fine_tune
from kerasft.frozen_prefix import cache_frozen_prefix
from kerasft.methods.copies import copy_model
from kerasft.methods.outcome import Outcome
from kerasft.sublayers import sublayers


def train(model, problem, *, convert=lambda layer: None, give_back=True):
    """Train what is trainable of a copy of the problem's model.

    Args:
        model: The copy, not compiled. It is trained in place.
        problem: A `Problem` with labels.
        convert: Function from a layer of the trained copy to the one that
            stands in its place in the result, or to `None`.
        give_back: As in `copy_model`.

    Returns:
        An `Outcome`.
    """
    loss = label_loss(model, problem)
    parameters = count_parameters(model.trainable_weights)
    to_fit, train, validation, _ = cache_frozen_prefix(
        model, (problem.distorted, problem.labels), problem.validation, problem.batch_size
    )
    # By the whole model, whose dtype policy says whether the loss is scaled; what is above
    # a cut has the global one.
    settings = {"loss": loss, "jit_compile": default_jit_compile()}
    model.compile(keras.optimizers.Adam(problem.learning_rate), **settings)
    if to_fit is not model:
        to_fit.compile(model.optimizer, **settings)
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=problem.patience, restore_best_weights=True
    )
    with _statistics_of_an_epoch(model, math.ceil(len(problem.distorted) / problem.batch_size)):
        history = to_fit.fit(
            *train,
            batch_size=problem.batch_size,
            epochs=problem.epochs,
            validation_data=validation,
            callbacks=[stopping],
            verbose=0,
        )
    return Outcome(copy_model(model, convert, give_back), parameters, epochs=len(history.epoch))


@contextlib.contextmanager
def _statistics_of_an_epoch(model, steps):
    """Let the statistics of batch normalizations that are trained follow within an epoch.

    Keras's momentum of 0.99 is meant for epochs of hundreds of steps. With the few
    steps of few images, validation would see the source's statistics with
    weights that fit others, and early stopping would end before they arrive.
    """
    layers = [
        layer for layer in sublayers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        # A hundredth of the old ones is left after an epoch.
        layer.momentum = min(layer.momentum, 0.01 ** (1 / steps))
    try:
        yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


def train_filters(model, problem, seed, selection, data=None):
    """Train some filters of a model and nothing else.

    Args:
        model: The problem's model, or that with other statistics.
        problem: A `Problem` with labels.
        seed: Of shuffling and dropout.
        selection: Mapping from layer name to filter indices.
        data: `(images, labels)`. Default: the distorted ones of the problem.

    Returns:
        An `Outcome`.
    """
    tuned = fine_tune(
        model,
        data or (problem.distorted, problem.labels),
        problem.validation,
        selection=selection,
        optimizer=keras.optimizers.Adam(problem.learning_rate),
        loss=label_loss(model, problem),
        epochs=problem.epochs,
        patience=problem.patience,
        batch_size=problem.batch_size,
        seed=seed,
        verbose=0,
    )
    return Outcome(tuned.model, tuned.trained_parameters, epochs=len(tuned.history.epoch))


def label_loss(model, problem):
    """The cross-entropy for a model and the labels of a problem.

    Whatever the source model is compiled with: that may want one-hot labels.

    Args:
        model: A `keras.Model`.
        problem: A `Problem` with labels.

    Returns:
        A `keras.losses.Loss`.

    Raises:
        ValueError: Labels that are no classes of the model.
    """
    images, labels = problem.validation
    cross_entropy(model, images[:8], labels, "validation")
    return cross_entropy(model, problem.distorted[:8], problem.labels, "train")


def count_parameters(weights):
    """Number of values in a list of weights."""
    return sum(math.prod(weight.shape) for weight in weights)
