import dataclasses
from typing import ClassVar

import numpy as np

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import (
    as_dtype,
    as_floats,
    random_generators,
    validate_images,
    validate_sigma,
)


def additive_white_gaussian_noise(
    images, sigma, seed, clip=True, value_range=(0, 255), first_index=0
):
    """Add independent Gaussian noise to every pixel and channel.

    The noise of an image depends on `seed` and the image's index alone, not
    on the batch it is in.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        sigma: Standard deviation in units of `value_range`, at least 0.
        seed: Non-negative integer.
        clip: Clip to `value_range`, as a camera would; `False` leaves the
            noise whole, which integer images cannot hold.
        value_range: Lowest and highest value of a pixel.
        first_index: Index of the first image, for batches of a larger set.

    Returns:
        Noisy images of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, negative `sigma`, integer images with
            `clip=False`, `seed` or `first_index` not a whole number of at
            least 0.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> noisy = kerasft.additive_white_gaussian_noise(images, sigma=15, seed=0)
    >>> noisy.dtype
    dtype('uint8')

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 4.2; T. S. Borkar, L. J.
        Karam, *DeepCorrect*, arXiv 1705.02406 (who do not clip).
    """
    validate_sigma(sigma)
    images = validate_images(images, value_range)
    generators = random_generators(len(images), seed, first_index)
    if not clip and np.issubdtype(images.dtype, np.integer):
        raise ValueError(f"Expected float images for clip=False. Received: {images.dtype}.")
    noisy = as_floats(images)
    for image, generator in zip(noisy, generators, strict=True):
        image += sigma * generator.standard_normal(image.shape, dtype="float32")
    if clip:
        noisy = np.clip(noisy, *value_range)
    return as_dtype(noisy, images.dtype)


@dataclasses.dataclass(frozen=True)
class AdditiveWhiteGaussianNoise(Distortion):
    """`additive_white_gaussian_noise` as a distortion: a function from images to images.

    Attributes:
        sigma: Standard deviation in units of `value_range`.
        seed: Non-negative integer.
        clip: Clip to `value_range`.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "awgn"

    sigma: float
    seed: int = 0
    clip: bool = True
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        validate_sigma(self.sigma)

    def __call__(self, images, first_index=0):
        return additive_white_gaussian_noise(
            images, self.sigma, self.seed, self.clip, self.value_range, first_index
        )

    def __str__(self):
        return f"AWGN σ = {self.sigma:g}"
