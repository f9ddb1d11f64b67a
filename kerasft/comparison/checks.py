"""What a comparison asks of its arguments, before it starts."""

import math
import numbers
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kerasft.comparison.images import ComparedImages
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.methods import METHODS
from kerasft.methods.method import Method
from kerasft.susceptibility.model_input import (
    validate_model,
    validate_model_input,
    validate_one_tensor_out,
)
from kerasft.training_checks import (
    finite_array,
    validate_classes,
    validate_ranges,
    validate_settings,
    validate_weights,
)
from kerasft.whole_number import is_whole

# What a single set of distorted images is called in the tables.
SINGLE = "distorted"


def check_settings(model, settings, seeds):
    """Refuse settings and models with which nothing can be compared.

    Args:
        model: The `keras.Model`.
        settings: The `Settings`.
        seeds: Number of seeds.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: A setting out of range, a layer that is unknown or no
            `Conv2D`, or a model that is no classifier of images or cannot be saved.
    """
    validate_model(model, settings.batch_size)
    validate_settings(settings.epochs, settings.patience, settings.batch_size, 0)
    for name, value in (("seeds", seeds), ("labels", settings.labels)):
        whole = is_whole(value)
        if not (whole and value >= 1) and not (name == "labels" and value is None):
            raise ValueError(
                f"Expected {name} as a whole number of at least 1. Received: {value!r}."
            )
    rate = settings.learning_rate
    # Comparisons with NaN are false.
    is_rate = isinstance(rate, numbers.Real) and 0 < float(rate) < math.inf
    if not is_rate and rate != "search":
        raise ValueError(f"Expected a learning rate over 0, or 'search'. Received: {rate!r}.")
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "Expected a model with one image as input and one output. Received: "
            f"{model.name!r} with inputs {[tuple(x.shape) for x in inputs]} and outputs "
            f"{[tuple(x.shape) for x in outputs]}."
        )
    if len(outputs[0].shape) != 2:
        raise ValueError(
            "Expected a model from images to scores (images, classes). Received: "
            f"{model.name!r} with an output of shape {tuple(outputs[0].shape)}."
        )
    validate_one_tensor_out(model, repr(model.name))
    validate_weights(model, repr(model.name))
    try:
        model.to_json()
    except Exception as error:  # Whatever a class without a configuration raises.
        raise ValueError(
            f"Expected a model that can be saved. Received: {model.name!r} "
            f"({type(error).__name__}: {error})."
        ) from error
    check_layers(model, settings.layers)


def check_layers(model, names):
    """Refuse layers that filters cannot be tuned in or selected from.

    Args:
        model: A `keras.Model`.
        names: Names of layers, or `None`.

    Raises:
        ValueError: A layer that is unknown or no `Conv2D`.
    """
    layers = named_layers(model)
    for name in names or ():
        layer = layers[find_layer(name, layers)]
        if not isinstance(layer, keras.layers.Conv2D):
            raise ValueError(
                f"Expected layers as names of Conv2D layers. Received: {name!r}, a "
                f"{type(layer).__name__}."
            )


def number_of_classes(model):
    """Classes of a classifier; one output is the probability of the second of two."""
    return max(model.outputs[0].shape[-1], 2)


def chosen_methods(methods):
    """The methods to compare.

    Args:
        methods: Sequence of names in `kerasft.methods.METHODS` and of `Method`
            objects, or `None`: all of `METHODS`.

    Returns:
        Dictionary from name to `Method`.

    Raises:
        ValueError: None, an unknown name, or a name given twice.
        TypeError: Something else than names and methods.
    """
    if methods is None:
        return dict(METHODS)
    if isinstance(methods, (str, Method)):
        methods = [methods]
    if not isinstance(methods, Iterable):
        raise TypeError(
            f"Expected methods as names or Method objects. Received: {type(methods).__name__}."
        )
    chosen = {}
    for method in methods:
        if isinstance(method, str):
            if method not in METHODS:
                raise ValueError(f"Expected methods of {list(METHODS)}. Received: {method!r}.")
            method = METHODS[method]
        if not isinstance(method, Method):
            raise TypeError(
                f"Expected methods as names or Method objects. Received: {type(method).__name__}."
            )
        if method.name in chosen:
            raise ValueError(f"Expected each method once. Received: {method.name!r} twice.")
        chosen[method.name] = method
    if not chosen:
        raise ValueError("Expected at least one method. Received: none.")
    return chosen


def compared_images(model, distorted, distorted_test, validation, clean, clean_test, settings):
    """The images of a comparison by distortion, checked.

    Args:
        model: The `keras.Model`, checked.
        distorted, distorted_test, validation: As for `compare`, each a set or
            a mapping from the name of a distortion to a set.
        clean, clean_test: As for `compare`.
        settings: The `Settings`.

    Returns:
        Dictionary from the name of a distortion to its `ComparedImages`.

    Raises:
        ValueError: Sets that do not fit the model, each other or the settings.
    """
    if distorted is None:
        raise ValueError("Expected distorted as (images, labels). Received: None.")
    sets = {"distorted": distorted, "distorted_test": distorted_test, "validation": validation}
    several = isinstance(distorted, Mapping)
    for name, value in sets.items():
        if value is not None and isinstance(value, Mapping) != several:
            raise ValueError(
                f"Expected {name} as a mapping from names exactly if distorted is one. Received: "
                f"{type(value).__name__} beside {type(distorted).__name__}."
            )
        if several and value is not None and set(value) != set(distorted):
            # Names of several types have no order of their own.
            expected, received = (sorted(names, key=str) for names in (distorted, value))
            raise ValueError(
                f"Expected the names of distorted, {expected}, in {name}. Received: {received}."
            )
    if several and len({str(name) for name in distorted}) < len(distorted):
        raise ValueError(
            "Expected distorted with names that differ as text. Received: "
            f"{sorted(distorted, key=str)}."
        )
    if several and not distorted:
        raise ValueError("Expected at least one set of distorted images. Received: none.")
    clean = _checked(model, clean, "clean", labels_needed=False)
    clean_test = _checked(model, clean_test, "clean_test")
    compared = {}
    for distortion in distorted if several else [SINGLE]:
        parts = {n: v[distortion] if several and v is not None else v for n, v in sets.items()}
        compared[str(distortion)] = ComparedImages(
            *_checked(model, parts["distorted"], "distorted", labels_needed=False),
            *_checked(model, parts["distorted_test"], "distorted_test", required=True),
            *_checked(model, parts["validation"], "validation"),
            *clean,
            *clean_test,
        )
    if len({images.labels is None for images in compared.values()}) > 1:
        raise ValueError(
            "Expected labels in all sets of distorted images, or in none. Received: some with "
            "labels."
        )
    for images in compared.values():
        _check_together(images, settings)
    return compared


def _checked(model, data, name, *, labels_needed=True, required=False):
    """`(images, labels)` as arrays; `(None, None)` for a set that is not given."""
    if data is None and not required:
        return None, None
    images, labels = (data, None) if hasattr(data, "shape") else _two(data, name)
    images = np.asarray(images)
    if labels is None and labels_needed:
        raise ValueError(f"Expected {name} as (images, labels). Received: images alone.")
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"Expected {name} images of shape (images, height, width, channels), at least one. "
            f"Received: shape {images.shape}."
        )
    validate_model_input(model, images[:1], name)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ValueError(f"Expected finite pixels in {name}. Received: NaN or infinity.")
    if labels is None:
        return images, None
    labels = finite_array(labels, f"labels in {name}")
    if labels.shape != (len(images),):
        raise ValueError(
            f"Expected one integer label for each of the {len(images)} images in {name}. "
            f"Received: labels of shape {labels.shape}."
        )
    validate_classes(labels, number_of_classes(model), name)
    return images, labels.astype("int64")


def _two(data, name):
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        received = f"{len(data)} parts" if isinstance(data, (tuple, list)) else type(data).__name__
        raise ValueError(f"Expected {name} as (images, labels). Received: {received}.")
    return data


def _check_together(images, settings):
    available = len(images.distorted)
    if images.labels is None and settings.labels is not None:
        raise ValueError(
            f"Expected labelled distorted images for labels={settings.labels}. Received: images "
            "alone."
        )
    if settings.labels is not None and settings.labels > available:
        raise ValueError(
            f"Expected labels up to {available}, the number of distorted images. Received: "
            f"{settings.labels}."
        )
    drawn = settings.labels or available
    if images.labels is not None and images.validation_images is None and drawn < 5:
        raise ValueError(
            "Expected at least 5 labelled distorted images to hold a fifth out for validation, or "
            f"validation images. Received: {drawn}."
        )
    if images.labels is None and images.validation_images is None and len(images.test_labels) < 2:
        raise ValueError(
            "Expected at least 2 labelled test images, half of them to choose by. Received: 1."
        )
    if settings.paired and (images.clean is None or len(images.clean) != available):
        raise ValueError(
            f"Expected {available} clean images for paired=True, one for each distorted image. "
            f"Received: {'none' if images.clean is None else len(images.clean)}."
        )
    if settings.paired and images.labels is not None and images.clean_labels is not None:
        other = int(np.sum(images.labels != images.clean_labels))
        if other:
            raise ValueError(
                "Expected clean images with the labels of their distorted versions for "
                f"paired=True. Received: another label for {other} of {available}."
            )
    for name, others in {
        "distorted_test": images.test_images,
        "validation": images.validation_images,
        "clean": images.clean,
        "clean_test": images.clean_test_images,
    }.items():
        if others is not None:
            validate_ranges((images.distorted, None), (others, None), ("distorted", name))
