"""The sorted-sample earth mover's distance on the host: in blocks, by all threads."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasft.backend import available_threads

# What is sorted together: less costs calls, more only memory.
_BLOCK_VALUES = 98_304
# Below this, threads cost more than they save.
_VALUES_WORTH_THREADS = 1_000_000
# NumPy 2's sort is fast on equal values by itself.
_EQUAL_VALUES_SORT_SLOWLY = np.lib.NumpyVersion(np.__version__) < "2.0.0"


def sorted_distances(clean, distorted):
    """Mean absolute difference of the sorted values of each feature map.

    Args:
        clean: `(images, values, filters)`, real numbers; what float32 does not
            hold is taken as float64.
        distorted: The same shape.

    Returns:
        `(images, filters)`, float64.
    """
    images, values, filters = clean.shape
    distances = np.empty((images, filters))
    if not images:
        return distances
    width = min(filters, max(1, _BLOCK_VALUES // values))
    # A list iterator: its `next` is safe to call from several threads.
    blocks = iter(list(itertools.product(range(images), range(0, filters, width))))
    single = np.result_type(clean.dtype, distorted.dtype, np.float32) == np.float32
    dtype = np.float32 if single else np.float64

    def work(_):
        # Memory that is used again: fresh pages would cost more than sorting.
        sides: np.ndarray = np.empty((2, width, values), dtype)
        differences = np.empty((width, values))
        zeros = _ZerosApart(width, values) if dtype == np.float32 else None
        with np.errstate(invalid="ignore"):
            for image, start in blocks:
                part = slice(start, start + width)
                size = min(width, filters - start)
                for side, maps in zip(sides, (clean, distorted), strict=True):
                    np.copyto(side[:size], maps[image, :, part].T, casting="unsafe")
                    _sort(side[:size], zeros)
                # Differences in double precision, as SciPy's; sorting is exact in single.
                difference = differences[:size]
                np.copyto(difference, sides[0, :size])
                difference -= sides[1, :size]
                np.abs(difference, out=difference)
                difference.mean(axis=-1, out=distances[image, part])

    threads = available_threads() if clean.size >= _VALUES_WORTH_THREADS else 1
    if threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    return distances


def _sort(maps, zeros):
    """Sort the values of each row in place."""
    if zeros is not None and _EQUAL_VALUES_SORT_SLOWLY:
        bits = maps.view(np.int32)
        # As integers, floats without a sign bit sort as they do as floats.
        if bits.min() == 0:
            zeros.sort(bits)
            return
    maps.sort(axis=-1)


class _ZerosApart:
    """Sorts the bits of maps of a ReLU, half of whose values are the same zero.

    NumPy 1's vectorized quicksort takes several times longer for equal values.
    Each zero is replaced by a negative number of its own, and put back behind
    the sort.
    """

    def __init__(self, rows, values):
        self._numbers = np.arange(-1, -1 - values, -1, dtype=np.int32)
        self._is_zero = np.empty((rows, values), bool)
        self._replacements = np.empty((rows, values), np.int32)

    def sort(self, bits):
        is_zero, replacements = self._is_zero[: len(bits)], self._replacements[: len(bits)]
        np.equal(bits, 0, out=is_zero)
        np.copyto(replacements, is_zero)
        replacements *= self._numbers
        bits += replacements
        bits.sort(axis=-1)
        np.maximum(bits, 0, out=bits)
