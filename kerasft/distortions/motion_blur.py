import dataclasses
import itertools
from typing import ClassVar

import numpy as np
from scipy.ndimage import correlate

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import (
    as_dtype,
    as_floats,
    random_generators,
    validate_images,
)
from kerasft.real_number import is_real
from kerasft.whole_number import is_whole

# Degrees to either side of the horizontal, of Hendrycks and Dietterich.
_WIDEST_ANGLE = 45.0


def motion_blur(images, length, seed, angle=None, value_range=(0, 255), first_index=0):
    """Blur images along a line, as a camera that moves at a constant speed.

    Each pixel becomes the mean of `length` points, one pixel apart, on a line
    that is centred on it; points between pixels are interpolated bilinearly.
    Borders are reflected (`d c b a | a b c d | d c b a`). An image's line
    depends on `seed` and the image's index alone, not on the batch it is in.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        length: Length of the line in pixels: a whole number of at least 1, at
            most the longer side of the images; 1 changes nothing.
        seed: Non-negative integer.
        angle: Direction in degrees, counter-clockwise from the horizontal.
            `None`: drawn for each image, from -45 to 45.
        value_range: Lowest and highest value of a pixel.
        first_index: Index of the first image, for batches of a larger set.

    Returns:
        Blurred images of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, a `length` that is none or longer than
            the images, an `angle` that is not finite, `seed` or `first_index`
            not a whole number of at least 0.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> kerasft.motion_blur(images, length=3, seed=0).shape
    (1797, 8, 8, 1)

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019 (who let the line fade
        out to one side).
    """
    _validate_line(length, angle)
    images = validate_images(images, value_range)
    generators = random_generators(len(images), seed, first_index)
    longest = max(images.shape[1:3])
    if images.size and length > longest:
        raise ValueError(
            f"Expected a length of at most {longest}, the longer side of the images. "
            f"Received: {length}."
        )
    if images.size == 0 or length == 1:
        return images.copy()
    blurred = as_floats(images)
    for image, generator in zip(blurred, generators, strict=True):
        drawn = generator.uniform(-_WIDEST_ANGLE, _WIDEST_ANGLE) if angle is None else angle
        image[:] = correlate(image, _line(length, drawn)[..., np.newaxis], mode="reflect")
    return as_dtype(blurred, images.dtype)


def _line(length, angle):
    """Weights of the pixels around the centre, `(size, size)`."""
    steps = np.arange(length) - (length - 1) / 2
    # Rows of an image count downwards.
    rows, columns = -steps * np.sin(np.deg2rad(angle)), steps * np.cos(np.deg2rad(angle))
    centre = length // 2 + 1
    weights = np.zeros((2 * centre + 1,) * 2)
    above, left = np.floor(rows), np.floor(columns)
    for down, right in itertools.product((0, 1), repeat=2):
        share = (1 - np.abs(rows - above - down)) * (1 - np.abs(columns - left - right))
        places = (above + down + centre).astype(int), (left + right + centre).astype(int)
        np.add.at(weights, places, share / length)
    return weights


def _validate_line(length, angle):
    if not is_whole(length) or length < 1:
        raise ValueError(
            f"Expected a length as a whole number of at least 1. Received: {length!r}."
        )
    if angle is not None and not (is_real(angle) and np.isfinite(angle)):
        raise ValueError(f"Expected an angle in degrees, or None. Received: {angle!r}.")


@dataclasses.dataclass(frozen=True)
class MotionBlur(Distortion):
    """`motion_blur` as a distortion: a function from images to images.

    Attributes:
        length: Length of the line in pixels, a whole number of at least 1.
        seed: Non-negative integer.
        angle: Direction in degrees; `None`: drawn for each image.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "motion"
    whole: ClassVar[bool] = True

    length: int
    seed: int = 0
    angle: float | None = None
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        _validate_line(self.length, self.angle)

    def __call__(self, images, first_index=0):
        return motion_blur(
            images, self.length, self.seed, self.angle, self.value_range, first_index
        )

    def __str__(self):
        return f"motion blur of {self.length} pixels"
