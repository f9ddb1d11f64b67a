"""Labels are compared with the cross-entropy that is to take them, whoever chose it."""

import keras
import numpy as np
import pytest
from keras import losses

from kerasft.cross_entropy import cross_entropy
from kerasft.label_checks import validate_labels

ONE_HOT = np.eye(3)
SOFT = np.array([[0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]], "float32")
SPARSE, CATEGORICAL, BINARY = (
    [name, getattr(losses, name), getattr(losses, kind)(), getattr(losses, kind), [name]]
    for name, kind in (
        ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"),
        ("categorical_crossentropy", "CategoricalCrossentropy"),
        ("binary_crossentropy", "BinaryCrossentropy"),
    )
)


def outputs(classes):
    return [np.zeros((2, classes))]


@pytest.mark.parametrize(
    ("kinds", "labels", "classes", "message"),
    [
        (SPARSE, [0, 3], 3, "labels from 0 to 2 in train. Received: 0 to 3."),
        (SPARSE, [-1, 2], 3, "labels from 0 to 2 in train. Received: -1 to 2."),
        (SPARSE, [0, 0.5], 3, "whole numbers. Received: 0.5."),
        (SPARSE, ONE_HOT, 3, "one label for each image in train. Received: labels of shape (3, 3)"),
        (CATEGORICAL, [0, 1], 3, "one-hot labels for 3 classes in train. Received: labels of"),
        (CATEGORICAL, [[0, 1]], 3, "one-hot labels for 3 classes in train. Received: labels of"),
        (CATEGORICAL, 5 * ONE_HOT - 1, 3, "Received: -1 to 4, 2 in sum."),
        (CATEGORICAL, ONE_HOT / 2, 3, "Received: 0 to 0.5, 0.5 in sum."),
        (BINARY, [0, 2], 1, "labels from 0 to 1 in train. Received: 0 to 2."),
        (BINARY, [[-1], [1]], 1, "labels from 0 to 1 in train. Received: -1 to 1."),
        (BINARY, np.eye(2), 1, "one label for each image in train. Received: labels of shape (2,"),
        (BINARY, [0, 1], 3, "3 labels from 0 to 1 for each image in train. Received: labels of"),
        (BINARY, [[0, 1, 2]], 3, "labels from 0 to 1 in train. Received: 0 to 2."),
    ],
)
def test_labels_that_do_not_fit_are_refused(kinds, labels, classes, message):
    for loss in kinds:
        with pytest.raises(ValueError, match=r"^Expected .*Received: ") as caught:
            validate_labels(loss, np.asarray(labels), outputs(classes), "train")
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "labels", "classes"),
    [
        (SPARSE, [0, 2], 3),
        (SPARSE, [[0.0], [2.0]], 3),
        ([losses.SparseCategoricalCrossentropy(ignore_class=255)], [255, 2], 3),
        ([losses.SparseCategoricalCrossentropy(ignore_class=-1)], [-1, -1], 3),
        (CATEGORICAL, ONE_HOT, 3),
        (CATEGORICAL, ONE_HOT.astype("uint8"), 3),
        (CATEGORICAL, SOFT, 3),
        # Without a label.
        (CATEGORICAL, [[0, 0, 0], [0, 1, 0]], 3),
        (CATEGORICAL, SOFT.astype("float16"), 3),
        (BINARY, [0, 1], 1),
        (BINARY, [[0.3], [0.7]], 1),
        (BINARY, [[True, False, True]], 3),
        # What others take is theirs to say.
        (["mse", losses.Hinge(), lambda y, outputs: 0.0], [-1, 5], 3),
        ([type("Own", (losses.CategoricalCrossentropy,), {})()], [-1, 5], 3),
        ([{"a": "mse", "b": "sparse_categorical_crossentropy"}], [-1, 5], 3),
    ],
)
def test_labels_that_fit_are_taken(kinds, labels, classes):
    for loss in kinds:
        validate_labels(loss, np.asarray(labels), outputs(classes), "train")


def test_other_outputs_than_scores_of_images_are_not_looked_at():
    for several in ([np.zeros((2, 4, 4, 3))], outputs(3) * 2, [keras.KerasTensor((None, None))]):
        validate_labels("sparse_categorical_crossentropy", np.array([9]), several, "train")


def test_a_loss_that_keras_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"^Expected loss as .*Received: 'crossentropie'\."):
        validate_labels("crossentropie", np.array([0]), outputs(3), "train")


@pytest.mark.parametrize(
    ("units", "labels", "message"),
    [
        (1, np.eye(2), "one label for each image in train. Received: labels of shape"),
        (1, [0.3, 0.7], "labels in train as whole numbers. Received: 0.3"),
        (2, 5 * np.eye(2) - 1, "one-hot or soft labels in train, each from 0 to 1"),
        (2, np.eye(3)[:2], "one-hot labels for 2 classes in train"),
        (2, [[[0]], [[1]]], "one label for each image in train"),
    ],
)
def test_the_loss_that_is_found_out_is_no_exception(units, labels, message):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    with pytest.raises(ValueError, match=r"^Expected ") as caught:
        cross_entropy(model, np.ones((2, 2)), np.asarray(labels), "train")
    assert message in str(caught.value)
