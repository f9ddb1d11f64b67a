import dataclasses
from typing import ClassVar

import numpy as np

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import as_dtype, as_floats, validate_images
from kerasft.real_number import is_real


def contrast(images, factor, value_range=(0, 255)):
    """Change the contrast of images about the mean of each image and channel.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        factor: What distances from the mean are multiplied with, at least 0:
            0 leaves the mean alone, 1 changes nothing, more than 1 gives more
            contrast.
        value_range: Lowest and highest value of a pixel, which results are
            clipped to.

    Returns:
        Images of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, a `factor` that is none.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> bool(kerasft.contrast(images, factor=0.5).std() < images.std())
    True

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019.
    """
    _validate_factor(factor)
    images = validate_images(images, value_range)
    if images.size == 0 or factor == 1:
        return images.copy()
    pixels = as_floats(images)
    means = pixels.mean(axis=(1, 2), keepdims=True, dtype="float64")
    changed = np.clip((pixels - means) * factor + means, *value_range)
    return as_dtype(changed, images.dtype)


def _validate_factor(factor):
    if not (is_real(factor) and 0 <= factor < np.inf):
        raise ValueError(f"Expected a contrast factor of at least 0. Received: {factor!r}.")


@dataclasses.dataclass(frozen=True)
class Contrast(Distortion):
    """`contrast` as a distortion: a function from images to images.

    Attributes:
        factor: What distances from the mean are multiplied with.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "contrast"

    factor: float
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        _validate_factor(self.factor)

    @property
    def severity(self):
        return abs(1 - self.factor)

    def __call__(self, images):
        return contrast(images, self.factor, self.value_range)

    def __str__(self):
        return f"contrast × {self.factor:g}"
