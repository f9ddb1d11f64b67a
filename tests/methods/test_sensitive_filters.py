"""Our own method: which filters, with which labels."""

import dataclasses

import keras
import numpy as np
import pytest
from changed_filters import changed_filters

import kerasft
from kerasft.methods import METHODS
from kerasft.methods.soft_labels import with_soft_labels

NAME = "sensitive filters"


def test_a_quarter_of_the_parameters_by_gradient_on_the_recalibrated_model(problem, outcome_of):
    outcome = outcome_of(NAME)
    recalibrated = kerasft.recalibrate_batch_norm(problem.model, problem.distorted)
    filters, others = changed_filters(recalibrated, outcome.model)
    assert others == []
    # The slow way: filters by squared gradient per parameter, as long as they fit.
    data = kerasft.RankingData(distorted=problem.distorted, labels=problem.labels)
    scored = []
    for name in filters:
        layer = recalibrated.get_layer(name)
        cost = layer.count_params() // layer.filters
        scores = kerasft.criteria.CRITERIA["gradient"](recalibrated, data, name)
        scored += [(score / cost, name, index, cost) for index, score in enumerate(scores)]
    left = int(0.25 * sum(recalibrated.get_layer(name).count_params() for name in filters))
    expected = {name: [] for name in filters}
    for _, name, index, cost in sorted(scored, reverse=True):
        if cost <= left:
            left -= cost
            expected[name].append(index)
    assert {name: sorted(found) for name, found in expected.items()} == filters
    assert outcome.trained_parameters == sum(
        cost for _, name, index, cost in scored if index in filters[name]
    )
    # The narrow first layer gets more than its quarter.
    assert len(filters["conv1"]) > 8 / 4


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
