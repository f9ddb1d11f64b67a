import dataclasses
from typing import ClassVar

import numpy as np

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import as_dtype, as_floats, random_generators, validate_images
from kerasft.real_number import is_real

# Far beyond what could be seen, and within what NumPy can draw.
_MOST_PHOTONS = 1e12


def shot_noise(images, photons, seed, value_range=(0, 255), first_index=0):
    """Count photons: Poisson noise, stronger where images are brighter.

    Every pixel and channel by itself. The noise of an image depends on `seed`
    and the image's index alone, not on the batch it is in.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        photons: Expected number of photons at the highest value, over 0 and at
            most 1e12; the fewer, the more noise.
        seed: Non-negative integer.
        value_range: Lowest and highest value of a pixel; results are clipped
            to it.
        first_index: Index of the first image, for batches of a larger set.

    Returns:
        Noisy images of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, a number of `photons` out of range,
            `seed` or `first_index` not a whole number of at least 0.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> noisy = kerasft.shot_noise(images, photons=60, seed=0)
    >>> bool((noisy[images == 0] == 0).all())
    True

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019.
    """
    _validate_photons(photons)
    images = validate_images(images, value_range)
    low, high = value_range
    noisy = as_floats(images)
    generators = random_generators(len(images), seed, first_index)
    for image, generator in zip(noisy, generators, strict=True):
        # Rounding may leave the range by a hair, and no rate is negative.
        brightness = np.clip((image.astype("float64") - low) / (high - low), 0, 1)
        counted = np.minimum(generator.poisson(brightness * photons) / photons, 1)
        image[:] = low + counted * (high - low)
    return as_dtype(noisy, images.dtype)


def _validate_photons(photons):
    if not (is_real(photons) and 0 < photons <= _MOST_PHOTONS):
        raise ValueError(
            f"Expected a number of photons over 0, at most {_MOST_PHOTONS:g}. "
            f"Received: {photons!r}."
        )


@dataclasses.dataclass(frozen=True)
class ShotNoise(Distortion):
    """`shot_noise` as a distortion: a function from images to images.

    Attributes:
        photons: Expected number of photons at the highest value.
        seed: Non-negative integer.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "shot"

    photons: float
    seed: int = 0
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        _validate_photons(self.photons)

    @property
    def severity(self):
        return 1 / self.photons

    def __call__(self, images, first_index=0):
        return shot_noise(images, self.photons, self.seed, self.value_range, first_index)

    def __str__(self):
        return f"shot noise of {self.photons:g} photons"
