"""Accuracy of a classifier."""

import numpy as np

from kerasft.backend import predict_without_slow_jit
from kerasft.outputs import choose_classes, gives_logits


def predict_classes(model, images, batch_size=256):
    """The class that a classifier gives each image.

    Args:
        model: A `keras.Model` with one output: `(images, classes)`, or
            `(images, 1)` for two classes (a probability or a logit).
        images: Array of what the model takes.
        batch_size: Images that are run together.

    Returns:
        `(images,)`, int64.

    Raises:
        ValueError: NaN among the outputs, which no class is the largest of.
    """
    predict_without_slow_jit(model)
    outputs = model.predict(images, batch_size=batch_size, verbose=0)
    if np.isnan(outputs).any():
        raise ValueError(
            f"Expected a model with numbers as outputs. Received: NaN from {model.name!r}, of "
            f"{int(np.isnan(outputs).any(axis=-1).sum())} of {len(outputs)} images."
        )
    return choose_classes(outputs, gives_logits(model, outputs))
