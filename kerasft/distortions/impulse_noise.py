import dataclasses
from typing import ClassVar

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import as_dtype, as_floats, random_generators, validate_images
from kerasft.real_number import is_real


def impulse_noise(images, amount, seed, value_range=(0, 255), first_index=0):
    """Set some values to the lowest, as many to the highest: salt and pepper.

    Every pixel and channel by itself. The noise of an image depends on `seed`
    and the image's index alone, not on the batch it is in.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        amount: Expected share of the values that are set, 0 to 1.
        seed: Non-negative integer.
        value_range: Lowest and highest value of a pixel.
        first_index: Index of the first image, for batches of a larger set.

    Returns:
        Noisy images of the same shape and dtype.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, an `amount` that is no share, `seed` or
            `first_index` not a whole number of at least 0.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> noisy = kerasft.impulse_noise(images, amount=0.05, seed=0)
    >>> bool((noisy != images).mean() <= 0.05)
    True

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019.
    """
    _validate_amount(amount)
    images = validate_images(images, value_range)
    low, high = value_range
    noisy = as_floats(images)
    generators = random_generators(len(images), seed, first_index)
    for image, generator in zip(noisy, generators, strict=True):
        drawn = generator.random(image.shape)
        image[drawn < amount] = high
        image[drawn < amount / 2] = low
    return as_dtype(noisy, images.dtype)


def _validate_amount(amount):
    if not (is_real(amount) and 0 <= amount <= 1):
        raise ValueError(f"Expected a share of the values from 0 to 1. Received: {amount!r}.")


@dataclasses.dataclass(frozen=True)
class ImpulseNoise(Distortion):
    """`impulse_noise` as a distortion: a function from images to images.

    Attributes:
        amount: Expected share of the values that are set, 0 to 1.
        seed: Non-negative integer.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "impulse"

    amount: float
    seed: int = 0
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        _validate_amount(self.amount)

    def __call__(self, images, first_index=0):
        return impulse_noise(images, self.amount, self.seed, self.value_range, first_index)

    def __str__(self):
        return f"impulse noise on {100 * self.amount:g}% of the values"
