"""Hamming distances of binary vectors that are kept as packed bits."""

import numpy as np

# Rows unpacked at a time are kept under this many bytes.
_CHUNK = 2**26


def hamming_medoid(packed):
    """The 1-medoid of binary vectors under the Hamming distance.

    Exact and linear in the number of vectors: a vector's summed distance to
    all others is, bit by bit, the number of vectors that differ from it there,
    which follows from how often the bit is set.

    Args:
        packed: `(vectors, bytes)`, uint8, as `numpy.packbits` gives; at least
            one vector.

    Returns:
        The index of the medoid; of several, the lowest.

    Example:

    >>> import numpy as np
    >>> from kerasft.medoids import hamming_medoid
    >>> bits = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 1]], "uint8")
    >>> hamming_medoid(np.packbits(bits, axis=1))
    1

    Reference:
        H. Warren, *Hacker's Delight*, 2013 (the distance); Bianchi et al.,
        arXiv 1904.03949, Section 4.4.
    """
    vectors, width = packed.shape
    rows = max(1, _CHUNK // (8 * 9 * width))
    chunks = [slice(start, start + rows) for start in range(0, vectors, rows)]
    ones = np.zeros(8 * width)
    for chunk in chunks:
        ones += np.unpackbits(packed[chunk], axis=1).sum(axis=0, dtype="int64")
    # Setting a bit adds the vectors without it and spares those with it.
    # Sums of whole numbers far below 2^53, so exact in any order.
    weights = vectors - 2 * ones
    sums = [np.unpackbits(packed[chunk], axis=1).astype("float64") @ weights for chunk in chunks]
    return int(np.argmin(np.concatenate(sums)))


def hamming_distances(a, b):
    """Hamming distances between two sets of binary vectors.

    Args:
        a: `(vectors, bytes)`, uint8, as `numpy.packbits` gives.
        b: `(other vectors, bytes)`, uint8.

    Returns:
        Numbers of differing bits `(vectors, other vectors)`, float64.
    """
    bits = 8 * a.shape[1]
    # Single precision counts exactly up to here.
    dtype = "float32" if bits <= 2**23 else "float64"
    rows = max(1, _CHUNK // (8 * bits))
    distances = np.empty((len(a), len(b)))
    for i in range(0, len(a), rows):
        left = np.unpackbits(a[i : i + rows], axis=1).astype(dtype)
        for j in range(0, len(b), rows):
            right = np.unpackbits(b[j : j + rows], axis=1).astype(dtype)
            both = left @ right.T
            distances[i : i + rows, j : j + rows] = (
                left.sum(axis=1)[:, np.newaxis] + right.sum(axis=1) - 2 * both
            )
    return distances
