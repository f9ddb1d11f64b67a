import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Problem:
    """A trained classifier and the bad images that it is to be made better on.

    What every method of `kerasft.methods` gets: the same data, the same early
    stopping, the same learning rate.

    Attributes:
        model: The `keras.Model`; no method changes it.
        distorted: `(images, height, width, channels)`, the distorted images to
            train on, in the range that the model takes.
        labels: `(images,)`, integers; `None` where they are not known.
        validation: `(images, labels)`, distorted images that stop the
            training; `None` where there are no labels.
        clean: Clean images `(images, height, width, channels)`, or `None`.
        clean_labels: `(images,)`, integers, or `None`.
        paired: Whether `clean` are the clean versions of `distorted`, in the
            same order.
        other_clean: `(images, labels)`, clean images beside those in `clean`,
            such as a part of what the model was trained on; the labels may be
            `None`. `None`: there are no others.
        layers: Names of the convolutions that are tuned or selected from.
            `None`: every `Conv2D`.
        epochs: At most this many.
        patience: Epochs without improvement of the validation loss before
            stopping.
        batch_size: Images in a step.
        learning_rate: Of Adam.

    Raises:
        ValueError: Labels of another shape: of a column NumPy would compare
            each with every prediction.
    """

    model: keras.Model
    distorted: np.ndarray
    labels: np.ndarray | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
    clean: np.ndarray | None = None
    clean_labels: np.ndarray | None = None
    paired: bool = False
    other_clean: tuple[np.ndarray, np.ndarray | None] | None = None
    layers: tuple[str, ...] | None = None
    epochs: int = 200
    patience: int = 15
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self):
        _, validation_labels = self.validation or (None, None)
        _, other_labels = self.other_clean or (None, None)
        for name, labels in (
            ("labels", self.labels),
            ("validation labels", validation_labels),
            ("clean_labels", self.clean_labels),
            ("labels of other_clean", other_labels),
        ):
            if labels is not None and np.ndim(labels) != 1:
                raise ValueError(
                    f"Expected {name} as integers of shape (images,). "
                    f"Received: shape {np.shape(labels)}."
                )
