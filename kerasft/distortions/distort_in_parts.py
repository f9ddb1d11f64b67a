import numpy as np

from kerasft.distortions.takes_first_index import takes_first_index

# Some distortions need twenty times the memory of what they distort.
_PART = 256


def distort_in_parts(distortion, images):
    """Distort images some at a time, as if all at once: memory does not grow with their number.

    Args:
        distortion: One of the package, such as `parse_distortion` gives.
        images: `(images, height, width, channels)` array of uint8.

    Returns:
        Distorted images, of the same shape and dtype.
    """
    takes_index = takes_first_index(distortion)
    distorted = np.empty_like(images)
    for start in range(0, len(images), _PART):
        where = {"first_index": start} if takes_index else {}
        part = slice(start, start + _PART)
        distorted[part] = distortion(images[part], **where)
    return distorted
