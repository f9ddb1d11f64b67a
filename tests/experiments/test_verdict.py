"""The rule by which a difference is judged, case by case."""

import itertools

import pandas as pd
import pytest

from kerasft.experiments.verdict import HOLDS, NOT, OPEN, PARTLY, judge_difference


def _rows(cells):
    """Differences of each cell, seed by seed."""
    return pd.DataFrame(
        [
            {"distortion": "blur:1", "size": size, "seed": seed, "difference": value}
            for size, values in enumerate(cells)
            for seed, value in enumerate(values)
            if value is not None
        ]
    )


@pytest.mark.parametrize(
    ("cells", "margin", "verdict"),
    [
        ([(0.02, 0.021, 0.022)], 0, HOLDS),
        ([(-0.02, -0.021, -0.022)], 0, NOT),
        # What holds one way does not hold the other way, or holds in part both ways.
        ([(0.05, 0.01, -0.03)], 0, OPEN),
        ([(-0.05, -0.01, 0.03)], 0, OPEN),
        # One cell against it in the mean, though not surely.
        ([(0.05, 0.051, 0.052), (-0.01, 0.005, -0.01)], 0, PARTLY),
        # Surely less on average, but surely more somewhere.
        ([(-0.05, -0.051, -0.052), (0.01, 0.011, 0.012)], 0, PARTLY),
        # Surely on both sides, nothing on average.
        ([(-0.02, -0.021, -0.022), (0.0205, 0.021, 0.0215)], 0, PARTLY),
        # One seed says nothing.
        ([(0.02,), (0.03,)], 0, OPEN),
        ([], 0, OPEN),
        # Nearly as good counts where a margin is given.
        ([(-0.004, -0.005, -0.006)], 0, NOT),
        ([(-0.004, -0.005, -0.006)], 0.01, HOLDS),
        ([(-0.02, -0.021, -0.022)], 0.01, NOT),
        # A cell that only one seed has does not count, nor does that seed count alone.
        ([(0.03, 0.03, 0.03), (0.5, None, None)], 0, HOLDS),
        ([(0.03, 0.03), (0.5, None), (0.5, None), (0.5, None)], 0, HOLDS),
        # Two seeds have no cell in common.
        ([(0.03, None), (None, 0.03)], 0, OPEN),
    ],
)
def test_verdict(cells, margin, verdict):
    rows = _rows(cells) if cells else _rows([(1.0,)]).iloc[:0]
    assert judge_difference(rows, margin)[1] == verdict


def test_unfinished_cells_do_not_move_the_mean():
    whole = _rows([(0.03, 0.031, 0.032), (0.01, 0.011, 0.012)])
    more = pd.concat([whole, _rows([(0.5,)]).assign(size=7)])
    assert judge_difference(more) == judge_difference(whole)
    assert judge_difference(whole)[0].startswith("+2.1 (+1.9 to +2.3) points in the mean of 2 ")


def test_a_seed_that_has_been_begun_does_not_take_the_place_of_all_cells():
    whole = _rows([(0.03, 0.031, 0.032), (0.01, 0.011, 0.012), (-0.02, -0.02, -0.021)])
    begun = pd.DataFrame([{"distortion": "blur:1", "size": 0, "seed": 3, "difference": 0.5}])
    assert judge_difference(pd.concat([whole, begun])) == judge_difference(whole)
    # Nor do two of three.
    begun = pd.concat([begun, begun.assign(size=1)])
    assert judge_difference(pd.concat([whole, begun])) == judge_difference(whole)


def test_a_third_seed_is_worth_some_cells():
    rows = _rows([(0.018, 0.026, 0.022)] * 5 + [(0.018, 0.026)] * 3)
    text, verdict = judge_difference(rows)
    assert text.startswith("+2.2 (+1.2 to +3.2) points in the mean of 5 ")
    assert verdict == HOLDS


def test_every_distortion_needs_a_finished_cell():
    rows = _rows([(0.03, 0.031, 0.032)])
    other = _rows([(0.03,)]).assign(distortion="awgn:15")
    assert judge_difference(rows, distortions=["blur:1"])[1] == HOLDS
    both = pd.concat([rows, other])
    text, verdict = judge_difference(both, distortions=["blur:1", "awgn:15", "blur:1.5"])
    assert verdict == OPEN
    assert text.startswith("+3.1 ")
    # The other distortion has no finished cell.
    assert "; blur:1 +3.1 (+2.9 to +3.3); too few" in text
    assert text.endswith("; too few runs under awgn:15, blur:1.5")
    assert judge_difference(both, distortions=["awgn:15"])[1] == OPEN


def test_a_mean_of_two_distortions_does_not_hide_that_they_differ():
    rows = _rows([(0.03, 0.031, 0.032), (0.05, 0.051, 0.052)])
    other = _rows([(-0.01, -0.01, -0.01)]).assign(distortion="awgn:15")
    text, verdict = judge_difference(
        pd.concat([other, rows]), distortions=["awgn:15", "blur:1"], margin=0.005
    )
    assert verdict == PARTLY
    assert "over 0 in 2, surely below -0.5 in 1; " in text
    assert text.endswith("; blur:1 +4.1 (+3.9 to +4.3), awgn:15 -1.0 (-1.0 to -1.0)")


def test_the_order_of_rows_does_not_matter():
    rows = _rows([(0.03, 0.01, 0.02), (0.01, 0.02, -0.01)])
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 97):
        assert judge_difference(rows.iloc[list(order)]) == judge_difference(rows)
