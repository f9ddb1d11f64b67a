"""Blur and noise, the distortions of the paper, and a registry of presets."""

import dataclasses
import numbers

import numpy as np
from scipy.ndimage import gaussian_filter1d

# What float images may exceed their range by: rounding, not another range.
_TOLERANCE = 1e-6


def gaussian_blur(images, sigma, value_range=(0, 255)):
    """Blur images with a Gaussian.

    The window reaches four standard deviations, so it does not cut the bell
    off, and borders are reflected (`d c b a | a b c d | d c b a`).

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        sigma: Standard deviation in pixels, at least 0.
        value_range: Lowest and highest value of a pixel.

    Returns:
        Blurred images of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape, pixels outside `value_range` or evidently of
            another, NaN or infinity, negative `sigma`.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> kerasft.gaussian_blur(images, sigma=1.0).shape
    (1797, 8, 8, 1)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 4.2.
    """
    images = _validate(images, sigma, value_range)
    if sigma == 0:
        return images.copy()
    blurred = np.asarray(images, np.result_type(images.dtype, "float32"))
    for axis in (1, 2):
        blurred = gaussian_filter1d(blurred, sigma, axis=axis, mode="reflect", truncate=4.0)
    return _like(blurred, images.dtype)


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
        ValueError: Wrong shape, pixels outside `value_range` or evidently of
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
    images = _validate(images, sigma, value_range)
    for name, number in (("seed", seed), ("first_index", first_index)):
        if not isinstance(number, numbers.Integral) or number < 0:
            raise ValueError(
                f"Expected {name} as a whole number of at least 0. Received: {number!r}."
            )
    if not clip and np.issubdtype(images.dtype, np.integer):
        raise ValueError(f"Expected float images for clip=False. Received: {images.dtype}.")
    noisy = np.array(images, np.result_type(images.dtype, "float32"))
    for index, image in enumerate(noisy, start=first_index):
        generator = np.random.default_rng([seed, index])
        image += sigma * generator.standard_normal(image.shape, dtype="float32")
    if clip:
        low, high = value_range
        noisy = np.clip(noisy, low, high)
    return _like(noisy, images.dtype)


@dataclasses.dataclass(frozen=True)
class GaussianBlur:
    """`gaussian_blur` as a distortion: a function from images to images.

    Attributes:
        sigma: Standard deviation in pixels.
        value_range: Lowest and highest value of a pixel.
    """

    sigma: float
    value_range: tuple[float, float] = (0, 255)

    def __call__(self, images):
        return gaussian_blur(images, self.sigma, self.value_range)

    def __str__(self):
        return f"Gaussian blur σ = {self.sigma:g}"


@dataclasses.dataclass(frozen=True)
class AdditiveWhiteGaussianNoise:
    """`additive_white_gaussian_noise` as a distortion: a function from images to images.

    Attributes:
        sigma: Standard deviation in units of `value_range`.
        seed: Non-negative integer.
        clip: Clip to `value_range`.
        value_range: Lowest and highest value of a pixel.
    """

    sigma: float
    seed: int = 0
    clip: bool = True
    value_range: tuple[float, float] = (0, 255)

    def __call__(self, images, first_index=0):
        return additive_white_gaussian_noise(
            images, self.sigma, self.seed, self.clip, self.value_range, first_index
        )

    def __str__(self):
        return f"AWGN σ = {self.sigma:g}"


DISTORTIONS = {"awgn": AdditiveWhiteGaussianNoise, "blur": GaussianBlur}

# Severities of DeepCorrect on CIFAR, pixels from 0 to 255; the paper names
# only the central noise.
PRESETS = {
    "awgn": {"low": 5.0, "central": 15.0, "high": 25.0},
    "blur": {"low": 0.5, "central": 1.0, "high": 1.5},
}


def parse_distortion(text, seed=0):
    """Make a distortion from its short form.

    Args:
        text: `name:sigma` or `name:level`: `awgn:15`, `blur:1.5`,
            `awgn:central`. Levels are `low`, `central` and `high`.
        seed: Seed of the noise.

    Returns:
        A distortion for pixels from 0 to 255.

    Raises:
        ValueError: Unknown name or level, a sigma that is not a number of at
            least 0.

    Example:

    >>> import kerasft
    >>> kerasft.parse_distortion("awgn:central")
    AdditiveWhiteGaussianNoise(sigma=15.0, seed=0, clip=True, value_range=(0, 255))
    """
    name, _, level = text.partition(":")
    expected = "awgn:SIGMA, blur:SIGMA, or a level low, central or high instead of SIGMA"
    if name not in DISTORTIONS:
        raise ValueError(f"Expected a distortion as {expected}. Received: {text!r}.")
    sigma = PRESETS[name].get(level)
    if sigma is None:
        try:
            sigma = float(level)
        except ValueError:
            raise ValueError(f"Expected a distortion as {expected}. Received: {text!r}.") from None
    if not 0 <= sigma < np.inf:
        raise ValueError(f"Expected a sigma of at least 0. Received: {text!r}.")
    return AdditiveWhiteGaussianNoise(sigma, seed) if name == "awgn" else GaussianBlur(sigma)


def _validate(images, sigma, value_range):
    images = np.asarray(images)
    low, high = value_range
    if images.ndim != 4 or images.dtype.kind not in "uif":
        raise ValueError(
            "Expected images as numbers of shape (images, height, width, channels). "
            f"Received: {images.dtype} {images.shape}."
        )
    if not 0 <= sigma < np.inf:
        raise ValueError(f"Expected a sigma of at least 0. Received: {sigma}.")
    if images.size == 0:
        return images
    smallest, largest = float(images.min()), float(images.max())
    slack = _TOLERANCE * (high - low)
    # Negated, so that NaN is refused too.
    if not (low - slack <= smallest and largest <= high + slack):
        raise ValueError(
            f"Expected finite pixels from {low:g} to {high:g}. "
            f"Received: {smallest:g} to {largest:g}."
        )
    # A range of 0–255 holds 0–1 images too, but as good as black.
    if images.dtype.kind == "f" and (low, high) == (0, 255) and 0 < largest <= 1:
        raise ValueError(
            f"Expected pixels from 0 to 255. Received: {smallest:g} to {largest:g}, as if from "
            "0 to 1; say value_range=(0, 1) if they are."
        )
    return images


def _like(images, dtype):
    if np.issubdtype(dtype, np.integer):
        return np.rint(images).astype(dtype)
    return images.astype(dtype, copy=False)
