"""Our own method: which filters, with which labels."""

import dataclasses

import keras
import numpy as np
import pytest
from changed_filters import changed_filters

import kerasft
from kerasft.methods import METHODS
from kerasft.methods.sensitive_filters import tune_sensitive_filters
from kerasft.methods.soft_labels import with_soft_labels

NAME = "sensitive filters"


def highest(model, problem, parameters):
    """The slow way: filters by squared gradient per parameter, as long as they fit."""
    data = kerasft.RankingData(distorted=problem.distorted, labels=problem.labels)
    scored, expected = [], {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            expected[layer.name] = []
            cost = layer.count_params() // layer.filters
            scores = kerasft.criteria.CRITERIA["gradient"](model, data, layer.name)
            scored += [(score / cost, layer.name, i, cost) for i, score in enumerate(scores)]
    for _, name, index, cost in sorted(scored, reverse=True):
        if cost <= parameters:
            parameters -= cost
            expected[name].append(index)
    return {name: sorted(found) for name, found in expected.items()}


def test_a_quarter_of_the_parameters_by_gradient_on_the_recalibrated_model(problem):
    outcome = tune_sensitive_filters(problem, 0, scaled=False)
    recalibrated = kerasft.recalibrate_batch_norm(problem.model, problem.distorted)
    filters, others = changed_filters(recalibrated, outcome.model)
    assert others == []
    convolutions = [recalibrated.get_layer(name) for name in filters]
    budget = sum(layer.count_params() for layer in convolutions) // 4
    assert filters == highest(recalibrated, problem, budget)
    assert outcome.trained_parameters == sum(
        layer.count_params() // layer.filters * len(filters[layer.name]) for layer in convolutions
    )
    # The narrow first layer gets more than its quarter.
    assert len(filters["conv1"]) > 8 / 4


def test_the_quarter_pays_for_scales_and_biases_of_all_filters_too(problem, outcome_of):
    outcome = outcome_of(NAME)
    recalibrated = kerasft.recalibrate_batch_norm(problem.model, problem.distorted)
    filters, others = changed_filters(recalibrated, outcome.model)
    assert filters == {"conv1": list(range(8)), "conv2": list(range(16)), "conv3": list(range(16))}
    assert others == []
    total = sum(recalibrated.get_layer(name).count_params() for name in filters)
    # A scale for each filter, and the biases of the one layer that has some.
    expected = highest(recalibrated, problem, total // 4 - 8 - 16 - 16 - 16)
    trained = 8 + 16 + 16 + 16
    for name, whole in expected.items():
        old, new = (m.get_layer(name).get_weights()[0] for m in (recalibrated, outcome.model))
        size = np.prod(old.shape[:-1])
        old, new = old.reshape(size, -1), new.reshape(size, -1)
        scale = (old * new).sum(axis=0) / (old**2).sum(axis=0)
        scaled = np.isclose(new, old * scale, atol=1e-5).all(axis=0)
        assert np.flatnonzero(~scaled).tolist() == whole
        trained += size * len(whole)
    assert outcome.trained_parameters == trained <= total / 4


def test_what_cannot_pay_for_scales_and_a_filter_besides_trains_filters_alone(problem):
    # A fifth of 72 parameters pays for 8 scales, but for no filter of 9 besides.
    narrow = dataclasses.replace(problem, layers=("conv1",), epochs=1)
    with_scales, without = (
        tune_sensitive_filters(narrow, 0, share=0.2, scaled=scaled) for scaled in (True, False)
    )
    assert with_scales.trained_parameters == without.trained_parameters == 9
    for one, other in zip(
        with_scales.model.get_weights(), without.model.get_weights(), strict=True
    ):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", [NAME, f"{NAME}, clean kept"])
def test_what_a_quarter_of_trains_nothing_does_not_suit_it(short, name):
    def of(filters):
        layers = [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(filters, 3, name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="head"),
        ]
        return dataclasses.replace(short, model=keras.Sequential(layers), layers=("conv1",))

    assert METHODS[name].reason_against(of(4)) is None
    assert "less than one filter" in METHODS[name].reason_against(of(3))


def test_it_wins_where_contrast_is_lost(problem, outcome_of, accuracy):
    assert accuracy(outcome_of(NAME).model) > accuracy(problem.model) + 0.3
    assert accuracy(outcome_of(NAME).model) >= accuracy(outcome_of("batch norm").model) - 0.02


def test_where_training_only_harms_the_recalibrated_model_is_kept(problem):
    # With labels of nothing, validation accuracy falls, however little is learned of them.
    wrong = dataclasses.replace(
        problem, labels=(problem.labels + 1) % 10, clean=None, clean_labels=None, epochs=2
    )
    model = METHODS[NAME].apply(wrong, 0).model
    recalibrated = kerasft.recalibrate_batch_norm(problem.model, problem.distorted)
    for kept, before in zip(model.get_weights(), recalibrated.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, before)


def test_labels_are_half_those_of_the_source_network_on_clean_versions(short):
    soft = with_soft_labels(short)
    outputs = short.model.predict(short.clean, verbose=0)
    for row, label, output in zip(soft.labels, short.labels, outputs, strict=True):
        expected = [0.5 * (label == c) + 0.5 * output[c] for c in range(10)]
        np.testing.assert_allclose(row, expected, atol=1e-6)
    np.testing.assert_array_equal(soft.validation[1].argmax(axis=1), short.validation[1])


@pytest.mark.parametrize("change", [{"clean": None, "paired": False}, {"paired": False}])
def test_without_pairs_labels_stay_as_they_are(short, change):
    unpaired = dataclasses.replace(short, **change)
    assert with_soft_labels(unpaired) is unpaired


def test_logits_of_the_source_network_become_probabilities(short):
    logits = keras.models.clone_model(short.model)
    logits.set_weights(short.model.get_weights())
    logits.layers[-1].activation = keras.activations.linear
    expected = with_soft_labels(short).labels
    found = with_soft_labels(dataclasses.replace(short, model=logits)).labels
    np.testing.assert_allclose(found, expected, atol=1e-5)
