"""The exact 1-medoid under the Euclidean distance."""

import hashlib
import math

import numpy as np
from sklearn.metrics import pairwise_distances

from kerasft.medoids.k_medoids import k_medoids
from kerasft.progress import track


def euclidean_medoid(points, memory=2**30):
    """The 1-medoid: the point with the smallest summed distance to all others.

    While the matrix of all distances fits into `memory`, together with the
    points in double precision, k-medoids of scikit-learn-extra (or kmedoids)
    finds it. Beyond, sums of distances are computed block by block: in single
    precision for all points, half of the blocks by symmetry, then in double
    precision for the few that come close to the smallest. Every sum carries a
    bound of its rounding error, and only points that are surely worse than
    another are dropped. Both ways end in the same comparison of exactly summed
    distances, so both give the same index.

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
        L. Kaufman, P. Rousseeuw, *Clustering by means of medoids*, 1987; N.
        Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, Section
        3.1 (the error of an inner product).
    """
    points = np.asarray(points)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"Expected points of shape (points, values). Received: {points.shape}.")
    if points.dtype.kind == "f" and not np.isfinite(points).all():
        raise ValueError("Expected finite points. Received: NaN or infinity.")
    count, width = points.shape
    # Distances are there twice inside of k-medoids.
    if 16 * count**2 + 8 * count * width <= memory:
        rows = _Rows(points, count, "float64")
        distances = pairwise_distances(rows[:])
        sums = distances.sum(axis=1)
        errors = np.array([rows.errors(i, slice(None), distances[i]).sum() for i in range(count)])
        smallest = (sums + errors)[k_medoids(distances, 1)[0]]
        near = np.flatnonzero(sums - errors <= smallest)
    else:
        size = _block_size(width, memory)
        sums, errors = _sums_of_all(_Rows(points, size, "float32"), size)
        near = _first_copies(points, np.flatnonzero(sums - errors <= (sums + errors).min()))
        sums, errors = _sums_of(_Rows(points, size, "float64"), near, size)
        near = near[sums - errors <= (sums + errors).min()]
    return _exact_minimum(points, _first_copies(points, near))


class _Rows:
    """Points around their mean, the largest of length one, in one precision.

    There the squared distance |a|² + |b|² − 2ab loses the fewest digits.
    """

    def __init__(self, points, size, dtype):
        blocks = [slice(start, start + size) for start in range(0, len(points), size)]
        mean = sum(points[b].sum(axis=0, dtype="float64") for b in blocks) / len(points)
        squares = np.concatenate([_squares(points[b] - mean) for b in blocks])
        self._points, self._mean = points, mean
        self._scale = math.sqrt(squares.max()) or 1.0
        self._dtype = np.dtype(dtype)
        self.squares = (squares / self._scale**2).astype(dtype)
        limits = np.finfo(dtype)
        # Of two squares and an inner product with their rounded factors,
        # relative to |a|² + |b|².
        self._relative_error = self._dtype.type((points.shape[1] + 16) * limits.eps)
        self._smallest = limits.tiny * points.shape[1]

    def __len__(self):
        return len(self._points)

    def __getitem__(self, part):
        return ((self._points[part] - self._mean) / self._scale).astype(self._dtype)

    def distances(self, first, rows, second, columns):
        """Distances of two blocks, and bounds of their errors."""
        squared = rows @ columns.T
        squared *= -2
        squared += self.squares[first, np.newaxis]
        squared += self.squares[second]
        np.maximum(squared, 0, out=squared)
        distances = np.sqrt(squared, out=squared)
        return distances, self.errors(first, second, distances)

    def errors(self, first, second, distances):
        """Bounds of the errors of distances."""
        errors = np.add.outer(self.squares[first], self.squares[second])
        errors *= self._relative_error
        errors += self._smallest
        # An error e of the square is one of e / d of the distance d, and of
        # √e where d is next to nothing.
        errors /= np.maximum(distances, np.sqrt(errors))
        return errors


def _sums_of_all(rows, size):
    """Summed distances of all points and their error bounds, by blocks."""
    starts = range(0, len(rows), size)
    blocks = [slice(start, start + size) for start in starts]
    totals = np.zeros((2, len(rows)))
    for i in track(range(len(blocks)), len(blocks), "Finding the exemplar"):
        block = rows[blocks[i]]
        for j in range(i, len(blocks)):
            other = block if i == j else rows[blocks[j]]
            for total, values in zip(
                totals, rows.distances(blocks[i], block, blocks[j], other), strict=True
            ):
                total[blocks[i]] += values.sum(axis=1, dtype="float64")
                if i != j:
                    total[blocks[j]] += values.sum(axis=0, dtype="float64")
    return totals


def _sums_of(rows, chosen, size):
    """The same for chosen points."""
    totals = np.zeros((2, len(chosen)))
    for first in range(0, len(chosen), size):
        part = chosen[first : first + size]
        block = rows[part]
        for start in range(0, len(rows), size):
            other = slice(start, start + size)
            for total, values in zip(
                totals, rows.distances(part, block, other, rows[other]), strict=True
            ):
                total[first : first + size] += values.sum(axis=1)
    return totals


def _first_copies(points, chosen):
    """The chosen points without copies of earlier ones, which cannot come before them."""
    first = {}
    for index in chosen:
        first.setdefault(hashlib.sha256(points[index].tobytes()).digest(), index)
    return np.array(list(first.values()))


def _exact_minimum(points, candidates):
    """The candidate with the smallest correctly rounded sum; the lowest of several."""
    best, smallest = None, math.inf
    for index in candidates:
        total = math.fsum(
            distance
            for start in range(0, len(points), 256)
            for distance in np.sqrt(
                _squares(points[start : start + 256] - points[index].astype("float64"))
            )
        )
        if total < smallest:
            best, smallest = int(index), total
    return best


def _squares(rows):
    return np.einsum("ij,ij->i", rows, rows)


def _block_size(width, memory):
    """Rows in a block so that two blocks and their distances take half of `memory`."""
    # Each value is there in double precision and once more while it is made.
    rows = memory / 2 / (8 * 3 * width)
    return int(min(max(rows, 1), 4096, math.sqrt(memory / 2 / (8 * 4))) or 1)
