import numpy as np

POINTS = np.arange(10, 0, -1)


def borda_count(distances):
    """Borda count of the filters of one layer, the images being the voters.

    Each image gives 10 points to the filter with the largest distance, 9 to
    the next, … 1 to the tenth and 0 to the rest. Layers with fewer than ten
    filters get the first of these points. Filters at the same distance are
    taken in ascending order of their index.

    Args:
        distances: `(images, filters)`, the earth mover's distance of each
            feature map; finite.

    Returns:
        Points `(filters,)`, int64.

    Raises:
        ValueError: Not a matrix, without filters, or not finite.

    Example:

    >>> from kerasft.susceptibility import borda_count
    >>> borda_count([[0.1, 0.3, 0.2]])
    array([ 8, 10,  9])

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2 and Algorithm 1. The
        algorithm's `argsort` is read as descending, as its text demands.
    """
    distances = np.asarray(distances, "float64")
    if distances.ndim != 2 or distances.shape[1] == 0 or not np.isfinite(distances).all():
        raise ValueError(
            "Expected finite distances of shape (images, filters). "
            f"Received: shape {distances.shape}"
            f"{'' if np.isfinite(distances).all() else ' with NaN or infinity'}."
        )
    filters = distances.shape[1]
    ranked = np.argsort(-distances, axis=1, kind="stable")[:, : len(POINTS)]
    points = np.broadcast_to(POINTS[: ranked.shape[1]], ranked.shape)
    counts = np.bincount(ranked.ravel(), weights=points.ravel(), minlength=filters)
    return counts.astype("int64")
