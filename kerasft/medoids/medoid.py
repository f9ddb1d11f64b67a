"""The exact 1-medoid under the Euclidean distance."""

import math

import numpy as np
from sklearn.metrics import pairwise_distances

from kerasft.medoids.k_medoids import k_medoids
from kerasft.progress import track

# Sums of distances that single precision puts further apart than this share
# are really different.
_SCREENING = 1e-3
_REFINING = 1e-6


def euclidean_medoid(points, memory=2**30):
    """The 1-medoid: the point with the smallest summed distance to all others.

    While the matrix of all distances fits into `memory`, together with the
    points in double precision, k-medoids of scikit-learn-extra (or kmedoids)
    finds it. Beyond, sums of distances are computed block by block: in single
    precision for all points, half of the blocks by symmetry, then in double
    precision for the few that come close to the smallest. Both ways end in the
    same comparison of exactly summed distances, so both give the same index.

    Args:
        points: `(points, values)`, real numbers; at least one point.
        memory: Bytes to use beside the points.

    Returns:
        The index of the medoid; of several, the lowest.

    Raises:
        ValueError: No points, or NaN or infinity.

    Example:

    >>> from kerasft.medoids import euclidean_medoid
    >>> euclidean_medoid([[0.0], [1.0], [5.0]])
    1

    Reference:
        L. Kaufman, P. Rousseeuw, *Clustering by means of medoids*, 1987.
    """
    points = np.asarray(points)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"Expected points of shape (points, values). Received: {points.shape}.")
    if points.dtype.kind == "f" and not np.isfinite(points).all():
        raise ValueError("Expected finite points. Received: NaN or infinity.")
    # The matrix and the points, both in double precision.
    if 8 * len(points) * (len(points) + points.shape[1]) <= memory:
        distances = pairwise_distances(points.astype("float64"))
        sums = distances.sum(axis=1)
        smallest = sums[k_medoids(distances, 1)[0]]
    else:
        sums = _approximate_sums(points, memory)
        near = np.flatnonzero(sums <= sums.min() * (1 + _SCREENING))
        sums = np.full(len(points), np.inf)
        sums[near] = _sums_of(points, near, memory)
        smallest = sums.min()
    candidates = np.flatnonzero(sums <= smallest * (1 + _REFINING))
    return _exact_minimum(points, candidates)


def _approximate_sums(points, memory):
    """Summed distances of all points in single precision, block by block."""
    count, width = points.shape
    # Two blocks of points and one of distances with its temporaries.
    size = _block_size(width, memory, bytes_per_value=4)
    mean = np.zeros(width)
    for start in range(0, count, size):
        mean += points[start : start + size].sum(axis=0, dtype="float64")
    # Around their mean, points lose the fewest digits.
    mean = (mean / count).astype("float32")
    blocks = [slice(start, start + size) for start in range(0, count, size)]
    squares = np.concatenate([_norms(points[b].astype("float32") - mean) for b in blocks])
    sums = np.zeros(count)
    for i in track(range(len(blocks)), len(blocks), "Finding the exemplar"):
        rows = points[blocks[i]].astype("float32") - mean
        for j in range(i, len(blocks)):
            columns = rows if i == j else points[blocks[j]].astype("float32") - mean
            distances = rows @ columns.T
            distances *= -2
            distances += squares[blocks[i], np.newaxis]
            distances += squares[blocks[j]]
            np.maximum(distances, 0, out=distances)
            np.sqrt(distances, out=distances)
            sums[blocks[i]] += distances.sum(axis=1, dtype="float64")
            if i != j:
                sums[blocks[j]] += distances.sum(axis=0, dtype="float64")
    return sums


def _sums_of(points, chosen, memory):
    """Summed distances of chosen points in double precision, by blocks."""
    size = _block_size(points.shape[1], memory, bytes_per_value=8)
    sums = np.zeros(len(chosen))
    for first in range(0, len(chosen), size):
        rows = points[chosen[first : first + size]].astype("float64")
        for start in range(0, len(points), size):
            columns = points[start : start + size].astype("float64")
            sums[first : first + size] += pairwise_distances(rows, columns).sum(axis=1)
    return sums


def _exact_minimum(points, candidates):
    """The candidate with the smallest correctly rounded sum; the lowest of several."""
    best, smallest, seen = None, math.inf, set()
    for index in candidates:
        point = points[index].astype("float64")
        # A copy of an earlier candidate cannot come before it.
        key = point.tobytes()
        if key in seen:
            continue
        seen.add(key)
        total = math.fsum(
            distance
            for start in range(0, len(points), 256)
            for distance in _distances_to(points[start : start + 256], point)
        )
        if total < smallest:
            best, smallest = int(index), total
    return best


def _distances_to(points, point):
    differences = points.astype("float64") - point
    return np.sqrt(_norms(differences))


def _norms(points):
    return np.einsum("ij,ij->i", points, points)


def _block_size(width, memory, bytes_per_value):
    """Rows in a block so that two blocks and their distances take half of `memory`."""
    rows = memory / 2 / (bytes_per_value * 3 * width)
    return int(min(max(rows, 1), 4096, math.sqrt(memory / 2 / (bytes_per_value * 3))) or 1)
