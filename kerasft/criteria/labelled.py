import numpy as np

from kerasft.cross_entropy import cross_entropy
from kerasft.susceptibility.model_input import validate_model_input
from kerasft.training_checks import finite_array, validate_weights


def labelled_loss(model, images, labels, reduction):
    """The cross-entropy of a classifier, after checks of all that goes into it.

    Args:
        model: A `keras.Model` with one output.
        images: Array of the distorted images.
        labels: Array of their labels.
        reduction: As in `keras.losses.Loss`.

    Returns:
        A `keras.losses.Loss`.

    Raises:
        ValueError: Images or labels that do not fit the model, or NaN.
    """
    validate_weights(model, repr(model.name))
    validate_model_input(model, images[:8], "distorted")
    if np.issubdtype(images.dtype, np.inexact) and not np.isfinite(images).all():
        raise ValueError("Expected finite pixels. Received: distorted images with NaN or infinity.")
    labels = finite_array(labels, "labels")
    return cross_entropy(model, images[:8], labels, "labels", reduction)
