"""Medoids against brute force and scikit-learn-extra."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kerasft.medoids import euclidean_medoid, hamming_distances, hamming_medoid, k_medoids

POINTS = arrays(
    st.sampled_from(["uint8", "float32", "float64"]),
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    # Few values, so that points and sums of distances often tie.
    elements=st.integers(0, 3),
)
BITS = arrays(
    "uint8",
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    elements=st.integers(0, 1),
)


def _brute_force(points):
    points = points.astype("float64").tolist()
    sums = [math.fsum(math.dist(a, b) for b in points) for a in points]
    return sums.index(min(sums))


@settings(deadline=None, max_examples=200)
@given(POINTS)
def test_both_ways_give_the_index_of_brute_force(points):
    assert euclidean_medoid(points) == _brute_force(points)
    assert euclidean_medoid(points, memory=64) == _brute_force(points)


@settings(deadline=None, max_examples=50)
@given(POINTS, st.integers(0, 2**32 - 1))
def test_real_valued_points(points, seed):
    noisy = points + np.random.default_rng(seed).normal(size=points.shape)
    assert euclidean_medoid(noisy) == _brute_force(noisy)
    assert euclidean_medoid(noisy, memory=64) == _brute_force(noisy)


@pytest.mark.parametrize("memory", [0, 1, 63])
def test_memory_for_no_block_is_that_for_one_row(memory):
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert euclidean_medoid(points, memory=memory) == _brute_force(points)


def test_blocks_agree_with_scikit_learn_extra_on_images():
    cluster = pytest.importorskip(
        "sklearn_extra.cluster", reason="scikit-learn-extra needs NumPy 1", exc_type=ImportError
    )
    for seed in range(5):
        points = np.random.default_rng(seed).integers(0, 256, (300, 192), "uint8")
        engine = cluster.KMedoids(n_clusters=1, random_state=0).fit(points.astype("float64"))
        assert euclidean_medoid(points, memory=2**16) == engine.medoid_indices_[0]


def test_blocks_are_right_far_from_the_origin():
    # In single precision these would lose all their digits.
    points = 1e6 + np.random.default_rng(0).normal(size=(60, 5))
    assert euclidean_medoid(points, memory=64) == _brute_force(points)


@pytest.mark.parametrize("offset", [1e7, 1e8, -1e12])
def test_both_ways_are_right_far_from_the_origin(offset):
    points = offset + np.random.default_rng(0).normal(size=(60, 5))
    assert euclidean_medoid(points) == _brute_force(points)
    assert euclidean_medoid(points, memory=64) == _brute_force(points)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_points(scale):
    points = scale * np.random.default_rng(1).normal(size=(40, 6))
    assert euclidean_medoid(points) == _brute_force(points)
    assert euclidean_medoid(points, memory=64) == _brute_force(points)


def test_many_copies_of_two_wide_points():
    # Single precision sees a distance between copies, and all of them err to
    # one side; the majority must win still.
    points = np.full((1801, 3072), 100, "uint8")
    points[:900] = 103
    assert euclidean_medoid(points, memory=2**24) == 900


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 40, 255]),
)
def test_copies_of_wide_points(copies, seed, spread):
    kinds = np.random.default_rng(seed).integers(0, spread + 1, (5, 3072)).astype("uint8")
    points = kinds[copies]
    between = np.sqrt(((kinds[:, np.newaxis].astype("float64") - kinds) ** 2).sum(axis=-1))
    sums = [math.fsum(between[i, j] for j in copies) for i in copies]
    assert euclidean_medoid(points, memory=2**18) == sums.index(min(sums))


def test_equal_points_give_the_first():
    points = np.full((30, 4), 7, "uint8")
    assert euclidean_medoid(points) == 0
    assert euclidean_medoid(points, memory=64) == 0
    assert hamming_medoid(points) == 0


def test_of_two_points_the_first_is_the_medoid():
    assert euclidean_medoid(np.array([[5.0], [1.0]])) == 0


def test_a_single_point_is_its_own_medoid():
    assert euclidean_medoid(np.array([[3.0, 4.0]])) == 0
    assert hamming_medoid(np.array([[3]], "uint8")) == 0


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), r"Received: \(0, 3\)"),
        (np.zeros((3, 0)), r"Received: \(3, 0\)"),
        (np.zeros(3), r"Received: \(3,\)"),
        (np.array([[np.nan]]), "NaN or infinity"),
        (np.array([[np.inf], [0]]), "NaN or infinity"),
    ],
)
def test_bad_points(points, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        euclidean_medoid(points)


@settings(deadline=None, max_examples=100)
@given(BITS)
def test_hamming_is_exact(bits):
    packed = np.packbits(bits, axis=1)
    distances = [[sum(x != y for x, y in zip(a, b, strict=True)) for b in bits] for a in bits]
    np.testing.assert_array_equal(hamming_distances(packed, packed), distances)
    sums = [sum(row) for row in distances]
    assert hamming_medoid(packed) == sums.index(min(sums))


def test_hamming_distances_of_more_than_one_chunk():
    generator = np.random.default_rng(0)
    a, b = (generator.integers(0, 256, (n, 4000), "uint8") for n in (300, 270))
    differing = np.unpackbits(a[:, np.newaxis, :50] ^ b[:, :50], axis=2).sum(axis=2)
    a[:, 50:] = b[0, 50:]
    b[:, 50:] = b[0, 50:]
    np.testing.assert_array_equal(hamming_distances(a, b), differing)


def test_k_medoids_of_separate_groups():
    generator = np.random.default_rng(0)
    groups = [generator.normal(center, 1, (20, 2)) for center in (0, 50, 100)]
    points = np.concatenate(groups)
    distances = np.linalg.norm(points[:, np.newaxis] - points, axis=-1)
    found = k_medoids(distances, 3)
    expected = [20 * i + _brute_force(group) for i, group in enumerate(groups)]
    assert found == expected


def test_the_engine_is_the_one_installed():
    from importlib.util import find_spec

    modules = ("sklearn_extra", "kmedoids")
    installed = [name for name in modules if find_spec(name) is not None]
    assert installed
    if int(np.__version__.partition(".")[0]) >= 2:
        assert "sklearn_extra" not in installed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert k_medoids(np.array([[0.0, 1.0], [1.0, 0.0]]), 2) == [0, 1]
