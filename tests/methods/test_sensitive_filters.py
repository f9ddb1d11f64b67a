"""Our own method: which filters, with which labels, and how far the weights go."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasft
from kerasft.evaluation import predict_classes
from kerasft.methods import METHODS, Outcome
from kerasft.methods import sensitive_filters as module
from kerasft.methods.interpolation import SHARES, interpolate

NAME = "sensitive filters"


def changed_filters(before, after):
    """Filters of each convolution that differ, and the names of all other layers that do."""
    filters, others = {}, []
    for layer in before.layers:
        pairs = list(
            zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        )
        if isinstance(layer, keras.layers.Conv2D):
            moved = [np.any(a != b, axis=tuple(range(a.ndim - 1))) for a, b in pairs]
            filters[layer.name] = np.flatnonzero(np.any(moved, axis=0)).tolist()
        elif any((a != b).any() for a, b in pairs):
            others.append(layer.name)
    return filters, others


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
    soft = module._with_soft_labels(short)
    outputs = short.model.predict(short.clean, verbose=0)
    for row, label, output in zip(soft.labels, short.labels, outputs, strict=True):
        expected = [0.5 * (label == c) + 0.5 * output[c] for c in range(10)]
        np.testing.assert_allclose(row, expected, atol=1e-6)
    np.testing.assert_array_equal(soft.validation[1].argmax(axis=1), short.validation[1])


@pytest.mark.parametrize("change", [{"clean": None, "paired": False}, {"paired": False}])
def test_without_pairs_labels_stay_as_they_are(short, change):
    unpaired = dataclasses.replace(short, **change)
    assert module._with_soft_labels(unpaired) is unpaired


def test_logits_of_the_source_network_become_probabilities(short):
    logits = keras.models.clone_model(short.model)
    logits.set_weights(short.model.get_weights())
    logits.layers[-1].activation = keras.activations.linear
    expected = module._with_soft_labels(short).labels
    found = module._with_soft_labels(dataclasses.replace(short, model=logits)).labels
    np.testing.assert_allclose(found, expected, atol=1e-5)


CLEAN_KEPT = "sensitive filters, clean kept"


def test_clean_kept_trains_on_both_and_holds_clean_images_out(problem, monkeypatch):
    seen = {}

    def train(model, to_train, seed, selection):
        seen.update(model=model, problem=to_train, selection=selection)
        return Outcome(model)

    monkeypatch.setattr(module, "train_filters", train)
    METHODS[CLEAN_KEPT].apply(problem, 3)
    assert seen["model"] is problem.model
    n = len(problem.distorted)
    held = n // 5
    trained, validation = seen["problem"].distorted, seen["problem"].validation
    clean = {image.tobytes(): index for index, image in enumerate(problem.clean)}
    distorted = {image.tobytes(): index for index, image in enumerate(problem.distorted)}
    assert len(trained) == 2 * (n - held)
    kept = [distorted[image.tobytes()] for image in trained[: n - held]]
    # The clean versions of the same images, in the same order.
    assert [clean[image.tobytes()] for image in trained[n - held :]] == kept
    # Distorted images first, then as many clean ones.
    count = len(problem.validation[0])
    np.testing.assert_array_equal(validation[0][:count], problem.validation[0])
    assert len(validation[0]) == 2 * count
    checked = [clean[image.tobytes()] for image in validation[0][count:]]
    assert len(set(checked)) == min(held, count)
    # Of a pair that is held out neither version is trained on.
    assert not set(checked) & set(kept)
    assert len(set(kept)) == n - held
    np.testing.assert_array_equal(validation[1][count:].argmax(axis=1), problem.labels[checked])
    # Both versions have the same labels, half of them the image's own.
    soft = seen["problem"].labels
    np.testing.assert_allclose(soft[: n - held], soft[n - held :], atol=1e-6)
    assert (soft[np.arange(n - held), problem.labels[kept]] >= 0.5).all()


def test_clean_kept_keeps_clean_accuracy_and_statistics(problem, outcome_of, accuracy):
    def clean(images):
        return images

    source, plain, kept = problem.model, outcome_of(NAME).model, outcome_of(CLEAN_KEPT).model
    assert accuracy(kept, clean) > accuracy(plain, clean) + 0.05
    assert accuracy(kept, clean) > accuracy(source, clean) - 0.05
    assert accuracy(kept) > accuracy(source) + 0.1
    assert changed_filters(source, kept)[1] == []


def test_clean_kept_needs_pairs(short):
    reason = METHODS[CLEAN_KEPT].reason_against(dataclasses.replace(short, paired=False))
    assert reason == "There are no clean versions of the distorted images."


def two_ends():
    """A model that says 0 to everything, and one that says 1; between them the sign decides."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, name="dense")])
    ends = []
    for bias in ([2.0, 0.0], [0.0, 2.0]):
        end = keras.models.clone_model(model)
        end.set_weights([np.asarray([[0.0, 1.0]]), np.asarray(bias)])
        ends.append(end)
    return ends


@pytest.mark.parametrize("truth", [*SHARES])
def test_interpolation_finds_the_share_that_validation_asks_for(truth):
    before, after = two_ends()
    # At a share s the model says 1 for x over 2 - 4 s.
    images = np.linspace(-3, 3, 121, dtype="float32").reshape(-1, 1) + 0.01
    labels = (images[:, 0] > 2 - 4 * truth).astype(int)
    model = interpolate(before, after, images, labels)
    np.testing.assert_array_equal(predict_classes(model, images), labels)
    np.testing.assert_allclose(model.get_weights()[1], [2 - 2 * truth, 2 * truth])


def test_interpolation_keeps_the_model_before_where_nothing_is_better():
    before, after = two_ends()
    images = np.full((4, 1), 100, "float32")
    model = interpolate(before, after, images, np.ones(4, int))
    for kept, weight in zip(model.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


def test_interpolation_leaves_both_ends_as_they_are():
    ends = two_ends()
    before = [[w.tobytes() for w in end.get_weights()] for end in ends]
    interpolate(*ends, np.zeros((2, 1), "float32"), np.ones(2, int))
    assert [[w.tobytes() for w in end.get_weights()] for end in ends] == before
