import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import kerasft

# Parameters of one filter, and filters, of each layer.
COSTS = {"small": 3, "wide": 28, "plain": 54}
FILTERS = {"small": 3, "wide": 12, "plain": 5}


@pytest.fixture(scope="module")
def model():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 1, name="small")(image)
    x = layers.Conv2D(12, 3, name="wide")(x)
    # Six channels for each of two groups.
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="other", groups=2)(x)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="plain")(x)
    return keras.Model(image, layers.DepthwiseConv2D(1, name="depthwise")(x))


def scored(**scores):
    return kerasft.FilterRanking(
        {
            name: kerasft.LayerRanking.from_scores(values, 1, "test")
            for name, values in scores.items()
        }
    )


def cost(selection):
    return sum(COSTS[name] * len(filters) for name, filters in selection.items())


def number():
    return st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0])


SCORES = st.fixed_dictionaries(
    {name: st.lists(number(), min_size=n, max_size=n) for name, n in FILTERS.items()}
)
TOTAL = sum(COSTS[name] * n for name, n in FILTERS.items())


@given(scores=SCORES, budget=st.integers(3, TOTAL + 100))
def test_a_budget_is_kept_and_used(model, scores, budget):
    ranking = scored(**scores)
    selection = kerasft.select_within_budget(ranking, model, budget)
    assert 0 < cost(selection) <= budget
    assert list(selection) == [name for name in ranking if name in selection]
    for name, layer in ranking.items():
        chosen = selection.get(name, [])
        assert {type(index) for index in chosen} <= {int}
        # The most affected of each layer.
        assert chosen == sorted(layer.order[: len(chosen)].tolist())
        # Nothing that would still fit is left.
        assert len(chosen) == FILTERS[name] or cost(selection) + COSTS[name] > budget
    assert (cost(selection) == TOTAL) == (budget >= TOTAL)


@given(scores=SCORES, budget=st.integers(3, TOTAL + 100))
def test_per_parameter_the_highest_scores_for_their_cost_are_taken(model, scores, budget):
    selection = kerasft.select_within_budget(scored(**scores), model, budget, per_parameter=True)
    assert 0 < cost(selection) <= budget
    ratio = {
        (name, index): score / COSTS[name]
        for name, values in scores.items()
        for index, score in enumerate(values)
    }
    chosen = {(name, index) for name, filters in selection.items() for index in filters}
    left = budget - cost(selection)
    for filter_ in ratio.keys() - chosen:
        # Whatever has more for each parameter was passed over for its size alone.
        better = sum(COSTS[other[0]] for other in chosen if ratio[other] < ratio[filter_])
        assert better == 0 or COSTS[filter_[0]] > left


def test_per_parameter_scores_of_layers_are_compared_as_they_are(model):
    # Relative to its layer each filter is like every other.
    ranking = scored(small=[3.0] * 3, wide=[2 * 28.0] * 12, plain=[54.0] * 5)
    selection = kerasft.select_within_budget(ranking, model, 12 * 28, per_parameter=True)
    assert selection == {"wide": list(range(12))}


@given(scores=SCORES, budget=st.integers(3, TOTAL), exponent=st.integers(-20, 20))
def test_units_of_a_layer_do_not_matter(model, scores, budget, exponent):
    # Powers of two change no digit.
    scores["wide"] = [0.0 if abs(x) < 1e-6 else x for x in scores["wide"]]
    scaled = scores | {"wide": [x * 2.0**exponent for x in scores["wide"]]}
    expected = kerasft.select_within_budget(scored(**scores), model, budget)
    assert kerasft.select_within_budget(scored(**scaled), model, budget) == expected


@given(scores=SCORES, budget=st.integers(3, TOTAL))
def test_a_slow_reference_selects_the_same(model, scores, budget):
    left, chosen = budget, {}
    means = {name: np.mean(np.abs(values)) for name, values in scores.items()}
    waiting = []
    for name, layer in scored(**scores).items():
        for place, index in enumerate(layer.order):
            relative = scores[name][index] / means[name] if means[name] else 0.0
            waiting.append([relative, -place, name, int(index)])
    while waiting:
        best = max(waiting, key=lambda item: item[:2])
        # Of equal ones the first.
        best = next(item for item in waiting if item[:2] == best[:2])
        waiting.remove(best)
        if COSTS[best[2]] <= left:
            left -= COSTS[best[2]]
            chosen.setdefault(best[2], []).append(best[3])
    selection = kerasft.select_within_budget(scored(**scores), model, budget)
    assert selection == {name: sorted(chosen[name]) for name in scores if name in chosen}


def test_the_filter_that_stands_out_of_its_layer_comes_first(model):
    ranking = scored(small=[1, 1, 1], wide=[1] * 11 + [5], plain=[100, 100, 101, 100, 100])
    assert kerasft.select_within_budget(ranking, model, 28) == {"wide": [11]}
    assert kerasft.select_within_budget(ranking, model, 81) == {
        "small": [0, 1, 2],
        "wide": [0, 11],
    }
    assert kerasft.select_within_budget(ranking, model, 82) == {"wide": [11], "plain": [2]}
    # The next of `plain` does not fit any more, those of `small` do.
    assert kerasft.select_within_budget(ranking, model, 85) == {
        "small": [0],
        "wide": [11],
        "plain": [2],
    }


def test_layers_that_do_not_differ_share_from_the_top(model):
    ranking = scored(small=[0, 0, 0], wide=[0] * 12)
    assert kerasft.select_within_budget(ranking, model, 62) == {"small": [0, 1], "wide": [0, 1]}


def test_points_count_where_filters_were_voted_for(model):
    votes = {
        "small": kerasft.LayerRanking.from_votes([10, 9, 8], [1.0, 50.0, 1.0], 1),
        "wide": kerasft.LayerRanking.from_votes([1] * 11 + [90], np.ones(12), 1),
    }
    selection = kerasft.select_within_budget(kerasft.FilterRanking(votes), model, 31)
    assert selection == {"small": [0], "wide": [11]}


def test_what_is_selected_is_what_is_trained(model):
    ranking = scored(small=[3, 2, 1], wide=np.arange(12), other=np.arange(6), plain=np.arange(5))
    for budget in (3, 100, 333, 10_000):
        selection = kerasft.select_within_budget(ranking, model, budget)
        partial = kerasft.make_partially_trainable(model, selection)
        trained = sum(int(np.prod(w.shape)) for w in partial.trainable_weights)
        assert 0 < trained <= budget


@pytest.mark.parametrize("parameters", [2, 0, -5, 2.5, True, None, float("nan")])
def test_a_budget_that_pays_for_no_filter_is_refused(model, parameters):
    ranking = scored(small=[3, 2, 1], wide=np.arange(12))
    with pytest.raises(
        ValueError, match=rf"^Expected parameters .* one filter at least, 3 or .* {parameters}\.$"
    ):
        kerasft.select_within_budget(ranking, model, parameters)


def test_rankings_that_do_not_fit_are_refused(model):
    with pytest.raises(TypeError, match=r"^Expected ranking as a FilterRanking. Received: dict"):
        kerasft.select_within_budget({"small": [1]}, model, 100)
    with pytest.raises(TypeError, match=r"^Expected a keras.Model. Received: NoneType"):
        kerasft.select_within_budget(scored(small=[1, 2, 3]), None, 100)
    with pytest.raises(ValueError, match=r"^Expected a ranking of the 3 filters .*'small'"):
        kerasft.select_within_budget(scored(small=[1, 2]), model, 100)
    with pytest.raises(ValueError, match=r"^Expected the name of a layer in the model"):
        kerasft.select_within_budget(scored(absent=[1, 2]), model, 100)
    with pytest.raises(ValueError, match=r"^Expected a Conv1D, Conv2D or Conv3D .*'depthwise'"):
        kerasft.select_within_budget(scored(depthwise=[1, 2, 3, 4, 5]), model, 100)
