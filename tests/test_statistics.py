import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.statistics import mean_interval, proportion_interval


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_mean_interval_is_students(values):
    mean, low, high = mean_interval(values)
    n = len(values)
    center = sum(values) / n
    deviation = math.sqrt(sum((value - center) ** 2 for value in values) / (n - 1))
    # Two-sided 95% quantiles from the printed tables.
    table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201]
    half = table[n - 2] * deviation / math.sqrt(n)
    assert mean == pytest.approx(center)
    assert (low, high) == pytest.approx((center - half, center + half), abs=1e-3 * half + 1e-12)


def test_one_value_has_a_mean_without_interval():
    mean, low, high = mean_interval([0.7])
    assert mean == 0.7
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_mean_interval_covers_as_often_as_it_says(level):
    runs = np.random.default_rng(0).normal(3.0, 2.0, (2000, 5))
    covered = np.mean(
        [low < 3.0 < high for _, low, high in (mean_interval(r, level) for r in runs)]
    )
    assert covered == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 2000))


@given(trials=st.integers(1, 5000), share=st.floats(0, 1))
def test_proportion_interval_is_wilsons(trials, share):
    successes = round(share * trials)
    low, high = proportion_interval(successes, trials)
    z, p = 1.959963984540054, successes / trials
    center = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    assert (low, high) == pytest.approx((center - half, center + half), abs=1e-9)
    assert 0 <= low <= p <= high <= 1


def test_higher_confidence_is_wider():
    narrow, wide = proportion_interval(70, 100, 0.9), proportion_interval(70, 100, 0.99)
    assert wide[0] < narrow[0] < 0.7 < narrow[1] < wide[1]
