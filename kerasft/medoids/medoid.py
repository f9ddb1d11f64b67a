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
    # Distances are there twice, inside of k-medoids and for the bounds.
    if 16 * count**2 + 8 * count * width <= memory:
        rows = _Rows(points, count, "float64")
        distances = pairwise_distances(rows[:])
        sums = distances.sum(axis=1)
        errors = rows.sums(slice(None), slice(None), distances)[1]
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
    """Points around their mean, of length one at most, in one precision.

    There the squared distance |a|² + |b|² − 2ab loses the fewest digits.
    """

    def __init__(self, points, size, dtype):
        blocks = [slice(start, start + size) for start in range(0, len(points), size)]
        mean = sum(points[b].sum(axis=0, dtype="float64") for b in blocks) / len(points)
        self._points, self._dtype = points, np.dtype(dtype)
        # Pixels of 8 bits are exact in single precision, other numbers may need double.
        self._mean = mean.astype(np.result_type(points.dtype, dtype))
        squares = np.concatenate([_squares(points[b] - self._mean) for b in blocks])
        # By a power of two nothing is rounded.
        self._shrink = 0.5 ** math.ceil(math.log2(math.sqrt(squares.max()) or 1.0))
        self.squares = np.concatenate([_squares(self[b]) for b in blocks]).astype(dtype)
        limits = np.finfo(dtype)
        # Of an inner product of so many values, with rounded factors.
        self._relative_error = (points.shape[1] + 16) * limits.eps
        self._smallest = limits.tiny * points.shape[1]
        # Of a sum over a block.
        self._sum_error = size * limits.eps

    def __len__(self):
        return len(self._points)

    def __getitem__(self, part):
        rows = self._points[part] - self._mean
        rows *= self._shrink
        return rows.astype(self._dtype, copy=False)

    def left(self, part):
        """Rows whose products with those of `right` are squared distances."""
        rows = self[part]
        return np.column_stack([rows * -2, self.squares[part], np.ones_like(rows[:, 0])])

    def right(self, part):
        """See `left`."""
        rows = self[part]
        return np.column_stack([rows, np.ones_like(rows[:, 0]), self.squares[part]])

    def sums(self, first, second, distances):
        """Sums of a block of distances over `second`, and bounds of their errors.

        The square of a distance d errs by e = r (|a|² + |b|²) at most, so d
        errs by e / d, and by √e where d is next to nothing: by e / max(d, f)
        for any f up to √e.
        """
        floor = np.sqrt(self._relative_error * self.squares[first] + self._smallest)
        inverse = np.maximum(distances, floor[:, np.newaxis].astype(self._dtype))
        np.reciprocal(inverse, out=inverse)
        ones = np.ones_like(self.squares[second])
        totals = (distances @ ones).astype("float64")
        errors = self.squares[first] * (inverse @ ones) + inverse @ self.squares[second]
        errors = errors * self._relative_error + (inverse @ ones) * self._smallest
        return totals, errors * (1 + self._sum_error) + totals * self._sum_error


def _distances(left, right):
    squared = left @ right.T
    np.maximum(squared, 0, out=squared)
    return np.sqrt(squared, out=squared)


def _sums_of_all(rows, size):
    """Summed distances of all points and their error bounds, by blocks."""
    blocks = [slice(start, start + size) for start in range(0, len(rows), size)]
    totals = np.zeros((2, len(rows)))
    for i in track(range(len(blocks)), len(blocks), "Finding the exemplar"):
        left = rows.left(blocks[i])
        for j in range(i, len(blocks)):
            distances = _distances(left, rows.right(blocks[j]))
            totals[:, blocks[i]] += rows.sums(blocks[i], blocks[j], distances)
            if i != j:
                totals[:, blocks[j]] += rows.sums(blocks[j], blocks[i], distances.T)
    return totals


def _sums_of(rows, chosen, size):
    """The same for chosen points."""
    totals = np.zeros((2, len(chosen)))
    for first in range(0, len(chosen), size):
        part = chosen[first : first + size]
        left = rows.left(part)
        for start in range(0, len(rows), size):
            other = slice(start, start + size)
            totals[:, first : first + size] += rows.sums(
                part, other, _distances(left, rows.right(other))
            )
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
    return np.einsum("ij,ij->i", rows, rows, dtype="float64")


def _block_size(width, memory):
    """Rows in a block so that two blocks and their distances take half of `memory`."""
    # Each value is there in double precision and once more while it is made.
    # Larger blocks than these do not stay in a processor's cache.
    rows = memory / 2 / (8 * 4 * width)
    return max(1, int(min(rows, 2048, math.sqrt(memory / 2 / (8 * 4)))))
