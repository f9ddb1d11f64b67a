"""Labels that are half what the source network says of the clean version of an image."""

import dataclasses

import keras
import numpy as np

from kerasft.backend import predict_without_slow_jit
from kerasft.evaluation import predict_classes
from kerasft.methods.problem import Problem
from kerasft.methods.reasons import has_pairs
from kerasft.methods.training import label_loss


class _ProblemOfShares(Problem):
    """A `Problem` whose labels, `(images, classes)`, only a loss looks at."""

    def __post_init__(self):
        """Take them."""


def with_soft_labels(problem):
    """The problem with labels that are half the source network's, where it can see clean images.

    Args:
        problem: A `Problem` with labels.

    Returns:
        A `Problem` with labels `(images, classes)`, float32, of training and
        of validation images, those of the latter one-hot; or the same
        `Problem` where there are no pairs, or the model has a single output,
        whose loss takes whole labels.

    Reference:
        Hinton, Vinyals and Dean, arXiv 1503.02531.
    """
    if not has_pairs(problem):
        return problem
    said = said_by_source(problem, problem.clean)
    if said.ndim == 1:
        return problem
    hard = with_one_hot_labels(problem, said.shape[-1])
    return dataclasses.replace(hard, labels=np.asarray((hard.labels + said) / 2, "float32"))


def with_one_hot_labels(problem, classes):
    """The problem with one-hot labels, of training and of validation images.

    Args:
        problem: A `Problem` with labels.
        classes: Number of classes.

    Returns:
        A `Problem` with labels `(images, classes)`.
    """
    images, labels = problem.validation
    one_hot = {
        "labels": keras.utils.to_categorical(problem.labels, classes),
        "validation": (images, keras.utils.to_categorical(labels, classes)),
    }
    return _ProblemOfShares(**{**vars(problem), **one_hot})


def said_by_source(problem, images):
    """What the source network says of images.

    Args:
        problem: A `Problem` with labels.
        images: `(images, height, width, channels)`.

    Returns:
        `(images, classes)`, probabilities, float32; of a model with a single
        output `(images,)`, classes.
    """
    if problem.model.output_shape[-1] == 1:
        return predict_classes(problem.model, images)
    predict_without_slow_jit(problem.model)
    outputs = problem.model.predict(images, batch_size=256, verbose=0)
    if label_loss(problem.model, problem).from_logits:
        outputs = keras.ops.convert_to_numpy(keras.ops.softmax(outputs))
    return np.asarray(outputs, "float32")
