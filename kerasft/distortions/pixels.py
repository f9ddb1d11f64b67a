"""What all distortions ask of images and of their arguments."""

import contextlib
import contextvars

import numpy as np

from kerasft.real_number import is_real
from kerasft.whole_number import validate_count

# What float images may exceed their range by: rounding, not another range.
_TOLERANCE = 1e-6


def _refuse(complaint):
    raise complaint


_HEAR = contextvars.ContextVar("hear", default=_refuse)


@contextlib.contextmanager
def complaints_heard_by(hear):
    """Leave it to others to refuse images that are dark, as if of another range.

    One batch may be dark where the set that it is from is not.

    Args:
        hear: Called in this block with the `ValueError` instead.
    """
    token = _HEAR.set(hear)
    try:
        yield
    finally:
        _HEAR.reset(token)


def validate_images(images, value_range):
    """Images as an array, refused unless they are distortable.

    Args:
        images: `(images, height, width, channels)` within `value_range`,
            integers or floats.
        value_range: Lowest and highest value of a pixel.

    Raises:
        ValueError: Wrong shape or dtype, an empty range, integers that cannot
            hold it, pixels outside `value_range` or evidently of another, NaN
            or infinity.
    """
    images = np.asarray(images)
    low, high = validate_range(value_range)
    if images.ndim != 4 or images.dtype.kind not in "uif":
        raise ValueError(
            "Expected images as numbers of shape (images, height, width, channels). "
            f"Received: {images.dtype} {images.shape}."
        )
    # A result outside of what they hold would come out as another brightness.
    if images.dtype.kind in "ui":
        held = np.iinfo(images.dtype)
        if low < held.min or high > held.max:
            raise ValueError(
                f"Expected images of a dtype that holds pixels from {low:g} to {high:g}. "
                f"Received: {images.dtype}, which holds {held.min} to {held.max}."
            )
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
        complaint = ValueError(
            f"Expected pixels from 0 to 255. Received: {smallest:g} to {largest:g}, as if from "
            "0 to 1; say value_range=(0, 1) if they are."
        )
        _HEAR.get()(complaint)
    return images


def validate_range(value_range):
    """The limits of a range of pixels, refused unless they are two numbers in order.

    Args:
        value_range: Lowest and highest value of a pixel.

    Raises:
        ValueError: Not two numbers, or the first not below the second.
    """
    try:
        low, high = value_range
    except (TypeError, ValueError):
        low = high = None
    # Negated, so that NaN is refused too.
    if not (is_real(low) and is_real(high) and low < high):
        raise ValueError(f"Expected value_range as (lowest, highest). Received: {value_range!r}.")
    return low, high


def validate_sigma(sigma):
    """Refuse what is no number, and a standard deviation that is negative, NaN or infinite."""
    if not (is_real(sigma) and 0 <= sigma < np.inf):
        raise ValueError(f"Expected a sigma of at least 0. Received: {sigma!r}.")


def random_generators(count, seed, first_index):
    """A random generator for each image, from `seed` and the image's index alone.

    Args:
        count: Number of images.
        seed: Non-negative integer.
        first_index: Index of the first image, for batches of a larger set.

    Raises:
        ValueError: `seed` or `first_index` not a whole number of at least 0.
    """
    validate_count(seed, "seed")
    validate_count(first_index, "first_index")
    return (np.random.default_rng([seed, first_index + place]) for place in range(count))


def as_floats(images):
    """A copy of the images in which a result can be computed."""
    return np.array(images, np.result_type(images.dtype, "float32"))


def as_dtype(images, dtype):
    """The result as what came in; integers are rounded."""
    if np.issubdtype(dtype, np.integer):
        return np.rint(images).astype(dtype)
    return images.astype(dtype, copy=False)
