import math

import keras
import numpy as np
import scipy.stats

from kerasft.backend import lives_on_host
from kerasft.susceptibility.model_input import validate_numbers
from kerasft.susceptibility.sorted_distances import sorted_distances


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
            reference (ten to forty times slower).

    Tensors on an accelerator, and those of a compiled function, stay where
    they are: `keras.ops.sort` does the work there, in single precision.

    Returns:
        Distances `(images, filters)`, at least 0, in the units of the feature
        maps; NaN where a map holds NaN or an infinity. A float64 array, for
        tensors that stay where they are a float32 tensor.

    Raises:
        ValueError: Different shapes, maps without values or of complex
            numbers, unknown `method`.

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
    on_host = lives_on_host(clean) and lives_on_host(distorted)
    if on_host:
        # PyTorch makes no array of a tensor that requires a gradient, nor of bfloat16.
        clean, distorted = (
            keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else np.asarray(x)
            for x in (clean, distorted)
        )
    # A compiled function may not know how many images it will get.
    shape, other = tuple(clean.shape), tuple(distorted.shape)
    if shape != other or len(shape) < 2 or 0 in shape[1:]:
        raise ValueError(
            "Expected two arrays of feature maps of one shape (images, ..., filters). "
            f"Received: {shape} and {other}."
        )
    validate_method(method)
    validate_numbers((clean, distorted), "feature maps")
    if on_host:
        flat = (shape[0], math.prod(shape[1:-1]), shape[-1])
        distances_of = sorted_distances if method == "sorted" else _scipy_distances
        distances = distances_of(clean.reshape(flat), distorted.reshape(flat))
        return np.where(np.isfinite(distances), distances, np.nan)
    if method == "scipy":
        raise ValueError(
            "Expected arrays on the host for method 'scipy'. Received: tensors on an accelerator "
            "or in a compiled function."
        )
    return _device_distances(clean, distorted)


def validate_method(method):
    """Refuse what is not a method of `wasserstein_distances`."""
    if method not in ("sorted", "scipy"):
        raise ValueError(f"Expected method 'sorted' or 'scipy'. Received: {method!r}.")


def _scipy_distances(clean, distorted):
    distances = np.empty((clean.shape[0], clean.shape[2]))
    for image, filter_ in np.ndindex(distances.shape):
        both = clean[image, :, filter_], distorted[image, :, filter_]
        finite = all(np.isfinite(values).all() for values in both)
        distances[image, filter_] = scipy.stats.wasserstein_distance(*both) if finite else np.nan
    return distances


def _device_distances(clean, distorted):
    ops = keras.ops

    def sort(maps):
        maps = ops.reshape(ops.cast(maps, "float32"), (ops.shape(maps)[0], -1, maps.shape[-1]))
        # Along the last axis, which backends sort fastest.
        return ops.sort(ops.swapaxes(maps, 1, 2), axis=-1)

    clean, distorted = sort(clean), sort(distorted)
    distances = ops.mean(ops.abs(ops.subtract(clean, distorted)), axis=-1)
    return ops.where(ops.isfinite(distances), distances, float("nan"))
