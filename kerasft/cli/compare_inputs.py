import dataclasses
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class CompareInputs:
    """What `kerasft compare` works on.

    Attributes:
        model: The `keras.Model`.
        model_name: Its name for readers.
        distortion: What the images suffer from, for readers.
        images: Arguments of `kerasft.compare`: `distorted`, `distorted_test`
            and others.
        notes: Sentences about what was used for what.
    """

    model: keras.Model
    model_name: str
    distortion: str
    images: dict[str, Any]
    notes: tuple[str, ...]


def check_labels(labels, whole, total, aside):
    """Refuse more labels than there are images to draw from.

    Args:
        labels: Number of images to draw, or `None`: all.
        whole: What the images are of, for readers.
        total: Number of them.
        aside: Dictionary from why some of them are not drawn to how many.

    Raises:
        ValueError: More.
    """
    available = total - sum(aside.values())
    if labels is not None and labels > available:
        reasons = [f"{count} are {reason}" for reason, count in aside.items() if count]
        raise ValueError(
            f"Expected --labels up to {available}, as many images as there are to draw from. "
            f"Received: {labels}; there are {total} in {whole}"
            f"{', of which ' if reasons else ''}{' and '.join(reasons)}."
        )
