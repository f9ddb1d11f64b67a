"""The loss of a classifier, found out from what it takes and gives."""

import keras

from kerasft.backend import predict_batch, predict_without_slow_jit
from kerasft.label_checks import validate_labels
from kerasft.outputs import gives_logits
from kerasft.training_checks import validate_classes


def cross_entropy(model, images, labels, name, reduction="sum_over_batch_size"):
    """The cross-entropy loss for integer or one-hot labels and for scores or logits.

    Args:
        model: A classifier with one output `(images, classes)`, or
            `(images, 1)` for two classes.
        images: A few images.
        labels: All labels of their set, an array.
        name: Of the set, for the error.
        reduction: As in `keras.losses.Loss`.

    Returns:
        A `keras.losses.Loss`.

    Raises:
        ValueError: Other outputs, or labels that are no classes of theirs.
    """
    predict_without_slow_jit(model)
    outputs = predict_batch(model, images)
    if getattr(outputs, "ndim", None) != 2:
        shapes = keras.tree.map_structure(lambda x: x.shape, outputs)
        raise ValueError(
            "Expected a model with outputs (images, classes), or a loss that fits it. "
            f"Received: outputs of shape {shapes}."
        )
    from_logits = gives_logits(model, outputs)
    if outputs.shape[1] == 1:
        # Of two classes; what lies between them would be taken too.
        validate_classes(labels, 2, name)
        kind = keras.losses.BinaryCrossentropy
    elif labels.ndim == 2 and labels.shape[1] > 1:
        kind = keras.losses.CategoricalCrossentropy
    else:
        kind = keras.losses.SparseCategoricalCrossentropy
    loss = kind(from_logits=from_logits, reduction=reduction)
    validate_labels(loss, labels, [outputs], name)
    return loss
