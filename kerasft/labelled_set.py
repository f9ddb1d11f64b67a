"""The images and labels that fine-tuning is given, looked at before it starts."""

import keras

from kerasft.susceptibility.batches import count_rows, is_finite, refuse_endless, to_numpy
from kerasft.susceptibility.model_input import validate_model_input
from kerasft.training_checks import finite_array


def read_labelled_set(data, name, model):
    """Check a set of labelled images as far as it can be seen.

    Args:
        data: `(images, labels)` or `(images, labels, weights)`, or a dataset
            that yields such batches.
        name: Of the set, for the error.
        model: The `keras.Model` that is to take the images.

    Returns:
        The data as `fit` takes them, labels and weights of a tuple made
        arrays; a few of the images; and the labels, those of a dataset's
        first batch.

    Raises:
        ValueError: No images, NaN or infinity, images that do not fit the
            model, labels or weights that are no numbers or not as many, or a
            dataset without batches or without an end.
        TypeError: No data, images and labels in a list, or data that can be read only once.
    """
    if isinstance(data, tuple):
        if len(data) not in (2, 3):
            raise ValueError(
                f"Expected {name} as (images, labels) or (images, labels, weights). "
                f"Received: a tuple of {len(data)}."
            )
        seen = data = _checked(data, name, model)
    else:
        seen = _checked(_first_batch(data, name), name, model)
    return data, _first_rows(seen[0]), seen[1]


def _checked(parts, name, model):
    images, labels, *weights = parts
    arrays = keras.tree.flatten(images)
    if not arrays or any(len(getattr(x, "shape", ())) == 0 for x in arrays):
        raise ValueError(
            f"Expected {name} images as an array, or one for each input of the model. "
            f"Received: {type(images).__name__}."
        )
    validate_model_input(model, _first_rows(images), name)
    labels = finite_array(labels, f"labels in {name}")
    rows = count_rows(images)
    if rows == 0 or rows != len(labels):
        raise ValueError(
            f"Expected as many labels as images in {name}, at least one. "
            f"Received: {rows} images and {len(labels)} labels."
        )
    if not all(map(is_finite, arrays)):
        raise ValueError(f"Expected finite pixels in {name}. Received: NaN or infinity.")
    # `None` is what Keras takes for no weights.
    given = [finite_array(w, f"weights in {name}") for w in weights if w is not None]
    if any(not _fit(w.shape, labels.shape) for w in given):
        raise ValueError(
            f"Expected one weight for each of the {rows} images in {name}. "
            f"Received: weights of shape {given[0].shape}."
        )
    return (images, labels, *given)


def _fit(weights, labels):
    """Whether there is a weight for each label: of an image, or of each of its positions."""
    if weights in (labels[:1], (labels[0], 1)):
        return True
    return len(labels) > 2 and len(weights) > 0 and weights == labels[: len(weights)]


def _first_batch(data, name):
    """NumPy, since the dataset of one backend may serve the model of another."""
    if hasattr(data, "__next__"):
        raise TypeError(
            f"Expected {name} as data that can be read more than once. "
            f"Received: {type(data).__name__}."
        )
    own = isinstance(data, keras.utils.PyDataset)
    if not own and not hasattr(data, "__iter__"):
        raise TypeError(
            f"Expected {name} as (images, labels) or a dataset of such batches. "
            f"Received: {type(data).__name__}."
        )
    refuse_endless(data)
    batch = data[0] if own else next(iter(data), None)
    if isinstance(data, list) and not isinstance(batch, (tuple, list)):
        raise TypeError(
            f"Expected {name} as a tuple (images, labels) or a dataset of such batches. "
            "Received: a list."
        )
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError(
            f"Expected {name} to yield batches (images, labels). "
            f"Received: {'an empty dataset' if batch is None else type(batch).__name__}."
        )
    images, labels, *weights = (
        keras.tree.map_structure(lambda x: x if x is None else to_numpy(x), part)
        for part in batch[:3]
    )
    if getattr(labels, "ndim", None) == 0:
        raise ValueError(
            f"Expected {name} to yield batches (images, labels). "
            "Received: single images; batch the dataset."
        )
    return images, labels, *weights


def _first_rows(images):
    return keras.tree.map_structure(lambda x: x[:8], images)
