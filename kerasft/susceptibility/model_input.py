"""What every ranking asks of a model and of the images that go into it."""

import keras
import numpy as np

from kerasft.whole_number import is_whole


def validate_model(model, batch_size):
    """Refuse what is not a Keras model, and batch sizes that are none.

    Args:
        model: A `keras.Model`.
        batch_size: Images that are run together, at least 1.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: Not a whole number of at least 1.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {type(model).__name__}.")
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(
            f"Expected batch_size as a whole number of at least 1. Received: {batch_size!r}."
        )


def validate_numbers(images, name):
    """Refuse arrays of texts, complex numbers or objects.

    Args:
        images: A structure of arrays.
        name: What they are, for the error.

    Raises:
        ValueError: Such an array.
    """
    for array in keras.tree.flatten(images):
        # Of bfloat16 NumPy says only that it is some void.
        kind = getattr(array, "dtype", None)
        if isinstance(kind, np.dtype) and (kind.kind not in "biufV" or kind.names):
            raise ValueError(f"Expected {name} of numbers. Received: dtype {kind}.")


def validate_model_input(model, images, name):
    """Refuse arrays that are no numbers, or that a model with one input cannot take.

    Args:
        model: A `keras.Model`.
        images: An array `(images, height, width, channels)`.
        name: What they are, for the error.

    Raises:
        ValueError: Another shape, several arrays, or texts, complex numbers
            or objects.
    """
    validate_numbers(images, f"{name} images")
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        return
    expected = tuple(inputs[0].shape)
    arrays = keras.tree.flatten(images)
    if len(arrays) != 1:
        raise ValueError(
            f"Expected {name} images as one array of shape {expected} as the model "
            f"{model.name!r} takes. Received: {len(arrays)} arrays."
        )
    shape = tuple(arrays[0].shape)
    fits = len(shape) == len(expected) and all(
        wanted is None or wanted == got for wanted, got in zip(expected[1:], shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected {name} images of shape {expected} as the model {model.name!r} takes. "
            f"Received: {shape}."
        )
