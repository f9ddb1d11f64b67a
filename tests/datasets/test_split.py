import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.datasets import digits, stratified_split


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    size=st.integers(1, 59),
    seed=st.integers(0, 1000),
)
def test_parts_are_disjoint_sorted_and_whole(labels, size, seed):
    size = min(size, len(labels) - 1)
    first, second = stratified_split(labels, size, seed)
    assert len(second) == size
    assert first.dtype == second.dtype == np.int64
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert (np.diff(first) > 0).all()
    assert (np.diff(second) > 0).all()


def test_shares_of_classes_are_kept_to_the_row():
    labels = np.repeat([0, 1, 2], [600, 300, 100])[np.random.default_rng(0).permutation(1000)]
    for size in (10, 100, 333, 990):
        _, second = stratified_split(labels, size)
        expected = np.array([0.6, 0.3, 0.1]) * size
        assert (np.abs(np.bincount(labels[second]) - expected) <= 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_of_two_images_of_a_class_each_part_has_one_where_it_has_just_room(seed):
    labels = np.array([0, 1, 2, 2, 1, 0])
    for rows in stratified_split(labels, 3, seed):
        assert sorted(labels[rows]) == [0, 1, 2]


def test_an_image_alone_in_its_class_leaves_the_shares_of_the_others():
    labels = np.append(np.repeat(np.arange(10), 100), [10, 12])
    drawn = [stratified_split(labels, 30, seed)[1] for seed in range(40)]
    for rows in drawn:
        assert (np.abs(np.bincount(labels[rows])[:10] - 3) <= 1).all()
    # It is drawn now and then.
    assert 0 < sum(1000 in rows for rows in drawn) < 10


def test_split_is_that_of_the_seed():
    labels = digits()[1]
    first, second = stratified_split(labels, 200, seed=1)
    again = stratified_split(labels, 200, seed=1)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    for default, zero in zip(
        stratified_split(labels, 200), stratified_split(labels, 200, seed=0), strict=True
    ):
        np.testing.assert_array_equal(default, zero)
    assert len(np.intersect1d(second, stratified_split(labels, 200, seed=2)[1])) < 60


@pytest.mark.parametrize(
    ("labels", "size"), [([0, 1], 1), ([0, 0, 0, 1], 2), (list(range(10)), 4), ([0, 0, 1, 1], 1)]
)
def test_set_too_small_for_shares_is_split_at_random(labels, size):
    first, second = stratified_split(labels, size)
    assert (len(first), len(second)) == (len(labels) - size, size)


@pytest.mark.parametrize("size", [0, -1, 6, 7, 0.5, 2.0, None, "2"])
def test_size_that_leaves_nothing_or_is_no_number_of_rows_is_refused(size):
    with pytest.raises(ValueError, match=r"^Expected a size from 1 to 5 for 6 rows\. Received: "):
        stratified_split([0, 0, 0, 1, 1, 1], size)


def test_one_hot_labels_are_refused():
    with pytest.raises(ValueError, match=r"^Expected labels of shape \(n,\)\. Received: \(6, 2\)"):
        stratified_split(np.zeros((6, 2)), 2)
