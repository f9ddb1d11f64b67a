"""What labels the cross-entropies of Keras take."""

import types

import keras
import numpy as np

from kerasft.training_checks import validate_classes

# Room for rounding, as much as `gives_logits` allows probabilities.
_TOLERANCE = 1e-2


def validate_labels(loss, labels, outputs, name):
    """Refuse labels that do not fit a cross-entropy and the outputs of a classifier.

    Args:
        loss: A loss, its name or its function. Only Keras's three
            cross-entropies are looked at: sparse categorical, categorical and
            binary. Others, classes made of these too, may take anything.
        labels: Array of finite numbers.
        outputs: List of the model's outputs, tensors or arrays. Only a single
            one `(images, classes)`, or `(images, 1)`, is looked at.
        name: Of the set, for the error.

    Raises:
        ValueError: Labels of another shape, or that are no classes or no
            probabilities; a loss that Keras does not know.
    """
    validate = _validator(loss)
    if validate is None or len(outputs) != 1 or len(outputs[0].shape) != 2:
        return
    classes = outputs[0].shape[1]
    if classes is not None:
        validate(loss, labels, classes, name)


def _validator(loss):
    parts = keras.tree.flatten(loss)
    if len(parts) != 1:
        return None
    # Keras takes a list or a dictionary of one loss for one output.
    try:
        loss = keras.losses.get(parts[0])
    except ValueError:
        raise ValueError(
            f"Expected loss as a loss of Keras, its name or a function. Received: {loss!r}."
        ) from None
    return _VALIDATORS.get(loss if isinstance(loss, types.FunctionType) else type(loss))


def _validate_sparse(loss, labels, classes, name):
    _validate_one_each(labels, name)
    ignored = getattr(loss, "ignore_class", None)
    if ignored is not None:
        labels = labels[labels != ignored]
    if labels.size:
        validate_classes(labels, classes, name)


def _validate_categorical(_, labels, classes, name):
    if labels.shape[1:] != (classes,):
        raise ValueError(
            f"Expected one-hot labels for {classes} classes in {name}. "
            f"Received: labels of shape {labels.shape}."
        )
    sums = labels.sum(axis=1, dtype="float64")
    # Of a row of zeros Keras's loss is zero: an image without a label.
    missing = ~labels.any(axis=1)
    broken = _outside(labels).any(axis=1) | (~missing & (np.abs(sums - 1) > _TOLERANCE))
    if broken.any():
        row, total = labels[broken][0].astype("float64"), sums[broken][0]
        raise ValueError(
            f"Expected one-hot or soft labels in {name}, each from 0 to 1 and 1 in sum. "
            f"Received: {row.min():g} to {row.max():g}, {total:g} in sum."
        )


def _validate_binary(_, labels, outputs, name):
    if outputs == 1:
        _validate_one_each(labels, name)
    elif labels.shape[1:] != (outputs,):
        raise ValueError(
            f"Expected {outputs} labels from 0 to 1 for each image in {name}. "
            f"Received: labels of shape {labels.shape}."
        )
    if _outside(labels).any():
        raise ValueError(
            f"Expected labels from 0 to 1 in {name}. Received: {labels.min()} to {labels.max()}."
        )


def _validate_one_each(labels, name):
    if labels.shape not in ((len(labels),), (len(labels), 1)):
        raise ValueError(
            f"Expected one label for each image in {name}. "
            f"Received: labels of shape {labels.shape}."
        )


def _outside(labels):
    return (labels < -_TOLERANCE) | (labels > 1 + _TOLERANCE)


_VALIDATORS = {
    keras.losses.SparseCategoricalCrossentropy: _validate_sparse,
    keras.losses.sparse_categorical_crossentropy: _validate_sparse,
    keras.losses.CategoricalCrossentropy: _validate_categorical,
    keras.losses.categorical_crossentropy: _validate_categorical,
    keras.losses.BinaryCrossentropy: _validate_binary,
    keras.losses.binary_crossentropy: _validate_binary,
}
