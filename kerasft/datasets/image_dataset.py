import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """A classification data set in memory, with the split it is published with.

    Attributes:
        train_images: `(n, height, width, channels)` array of uint8, 0 to 255.
        train_labels: `(n,)` array of int64, indices into `class_names`.
        test_images: As `train_images`.
        test_labels: As `train_labels`.
        class_names: Names of the classes, in label order.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
