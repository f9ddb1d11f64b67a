"""Sample images as PNG data URIs."""

import base64
import io

import numpy as np
from PIL import Image

_LONGEST_SIDE = 256


def png_uri(image):
    """Turn a `(height, width, channels)` array of uint8 into a PNG data URI.

    Large images are reduced to 256 pixels on their longer side, so that a page
    stays small enough to mail; small ones keep every pixel.
    """
    image = np.asarray(image)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def is_reduced(images):
    """Whether `png_uri` makes these images smaller."""
    return max(np.shape(images)[1:3]) > _LONGEST_SIDE
