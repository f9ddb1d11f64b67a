import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft import borda_count

DISTANCES = {
    "distinct": st.floats(0, 100, width=32),
    "tied": st.sampled_from([0.0, 0.0, 0.5, 1.0]),
}


@pytest.mark.parametrize("filters", [1, 2, 9, 10, 11, 30])
@pytest.mark.parametrize("kind", DISTANCES)
@given(data=st.data())
def test_points_are_those_of_algorithm_1(literal_borda, filters, kind, data):
    images = data.draw(st.integers(1, 6))
    distances = data.draw(
        arrays.arrays("float64", (images, filters), elements=DISTANCES[kind], fill=st.nothing())
    )
    points = borda_count(distances)
    assert points.dtype == np.int64
    assert points.tolist() == literal_borda(distances.tolist())
    assert points.sum() == images * sum(range(10, 0, -1)[:filters])


def test_votes_of_parts_add_up():
    distances = np.random.default_rng(0).integers(0, 5, (20, 12))
    parts = borda_count(distances[:7]) + borda_count(distances[7:])
    np.testing.assert_array_equal(parts, borda_count(distances))


def test_distances_of_any_number_type_count_alike():
    distances = np.array([[3, 0, 2], [1, 0, 7]])
    for dtype in ("uint8", "int64", "float16", "float64"):
        assert borda_count(distances.astype(dtype)).tolist() == [19, 16, 19]


def test_no_images_give_no_points():
    assert borda_count(np.zeros((0, 4))).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "distances",
    [[1.0, 2.0], [[[1.0]]], np.zeros((3, 0)), [[np.nan, 1.0]], [[np.inf, 1.0]]],
    ids=["vector", "cube", "no filters", "NaN", "infinity"],
)
def test_what_is_not_a_matrix_of_distances_is_refused(distances):
    with pytest.raises(ValueError, match=r"^Expected finite distances of shape .* Received: shape"):
        borda_count(distances)
