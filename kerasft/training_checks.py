"""What fine-tuning asks of its settings, its model and its images, before it starts."""

import keras
import numpy as np

from kerasft.layer_lookup import find_layer, named_layers
from kerasft.susceptibility.analyzer import SusceptibilityAnalyzer
from kerasft.susceptibility.ranking import FilterRanking
from kerasft.susceptibility.value_ranges import peak, two_ranges
from kerasft.whole_number import is_whole


def validate_settings(epochs, patience, batch_size, seed):
    """Refuse numbers with which nothing can be trained.

    Args:
        epochs, batch_size: At least 1.
        patience: At least 0.
        seed: From 0 to 2³²−1, or `None`.

    Raises:
        ValueError: Others.
    """
    for name, value, least in (
        ("epochs", epochs, 1),
        ("patience", patience, 0),
        ("batch_size", batch_size, 1),
    ):
        if not is_whole(value) or value < least:
            raise ValueError(
                f"Expected {name} as a whole number of at least {least}. Received: {value!r}."
            )
    if seed is not None and not (is_whole(seed) and 0 <= seed < 2**32):
        raise ValueError(
            f"Expected seed as a whole number from 0 to {2**32 - 1}, or None. Received: {seed!r}."
        )


def validate_optimizer(optimizer):
    """Refuse what `compile` would refuse after the first work, and what trained something else.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or the name or configuration of one.

    Raises:
        ValueError: No optimizer, or one that belongs to the variables of another model.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        if optimizer.built:
            raise ValueError(
                "Expected an optimizer that has trained nothing yet. Received: "
                f"{optimizer.name!r}, which belongs to the variables of another model; make a new "
                "one with type(optimizer).from_config(optimizer.get_config())."
            )
        return
    try:
        known = keras.optimizers.get(optimizer) is not None
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise ValueError(
            "Expected optimizer as a keras.optimizers.Optimizer, or the name of one. "
            f"Received: {optimizer!r}."
        )


def validate_monitor(monitor, model, callbacks):
    """Refuse a value that early stopping cannot watch, where that is known.

    Of what callbacks, and metrics of layers, log beside it Keras would say only
    after an epoch that it does not know which values are better.

    Args:
        monitor: Name of a logged value.
        model: The `keras.Model` to train. A class of others may compile other
            metrics, and of several outputs Keras names the values.
        callbacks: Those of the user; a `SusceptibilityAnalyzer` logs distances.

    Raises:
        TypeError: No name.
        ValueError: A value that is not logged, or cannot be watched.
    """
    if not isinstance(monitor, str):
        raise TypeError(f"Expected monitor as the name of a logged value. Received: {monitor!r}.")
    logged = ["loss", "accuracy", "val_loss", "val_accuracy"]
    distances = any(isinstance(callback, SusceptibilityAnalyzer) for callback in callbacks)
    if monitor in logged or (distances and monitor.startswith("emd_")):
        return
    if type(model).__module__.startswith("keras.") and len(model.outputs) == 1:
        raise ValueError(
            f"Expected monitor as one of {logged}, or as emd_<layer> with a "
            f"SusceptibilityAnalyzer in callbacks. Received: {monitor!r}."
        )


def validate_ranking(ranking, model):
    """Refuse a ranking of another model, whose filters are others.

    Args:
        ranking: A `FilterRanking`.
        model: The `keras.Model` to fine-tune.

    Raises:
        TypeError: No ranking.
        ValueError: A layer that the model does not have, or has with another
            number of filters.
    """
    if not isinstance(ranking, FilterRanking):
        raise TypeError(f"Expected ranking as a FilterRanking. Received: {type(ranking).__name__}.")
    if not isinstance(model, keras.Model):
        return
    layers = named_layers(model)
    for name, ranked in ranking.items():
        filters = getattr(layers[find_layer(name, layers)], "filters", None)
        if filters is not None and filters != len(ranked.order):
            raise ValueError(
                f"Expected a ranking of the {filters} filters of layer {name!r}. Received: one of "
                f"{len(ranked.order)}, perhaps of another model."
            )


def validate_weights(model, name):
    """Refuse a model with NaN in its weights.

    Args:
        model: A `keras.Model`.
        name: What it is called in the error.

    Raises:
        ValueError: NaN in a weight.
    """
    for weight in model.weights:
        if keras.backend.is_float_dtype(weight.dtype) and bool(
            keras.ops.any(keras.ops.isnan(weight))
        ):
            raise ValueError(
                f"Expected a model with numbers as weights. Received: {name} with NaN in "
                f"{weight.path!r}."
            )


def finite_array(values, name):
    """Labels or weights as an array.

    Args:
        values: What `np.asarray` takes.
        name: What they are, for the error.

    Raises:
        ValueError: Not numbers, or not finite.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"Expected {name} as one array. Received: {type(values).__name__} of parts "
            "of different lengths."
        ) from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise ValueError(
            f"Expected {name} as an array of numbers. Received: dtype {array.dtype}, "
            f"shape {array.shape}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"Expected finite {name}. Received: NaN or infinity.")
    return array


def validate_classes(labels, classes, name):
    """Refuse integer labels that are no classes.

    Args:
        labels: Array of numbers.
        classes: Number of classes.
        name: Of the set, for the error.

    Raises:
        ValueError: Below 0, too large, or in between two classes.
    """
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Expected labels from 0 to {classes - 1} in {name}. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        broken = labels[labels != np.floor(labels)].flat[0]
        raise ValueError(f"Expected labels in {name} as whole numbers. Received: {broken}.")


def validate_ranges(first, second, names=("train", "validation")):
    """Refuse pixels from 0 to 1 in one set and from 0 to 255 in the other.

    Args:
        first, second: `(images, labels)`; datasets are not looked at.
        names: Of the two sets, for the error.

    Raises:
        ValueError: Two ranges.
    """
    if not (isinstance(first, tuple) and isinstance(second, tuple)):
        return
    peaks = [peak(data[0]) for data in (first, second)]
    error = two_ranges(peaks, f"{' and '.join(names)} images")
    if error is not None:
        raise error
