"""Methods made of a criterion: which filters are trained, on which model and images."""

import dataclasses
import importlib

import numpy as np
import pytest

import kerasft
from kerasft.methods import METHODS, selective_filters

# The function of the same name hides it in the package.
module = importlib.import_module("kerasft.methods.selective_filters")


@pytest.fixture
def calls(monkeypatch):
    """What would be ranked and trained; nothing is."""
    calls = []

    def rank(criterion, model, data, *, layers):
        calls.append({"criterion": criterion, "ranked": model, "data": data, "layers": layers})
        return kerasft.rank_filters_by("kernel_norm", model, data, layers=layers)

    def train(model, problem, seed, selection, data):
        calls[-1].update(trained=model, selection=selection, images=data[0], labels=data[1])

    monkeypatch.setattr(module, "rank_filters_by", rank)
    monkeypatch.setattr(module, "train_filters", train)
    return calls


def test_a_function_of_the_user_chooses_the_filters(short):
    def later(model, data, layer):
        return np.arange(model.get_layer(layer).filters, dtype="float64")

    method = selective_filters("later", later, fraction=0.125)
    assert method.name == "later"
    model = method.apply(dataclasses.replace(short, layers=("conv2",)), 0).model
    for layer in short.model.layers:
        for old, new in zip(
            layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True
        ):
            changed = np.flatnonzero(np.any(old != new, axis=tuple(range(old.ndim - 1))))
            assert changed.tolist() == ([14, 15] if layer.name == "conv2" else [])


@pytest.mark.parametrize(
    ("name", "criterion"),
    [
        ("most", "emd_borda"),
        ("gradient", "gradient"),
        ("emd gradient", "emd_gradient"),
        ("most recalibrated", "emd_borda"),
        ("gradient recalibrated", "gradient"),
        ("emd gradient recalibrated", "emd_gradient"),
        ("gradient recalibrated, clean kept", "gradient"),
    ],
)
def test_filters_are_ranked_on_the_model_that_is_trained(problem, calls, name, criterion):
    METHODS[name].apply(problem, 0)
    (call,) = calls
    assert call["criterion"] == criterion
    assert call["layers"] == ["conv1", "conv2", "conv3"]
    assert call["ranked"] is call["trained"]
    assert (call["ranked"] is problem.model) == ("recalibrated" not in name)
    assert call["data"].clean is problem.clean
    assert [len(filters) for filters in call["selection"].values()] == [2, 4, 4]


def test_unpaired_clean_images_do_not_reach_a_criterion(problem, calls):
    METHODS["gradient"].apply(dataclasses.replace(problem, paired=False), 0)
    assert calls[0]["data"].clean is None


def test_statistics_are_those_of_what_is_trained_on(problem, calls):
    METHODS["gradient recalibrated"].apply(problem, 0)
    METHODS["gradient recalibrated, clean kept"].apply(problem, 0)
    for call, images in zip(calls, (problem.distorted, calls[1]["images"]), strict=True):
        expected = kerasft.recalibrate_batch_norm(problem.model, images).get_weights()
        for a, b in zip(call["trained"].get_weights(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("clean", [100, 256, 1000])
def test_clean_and_distorted_images_have_equal_shares(problem, calls, digits, clean):
    images, labels = digits
    mixed = dataclasses.replace(
        problem, clean=images[:clean], clean_labels=labels[:clean], paired=False
    )
    METHODS["gradient recalibrated, clean kept"].apply(mixed, 1)
    train, classes = calls[0]["images"], calls[0]["labels"]
    assert len(train) == len(classes) == 2 * 256
    np.testing.assert_array_equal(train[:256], problem.distorted)
    np.testing.assert_array_equal(classes[:256], problem.labels)
    label_of = {x.tobytes(): y for x, y in zip(images[:clean], labels[:clean], strict=True)}
    assert [label_of[x.tobytes()] for x in train[256:]] == classes[256:].tolist()
    distinct = {x.tobytes() for x in train[256:]}
    assert len(distinct) == min(256, len({x.tobytes() for x in images[:clean]}))


def test_clean_labels_are_those_of_the_pairs_unless_given(problem, calls):
    METHODS["gradient recalibrated, clean kept"].apply(
        dataclasses.replace(problem, clean_labels=None), 0
    )
    assert np.bincount(calls[0]["labels"]).tolist() == (2 * np.bincount(problem.labels)).tolist()


def test_clean_images_keep_clean_accuracy(problem, outcome_of, accuracy):
    kept = outcome_of("gradient recalibrated, clean kept").model
    lost = outcome_of("gradient recalibrated").model
    assert accuracy(kept, lambda x: x) > accuracy(lost, lambda x: x) + 0.05
    assert accuracy(kept) > accuracy(problem.model) + 0.15
