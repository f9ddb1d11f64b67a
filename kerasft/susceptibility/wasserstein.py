import math

import numpy as np
import scipy.stats


def wasserstein_distances(clean, distorted, method="sorted"):
    """Earth mover's distance of each feature map between two versions of images.

    The distance between the distributions of the values of a feature map,
    wherever in the map they stand: `scipy.stats.wasserstein_distance(
    clean.ravel(), distorted.ravel())` for each image and filter.

    Args:
        clean: Feature maps of clean images, `(images, ..., filters)`, any
            real floating dtype and range.
        distorted: Feature maps of the distorted images, the same shape.
        method: `"sorted"` takes the mean difference of the sorted values,
            which is the same distance for samples of equal size; `"scipy"`
            calls `scipy.stats.wasserstein_distance` for each map, the
            reference (some tens of times slower).

    Returns:
        Distances `(images, filters)`, float64, at least 0, in the units of the
        feature maps; NaN where a map holds NaN or an infinity.

    Raises:
        ValueError: Different shapes, maps without values, unknown `method`.

    Example:

    >>> import numpy as np
    >>> from kerasft.susceptibility import wasserstein_distances
    >>> clean = np.zeros((1, 4, 4, 2), "float32")
    >>> wasserstein_distances(clean, clean + [0.0, 3.0])
    array([[0., 3.]])

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2; Y. Rubner, C. Tomasi,
        L. J. Guibas, *A metric for distributions with applications to image
        databases*, ICCV 1998.
    """
    clean, distorted = np.asarray(clean), np.asarray(distorted)
    if clean.shape != distorted.shape or clean.ndim < 2 or 0 in clean.shape[1:]:
        raise ValueError(
            "Expected two arrays of feature maps of one shape (images, ..., filters). "
            f"Received: {clean.shape} and {distorted.shape}."
        )
    validate_method(method)
    clean, distorted = _values_last(clean), _values_last(distorted)
    if method == "scipy":
        distances = np.empty(clean.shape[:2])
        for index in np.ndindex(distances.shape):
            both = clean[index], distorted[index]
            finite = all(np.isfinite(values).all() for values in both)
            distances[index] = scipy.stats.wasserstein_distance(*both) if finite else np.nan
        return distances
    clean.sort(axis=-1)
    distorted.sort(axis=-1)
    # Differences in double precision, as SciPy's; sorting is exact in single.
    with np.errstate(invalid="ignore"):
        distances = np.abs(np.subtract(clean, distorted, dtype="float64")).mean(axis=-1)
    return np.where(np.isfinite(distances), distances, np.nan)


def validate_method(method):
    """Refuse what is not a method of `wasserstein_distances`."""
    if method not in ("sorted", "scipy"):
        raise ValueError(f"Expected method 'sorted' or 'scipy'. Received: {method!r}.")


def _values_last(maps):
    """A copy as `(images, filters, values)`, in a dtype that NumPy sorts fast."""
    dtype = "float64" if maps.dtype == np.float64 else "float32"
    values = maps.reshape(len(maps), math.prod(maps.shape[1:-1]), maps.shape[-1])
    values = np.moveaxis(values, -1, 1)
    return np.array(values, dtype=dtype, order="C")
