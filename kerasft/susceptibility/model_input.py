"""What every ranking asks of a model and of the images that go into it."""

import numbers

import keras


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
    whole = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
    if not whole or batch_size < 1:
        raise ValueError(
            f"Expected batch_size as a whole number of at least 1. Received: {batch_size!r}."
        )


def validate_model_input(model, images, name):
    """Refuse arrays that a model with one input cannot take.

    Args:
        model: A `keras.Model`.
        images: An array `(images, height, width, channels)`.
        name: What they are, for the error.

    Raises:
        ValueError: Another shape, or several arrays.
    """
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
