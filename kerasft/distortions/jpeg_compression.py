import dataclasses
import io
from typing import ClassVar

import numpy as np
from PIL import Image

from kerasft.distortions.distortion import Distortion
from kerasft.distortions.pixels import as_dtype, as_floats, validate_images
from kerasft.whole_number import is_whole

# The limit of libjpeg.
_LARGEST_SIDE = 65_500


def jpeg_compression(images, quality, value_range=(0, 255)):
    """Save images as JPEG files, in memory, and read them again.

    By Pillow, which keeps the colours of photographs at half their resolution,
    as cameras and web sites do. Images are rounded to 256 levels first.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats, 1 or 3 channels.
        quality: Whole number, 1 to 100; Pillow's own default is 75.
        value_range: Lowest and highest value of a pixel.

    Returns:
        What the files hold, of the same shape and dtype; integers are rounded.

    Raises:
        ValueError: Wrong shape or dtype, pixels outside `value_range` or evidently of
            another, NaN or infinity, not 1 or 3 channels, a side of more than
            65,500 pixels, a `quality` that is none.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> kerasft.jpeg_compression(images, quality=30).dtype
    dtype('uint8')

    Reference:
        D. Hendrycks, T. Dietterich, *Benchmarking Neural Network Robustness to
        Common Corruptions and Perturbations*, ICLR 2019.
    """
    _validate_quality(quality)
    images = validate_images(images, value_range)
    if images.shape[-1] not in (1, 3) or max(images.shape[1:3]) > _LARGEST_SIDE:
        raise ValueError(
            f"Expected images of 1 or 3 channels and at most {_LARGEST_SIDE} pixels a side for "
            f"JPEG. Received: shape {images.shape}."
        )
    if images.size == 0:
        return images.copy()
    low, high = value_range
    step = (high - low) / 255
    levels = np.clip(np.rint((as_floats(images) - low) / step), 0, 255).astype("uint8")
    for image in levels:
        image[:] = _through_a_file(image, int(quality))
    return as_dtype(np.clip(as_floats(levels) * step + low, low, high), images.dtype)


def _through_a_file(image, quality):
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
        file, "JPEG", quality=quality
    )
    with Image.open(file) as decoded:
        return np.asarray(decoded).reshape(image.shape)


def _validate_quality(quality):
    if not is_whole(quality) or not 1 <= quality <= 100:
        raise ValueError(
            f"Expected a quality as a whole number from 1 to 100. Received: {quality!r}."
        )


@dataclasses.dataclass(frozen=True)
class JpegCompression(Distortion):
    """`jpeg_compression` as a distortion: a function from images to images.

    Attributes:
        quality: Whole number, 1 to 100.
        value_range: Lowest and highest value of a pixel.
    """

    kind: ClassVar[str] = "jpeg"
    whole: ClassVar[bool] = True

    quality: int
    value_range: tuple[float, float] = (0, 255)

    def __post_init__(self):
        super().__post_init__()
        _validate_quality(self.quality)

    @property
    def severity(self):
        return 100 - self.quality

    def __call__(self, images):
        return jpeg_compression(images, self.quality, self.value_range)

    def __str__(self):
        return f"JPEG quality {self.quality}"
