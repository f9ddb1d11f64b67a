"""Models whose weights are there."""

import keras


def validate_built(model):
    """Refuse what is not a Keras model, or one whose input shape is not known.

    Args:
        model: A built `keras.Model`.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: Not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"Expected a built model. Received: {model.name!r}, whose input shape is not known; "
            "call it on a batch or add an Input layer."
        )
