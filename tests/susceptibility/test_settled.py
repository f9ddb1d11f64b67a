"""The early stop: what it promises about the selection, and whether it keeps that."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from kerasft.susceptibility import borda_count, settled
from kerasft.susceptibility.settled import SettlingTally, expected_agreement
from kerasft.susceptibility.tally import Tally


def plackett_luce(scores, pairs, seed):
    """Distances whose order is that of a Plackett–Luce model."""
    generator = np.random.default_rng(seed)
    return np.exp(scores + generator.gumbel(size=(pairs, len(scores))))


def votes_of(distances):
    return np.array([borda_count(row[np.newaxis]) for row in distances])


def agreement(votes, selected, population=math.inf):
    return expected_agreement(votes.sum(axis=0), votes.T @ votes, len(votes), selected, population)


def stop(distances, confidence=0.95, population=None, batch_size=500):
    """The tally after it stopped or took all, and whether it stopped."""
    tally = SettlingTally(confidence, population)
    for start in range(0, len(distances), batch_size):
        if tally.add({"conv": distances[start : start + batch_size]}):
            return tally, True
    return tally, False


@pytest.fixture
def many_draws(monkeypatch):
    monkeypatch.setattr(settled, "_DRAWS", 100_000)


@pytest.mark.parametrize("population", [math.inf, 1000, 130])
@pytest.mark.parametrize(("wins", "pairs"), [(60, 100), (52, 100), (50, 100), (3, 4)])
def test_two_filters_agree_as_the_normal_distribution_says(many_draws, wins, pairs, population):
    votes = np.array([[10, 9]] * wins + [[9, 10]] * (pairs - wins))
    # The difference is 1 or -1 in each vote; the random ballot adds one more.
    gap = 2 * wins - pairs
    variance = (pairs - gap**2 / pairs + 1) * (1 - pairs / population)
    expected = norm.cdf(gap / math.sqrt(variance))
    # Four standard errors of 100,000 draws.
    assert agreement(votes, [0], population) == pytest.approx(expected, abs=0.0064)


def slow_agreement(votes, selected, population, draws=4000):
    """Mean votes drawn one by one, and compared as sets."""
    pairs, filters = votes.shape
    ballots = np.array([np.random.default_rng(i).permutation(filters) for i in range(5000)])
    points = np.where(ballots < 10, 10 - ballots, 0)
    spread = np.cov(votes.T, bias=True) * pairs + np.cov(points.T, bias=True)
    covariance = spread / pairs**2 * (1 - pairs / population)
    generator = np.random.default_rng(9)
    mean = votes.mean(axis=0)
    shared = 0
    for _ in range(draws):
        drawn = generator.multivariate_normal(mean, covariance, method="svd", check_valid="ignore")
        best = sorted(range(filters), key=lambda j: -drawn[j])[: len(selected)]
        shared += len(set(best) & set(selected))
    return shared / draws / len(selected)


@pytest.mark.parametrize("population", [math.inf, 400])
@pytest.mark.parametrize(("filters", "spread"), [(4, 0.1), (16, 0.3), (24, 2.0), (40, 4.0)])
def test_expected_agreement_is_that_of_the_slow_reference(filters, spread, population):
    scores = np.random.default_rng(0).normal(0, spread, filters)
    votes = votes_of(plackett_luce(scores, 150, seed=1))
    selected = np.argsort(-votes.sum(axis=0), kind="stable")[: filters // 4]
    # Both are drawn; 400 draws of a share within 0–1 have a standard error of
    # 0.025 at most, here 0.015.
    assert agreement(votes, selected, population) == pytest.approx(
        slow_agreement(votes, selected, population), abs=0.035
    )


@given(
    filters=st.integers(1, 40),
    pairs=st.integers(1, 30),
    size=st.integers(1, 40),
    seed=st.integers(0),
)
def test_expected_agreement_is_a_share_and_whole_where_nothing_is_open(filters, pairs, size, seed):
    votes = votes_of(np.random.default_rng(seed).integers(0, 4, (pairs, filters)))
    selected = np.argsort(-votes.sum(axis=0), kind="stable")[:size]
    share = agreement(votes, selected)
    assert 0 <= share <= 1
    if size >= filters:
        assert share == 1
    rest = agreement(votes, selected, population=pairs)
    order = votes.sum(axis=0)[np.argsort(-votes.sum(axis=0))]
    if size >= filters or order[size - 1] > order[size]:
        assert rest == 1


SETS = {"endless": None, "of 3,000 pairs": 3000}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_what_was_promised_is_kept_on_the_average(kind, confidence):
    population, promised, kept = SETS[kind], [], []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        # What all pairs say is known: they are these, visited at random, or
        # drawn from these without end.
        whole = plackett_luce(generator.normal(0, 1, 16), 3000, seed)
        truth = Tally()
        truth.add({"conv": whole})
        rows = (
            generator.integers(0, 3000, 20_000)
            if population is None
            else generator.permutation(3000)
        )
        tally, stopped = stop(whole[rows], confidence, population)
        ranking = tally.ranking()
        kept.append(ranking.overlap(truth.ranking())["conv"])
        promised.append(ranking["conv"].confidence)
        assert promised[-1] >= confidence
        assert stopped or promised[-1] == 1
    # One place is a quarter of the selection, so the mean of 200 has a
    # standard error under 0.01.
    assert np.mean(kept) > confidence - 0.02
    assert np.mean(kept) > np.mean(promised) - 0.02


@pytest.mark.parametrize("filters", [8, 32, 64])
def test_votes_that_are_noise_are_not_settled_by_a_thousand(filters):
    for seed in range(10):
        noise = np.random.default_rng(seed).uniform(size=(1000, filters))
        assert not stop(noise, 0.95)[1]


def test_clear_cut_votes_are_settled_at_the_first_look():
    scores = np.linspace(8, 0, 32)
    scores[8:] -= 4
    tally, stopped = stop(plackett_luce(scores, 2000, seed=0), 0.99)
    assert stopped
    assert tally.pairs == 100
    assert tally.ranking().select()["conv"] == list(range(8))


def test_places_among_filters_that_nobody_voted_for_are_open():
    # Of 64 filters the same 12 are disturbed in every image; four places of
    # the sixteen are anyone's.
    scores = np.where(np.arange(64) < 12, 30.0, 0.0)
    distances = plackett_luce(scores, 3000, seed=0)
    tally, stopped = stop(distances, 0.9)
    assert not stopped
    assert (tally.ranking()["conv"].borda_counts[12:] == 0).all()
    # Asked for less than the rest of the places, it is settled.
    assert stop(distances, 0.7)[1]


def test_every_layer_must_be_settled():
    clear = plackett_luce(np.linspace(20, 0, 8), 2000, seed=0)
    hard = plackett_luce(np.linspace(0.8, 0, 8), 2000, seed=1)
    tallies = {}
    for names in (["clear"], ["hard"], ["clear", "hard"], ["hard", "clear"]):
        tally = SettlingTally(0.95)
        layers = {"clear": clear, "hard": hard}
        assert tally.add({name: layers[name] for name in names})
        tallies[tuple(names)] = tally
    assert tallies[("clear",)].pairs == 100
    assert tallies[("hard",)].pairs > 100
    for names in (("clear", "hard"), ("hard", "clear")):
        assert tallies[names].pairs == tallies[("hard",)].pairs
        ranking = tallies[names].ranking()
        assert ranking["clear"].confidence > ranking["hard"].confidence >= 0.95


def test_looks_come_after_100_pairs_and_whenever_there_are_a_quarter_more(monkeypatch):
    looks = []

    def never(counts, products, pairs, selected, population):
        looks.append(pairs)
        return 0.0

    monkeypatch.setattr(settled, "expected_agreement", never)
    tally = SettlingTally(0.95, population=247)
    assert not tally.add({"conv": np.random.default_rng(0).uniform(size=(247, 4))})
    # At 247 nothing is left to be expected.
    assert looks == [100, 125, 157, 197]
    assert tally.ranking()["conv"].confidence == 1


DISTANCES = plackett_luce(np.linspace(1.5, 0, 20), 900, seed=3)


@given(cuts=st.lists(st.integers(1, 899), max_size=30))
def test_it_stops_at_the_same_pair_wherever_batches_end(cuts):
    tally = SettlingTally(0.95, population=900, keep_distances=True)
    for part in np.split(DISTANCES, sorted(cuts)):
        if len(part) and tally.add({"conv": part}):
            break
    at_once = SettlingTally(0.95, population=900, keep_distances=True)
    assert at_once.add({"conv": DISTANCES})
    assert 100 < at_once.pairs < 900
    assert tally.ranking() == at_once.ranking()
    votes = Tally(keep_distances=True)
    votes.add({"conv": DISTANCES[: tally.pairs]})
    np.testing.assert_array_equal(
        tally.ranking()["conv"].distances, votes.ranking()["conv"].distances
    )
    assert tally.ranking().to_frame().equals(votes.ranking().to_frame())
