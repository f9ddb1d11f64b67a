import dataclasses
from typing import ClassVar

from scipy.ndimage import gaussian_filter1d

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import as_dtype, as_floats, validate_images, validate_sigma

# Of the window, in standard deviations.
_REACH = 4.0


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
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, negative `sigma`.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> kerasft.gaussian_blur(images, sigma=1.0).shape
    (1797, 8, 8, 1)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 4.2.
    """
    validate_sigma(sigma)
    images = validate_images(images, value_range)
    # The window of less than half a pixel is the pixel itself, for which SciPy divides by sigma².
    if _REACH * sigma < 0.5:
        return images.copy()
    blurred = as_floats(images)
    for axis in (1, 2):
        blurred = gaussian_filter1d(blurred, sigma, axis=axis, mode="reflect", truncate=_REACH)
    return as_dtype(blurred, images.dtype)


@dataclasses.dataclass(frozen=True)
class GaussianBlur(Distortion):
    """`gaussian_blur` as a distortion: a function from images to images.

    Attributes:
        sigma: Standard deviation in pixels.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "blur"

    sigma: float
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        validate_sigma(self.sigma)

    def __call__(self, images):
        return gaussian_blur(images, self.sigma, self.value_range)

    def __str__(self):
        return f"Gaussian blur σ = {self.sigma:g}"
