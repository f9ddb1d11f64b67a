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
