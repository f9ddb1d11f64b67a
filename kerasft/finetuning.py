"""Rank → select → fit → merge in one call."""

import dataclasses
from collections.abc import Iterable

import keras
import numpy as np

from kerasft.backend import default_jit_compile
from kerasft.batch_norm import batch_normalizations, recalibrate, validate_batch_norm
from kerasft.cross_entropy import cross_entropy
from kerasft.frozen_prefix import cache_frozen_prefix
from kerasft.label_checks import validate_labels
from kerasft.labelled_set import read_labelled_set
from kerasft.layer_lookup import find_layer, named_layers, short_name
from kerasft.layer_names import layer_names
from kerasft.layers import PartiallyTrainable
from kerasft.seeding import seed_keras
from kerasft.surgery import make_partially_trainable, merge
from kerasft.susceptibility.ranking import validate_fraction, validate_which
from kerasft.training_checks import (
    validate_monitor,
    validate_optimizer,
    validate_ranges,
    validate_ranking,
    validate_settings,
    validate_weights,
)


@dataclasses.dataclass(frozen=True)
class FineTuned:
    """What `fine_tune` returns.

    Attributes:
        model: The fine-tuned model with plain convolutions, not compiled.
        history: The `keras.callbacks.History` of the training.
        selection: Dictionary from layer name to a sorted list of the filters
            that were trained; of layers that were partially trainable before
            as well.
        trained_parameters: Number of parameters that were trained.
        cached_prefix: Names of the layers whose outputs were computed once
            and stood in for the images; empty where nothing was cached.
    """

    model: keras.Model
    history: keras.callbacks.History
    selection: dict[str, list[int]]
    trained_parameters: int
    cached_prefix: tuple[str, ...]


def fine_tune(
    model,
    train,
    validation,
    *,
    ranking=None,
    selection=None,
    fraction=0.25,
    which="most",
    trainable=(),
    batch_norm="frozen",
    optimizer="adam",
    loss=None,
    epochs=200,
    patience=15,
    monitor="val_loss",
    batch_size=64,
    callbacks=(),
    cache_prefix=True,
    seed=0,
    verbose="auto",
):
    """Fine-tune selected filters of a model on distorted images.

    The defaults are the paper's: a quarter of the filters, Adam with its
    standard hyper-parameters, cross-entropy, early stopping on the validation
    set with patience 15 and the best weights restored.

    Args:
        model: A built Functional or Sequential classifier. It is not changed.
        train: Distorted images and labels: `(images, labels)`, with sample
            weights as a third part where wanted, or a dataset that yields
            such batches, ends and can be read again. Pixels in the range that
            the model takes; labels as integers or one-hot.
        validation: The same for validation.
        ranking: A `FilterRanking` to select from by `fraction` and `which`.
        selection: A selection made otherwise: mapping from layer name to
            filter indices. One of `ranking` and `selection` must be given.
        fraction: Share of each layer's filters, over 0 and at most 1.
        which: `"most"`, `"least"`, `"random"` or `"all"`.
        trainable: Names of further layers to train as a whole.
        batch_norm: `"frozen"`: batch normalizations stay as they are, also
            those in a model that `trainable` names, but for those that it
            names themselves.
            `"recalibrate"`: their statistics are first fitted to the images of
            `train`, as by `recalibrate_batch_norm`, then stay as they are.
            `"train"`: they are trained as if named in `trainable`, and their
            statistics move in every step.
        optimizer: Optimizer that has trained nothing yet, or its name.
        loss: Loss or its name. Default: the loss that `model` is compiled
            with, else the cross-entropy that fits its labels and outputs.
        epochs: At most this many epochs.
        patience: Epochs without improvement of `monitor` before stopping.
        monitor: The logged value that early stopping watches: `"val_loss"`,
            `"val_accuracy"`, `"loss"`, `"accuracy"`, `"emd_<layer>"` of a
            `SusceptibilityAnalyzer` in `callbacks`, or a metric that a class
            of your own compiles.
        batch_size: Images in a step, for arrays; datasets have their own.
        callbacks: Further Keras callbacks, in a list or a single one.
        cache_prefix: Compute the frozen layers below the tuned ones once and
            keep their outputs for all epochs, where that is possible and fits
            memory; `False`: never. The result is the same but for rounding,
            on PyTorch also but for what dropout without a seed draws.
            It is possible for arrays, up to the first layer that is random
            or not Keras's own, and without `callbacks`, which would see a
            model that begins above the frozen layers.
        seed: Seed of the random choice of filters, of shuffling and of
            dropout (`keras.utils.set_random_seed`). `None` leaves Keras's
            random state as it is.
        verbose: As in `fit`.

    Returns:
        A `FineTuned`.

    Raises:
        ValueError: Both or none of `ranking` and `selection`, a ranking of
            another model, a setting out of range, `batch_norm` for a model
            without batch normalization, no images, NaN or infinity, images or
            labels that do not fit the model or the loss, weights that do not
            fit the images, a dataset without batches or without an end, no
            optimizer or one that has trained something, or what
            `make_partially_trainable` refuses. Also a `monitor` that is
            known not to be logged, and a training that diverged to NaN.
        TypeError: No data, data in a list or that can be read only once, a
            monitor that is no name, `trainable` that is no list of names, or
            callbacks that are none.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> tuned = kerasft.fine_tune(model, (noisy[:64], labels[:64]),
    ...     (noisy[64:96], labels[64:96]), selection={"conv1": [1, 2]}, epochs=1, verbose=0)
    >>> tuned.trained_parameters
    20

    Reference:
        Bianchi et al., arXiv 1904.03949, Sections 3.3 and 4.3.
    """
    if (ranking is None) == (selection is None):
        given = "none" if ranking is None else "both"
        raise ValueError(f"Expected one of ranking and selection. Received: {given}.")
    validate_settings(epochs, patience, batch_size, seed)
    trainable = layer_names(trainable, "trainable")
    callbacks = _list_callbacks(callbacks)
    validate_optimizer(optimizer)
    validate_batch_norm(batch_norm, model)
    if ranking is not None:
        validate_ranking(ranking, model)
    if seed is not None:
        # Before the copy is made: its dropout layers draw their seeds then.
        seed_keras(seed)
    if selection is not None:
        # They have no say beside a selection, but a slip in them is one.
        validate_fraction(fraction)
        validate_which(which)
    else:
        selection = ranking.select(fraction, which=which, seed=seed or 0)
    train, images, labels = read_labelled_set(train, "train", model)
    validation, validation_images, validation_labels = read_labelled_set(
        validation, "validation", model
    )
    if batch_norm == "train":
        trainable = [*trainable, *batch_normalizations(model)]
    partial = make_partially_trainable(model, selection, trainable=trainable)
    if batch_norm != "train":
        layers = named_layers(partial)
        named = {find_layer(name, layers) for name in trainable}
        for path, layer in batch_normalizations(partial).items():
            layer.trainable = layer.trainable and path in named
    validate_monitor(monitor, partial, callbacks)
    trained = _trained_filters(partial, selection)
    validate_weights(model, repr(model.name))
    validate_ranges(train, validation)
    if loss is None:
        loss = model.loss if model.compiled and model.loss is not None else None
    if loss is None:
        loss = cross_entropy(partial, images, labels, "train")
        other = cross_entropy(partial, validation_images, validation_labels, "validation")
        if type(loss) is not type(other):
            raise ValueError(
                "Expected labels of one kind, integers or one-hot. Received: shape "
                f"{labels.shape} in train and {validation_labels.shape} in validation."
            )
    else:
        validate_labels(loss, labels, partial.outputs, "train")
        validate_labels(loss, validation_labels, partial.outputs, "validation")
    if batch_norm == "recalibrate":
        recalibrate(partial, train[0] if isinstance(train, tuple) else train, batch_size=batch_size)
    to_fit, cached_prefix = partial, ()
    if cache_prefix and not callbacks:
        to_fit, train, validation, cached_prefix = cache_frozen_prefix(
            partial, train, validation, batch_size
        )
    settings = {"loss": loss, "jit_compile": default_jit_compile()}
    partial.compile(optimizer, metrics=[_accuracy(loss, partial.outputs)], **settings)
    if to_fit is not partial:
        to_fit.compile(partial.optimizer, metrics=[_accuracy(loss, partial.outputs)], **settings)
    trained_parameters = sum(int(np.prod(w.shape)) for w in partial.trainable_weights)
    # Of the values that `SusceptibilityAnalyzer` logs, Keras does not know which are better.
    mode = "min" if monitor.startswith("emd_") else "auto"
    stopping = keras.callbacks.EarlyStopping(
        monitor=monitor, patience=patience, mode=mode, restore_best_weights=True
    )
    if isinstance(train, tuple):
        data = dict(zip(("x", "y", "sample_weight"), train, strict=False), batch_size=batch_size)
    else:
        # Only Keras's own datasets can be shuffled from outside.
        data = {"x": train, "shuffle": isinstance(train, keras.utils.PyDataset)}
    history = to_fit.fit(
        **data,
        validation_data=validation,
        epochs=epochs,
        callbacks=[*callbacks, stopping],
        verbose=verbose,
    )
    validate_weights(partial, f"{model.name!r}, which diverged in training,")
    # The whole model, also where only its upper part was fit.
    history.set_model(partial)
    return FineTuned(merge(partial), history, trained, trained_parameters, cached_prefix)


def _list_callbacks(callbacks):
    if callbacks is None:
        return []
    listed = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    # Read once, since it may be a generator.
    listed = list(listed) if isinstance(listed, Iterable) else [listed]
    if not all(isinstance(callback, keras.callbacks.Callback) for callback in listed):
        raise TypeError(
            f"Expected callbacks as a list of Keras callbacks. Received: {callbacks!r}."
        )
    return listed


def _trained_filters(partial, names):
    """The filters that are trained, of the layers selected and of others that were so before."""
    layers = named_layers(partial)
    # Not the selection itself, whose values may be arrays, or generators that are used up.
    name_of = {find_layer(name, layers): name for name in names}
    for path, layer in layers.items():
        if isinstance(layer, PartiallyTrainable) and layer.trainable and layer.trainable_filters:
            name_of.setdefault(path, short_name(path, layers))
    return {name: list(layers[path].trainable_filters) for path, name in name_of.items()}


def _accuracy(loss, outputs):
    """The accuracy that goes with a loss; of a single output Keras's own is for probabilities."""
    # Keras takes a list or a dictionary of one loss for one output.
    losses = keras.tree.flatten(loss)
    single = len(losses) == len(outputs) == 1 and outputs[0].shape[-1] == 1
    if single and getattr(losses[0], "from_logits", False):
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
    return "accuracy"
