"""Where there is an accelerator, distances are computed by the backend: same ranking."""

import importlib

import keras
import numpy as np
import pytest

import kerasft
from kerasft.susceptibility.feature_maps import FeatureMaps


@pytest.fixture
def accelerated(monkeypatch):
    # The function of the same name hides the module.
    module = importlib.import_module("kerasft.susceptibility.rank_filters")
    monkeypatch.setattr(module, "has_accelerator", lambda: True)


def test_ranking_is_that_of_the_host(monkeypatch, request, model, clean, distorted):
    ranking = kerasft.rank_filters(model, clean, distorted)
    request.getfixturevalue("accelerated")

    def refuse(*_):
        raise AssertionError("feature maps were fetched from the accelerator")

    with monkeypatch.context() as patch:
        patch.setattr(FeatureMaps, "compute", refuse)
        found = kerasft.rank_filters(model, clean, distorted)
    assert list(found) == list(ranking)
    for name, layer in found.items():
        assert layer.borda_counts.tolist() == ranking[name].borda_counts.tolist()
        np.testing.assert_allclose(layer.mean_distance, ranking[name].mean_distance, rtol=1e-5)
        assert layer.mean_distance.dtype == np.float64


def test_scipy_gets_its_maps(accelerated, model, clean, distorted, agree):
    found = kerasft.rank_filters(model, clean[:2], distorted[:2], method="scipy")
    agree(found, kerasft.rank_filters(model, clean[:2], distorted[:2]))


def test_maps_that_are_not_finite_are_refused(accelerated, model, clean, distorted):
    broken = keras.models.clone_model(model)
    kernel, bias = model.get_layer("first").get_weights()
    bias[3] = np.inf
    broken.get_layer("first").set_weights([kernel, bias])
    with pytest.raises(ValueError, match=r"NaN or infinity from layer 'first', filters \[3\]"):
        kerasft.rank_filters(broken, clean, distorted, layers=["first"])
