"""Mean and variance of values that come in parts are those of all values."""

import numpy as np
import pytest

from kerasft.moments import Moments


def _added(values, cuts):
    """Moments of `(images, positions, channels)` cut into batches."""
    moments = Moments()
    for part in np.split(values, cuts):
        moments.add(part.mean(axis=1), part.var(axis=1), part.shape[1])
    return moments


@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("cuts", [[], [1], [5, 6, 19], range(1, 20)])
def test_moments_of_parts_are_those_of_all_values(cuts, offset):
    rng = np.random.default_rng(0)
    values = offset + rng.normal(rng.normal(size=(20, 1, 3)), 0.5, (20, 7, 3))
    moments = _added(values, list(cuts))
    np.testing.assert_allclose(moments.mean, values.mean(axis=(0, 1)), rtol=1e-12, atol=1e-12)
    # A sum of squares would lose all digits at a large offset.
    np.testing.assert_allclose(moments.variance, values.var(axis=(0, 1)), rtol=1e-8)


def test_parts_of_different_sizes_count_by_their_values():
    rng = np.random.default_rng(0)
    small, large = rng.normal(0, 1, (4, 2, 3)), rng.normal(2, 3, (5, 11, 3))
    moments = Moments()
    for part in (small, large):
        moments.add(part.mean(axis=1), part.var(axis=1), part.shape[1])
    values = np.concatenate([small.reshape(-1, 3), large.reshape(-1, 3)])
    np.testing.assert_allclose(moments.mean, values.mean(axis=0))
    np.testing.assert_allclose(moments.variance, values.var(axis=0))
