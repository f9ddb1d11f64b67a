"""What scripts/compare_methods.py runs beside the methods of kerasft, and how it keeps runs."""

import inspect
import types

import compare_methods
import keras
import numpy as np
import pandas as pd
import pytest
from comparison_runs import make_runs

import kerasft
from kerasft.criteria import RankingData, rank_filters_by
from kerasft.methods import Problem
from kerasft.methods.sensitive_filters import tune_sensitive_filters


def test_every_idea_is_ours_but_for_its_changes():
    changes = {
        "ours, a tenth": {"share": 0.1},
        "ours, without scales": {"scaled": False},
        "ours, labels as they are": {"soft_labels": False},
        "ours, not interpolated": {"interpolated": False},
        "ours, filters alone": {"scaled": False, "soft_labels": False, "interpolated": False},
    }
    known = inspect.signature(tune_sensitive_filters).parameters
    others = {"ours, a quarter of each layer", "ours, the paper's filters"}
    assert set(compare_methods.IDEAS) == set(changes) | others
    for name in changes:
        method = compare_methods.IDEAS[name]
        assert method.name == name
        assert method.needs_labels
        assert method.apply.func is tune_sensitive_filters
        assert method.apply.keywords == changes[name]
        # What is not given has another value.
        assert all(known[key].default != value for key, value in changes[name].items())


@pytest.mark.parametrize(
    ("idea", "criterion"),
    [("ours, a quarter of each layer", "gradient"), ("ours, the paper's filters", "emd_borda")],
)
def test_a_quarter_of_each_layer_is_trained_and_no_more(idea, criterion):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, name="conv1"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="head"),
        ]
    )
    images, labels = (part[:64] for part in kerasft.datasets.digits())
    distorted = 0.5 * images.astype("float32") + 60
    problem = Problem(
        model=model,
        distorted=distorted,
        labels=labels,
        validation=(distorted, labels),
        clean=images.astype("float32"),
        paired=True,
        epochs=8,
        learning_rate=0.01,
    )
    outcome = compare_methods.IDEAS[idea].apply(problem, 0)
    recalibrated = kerasft.recalibrate_batch_norm(model, distorted)
    data = RankingData(clean=problem.clean, distorted=distorted, labels=labels)
    ranking = rank_filters_by(criterion, recalibrated, data, layers=["conv1", "conv2"])
    for layer in recalibrated.layers:
        for before, after in zip(
            layer.get_weights(), outcome.model.get_layer(layer.name).get_weights(), strict=True
        ):
            changed = np.flatnonzero(
                np.any((before != after).reshape(-1, before.shape[-1]), axis=0)
            )
            expected = ranking.select(0.25)[layer.name] if layer.name in ranking else []
            assert changed.tolist() == sorted(expected)


def test_runs_done_elsewhere_are_where_others_are_added(tmp_path):
    runs = pd.concat([make_runs({"most": [0.5, 0.125]}, labels=n) for n in (100, 500)])
    runs.to_csv(tmp_path / "runs.csv", index=False)
    present = tmp_path / "work" / "resnet8-100" / "comparison.csv"
    present.parent.mkdir(parents=True)
    present.write_text("mine")
    compare_methods.resume(tmp_path / "runs.csv", tmp_path / "work", "resnet8")
    assert present.read_text() == "mine"
    added = pd.read_csv(tmp_path / "work" / "resnet8-500" / "comparison.csv")
    pd.testing.assert_frame_equal(added, runs.iloc[2:].reset_index(drop=True))
    compare_methods.resume(tmp_path / "no such file", tmp_path / "other", "resnet8")
    assert not (tmp_path / "other").exists()


def write_runs(work, labels, digest="0123456789012345"):
    """Runs where the script adds to them, by a network with this digest."""
    runs = make_runs({"most": [0.1 + 0.2, 0.5]}, labels=labels)
    runs = runs.assign(images_sha256="1" * 16, model_sha256=digest)
    folder = work / f"resnet8-{labels}"
    folder.mkdir(parents=True)
    runs.to_csv(folder / "comparison.csv", index=False)


def test_runs_are_put_together_as_they_were_written(tmp_path):
    for labels in (500, 2000, 100):
        write_runs(tmp_path, labels)
    compare_methods._write(
        types.SimpleNamespace(work=tmp_path, results=tmp_path, network="resnet8")
    )
    runs = pd.read_csv(tmp_path / "comparison-resnet8.csv", dtype=str)
    assert runs["labelled_images"].tolist() == ["100", "100", "500", "500", "2000", "2000"]
    assert set(runs["distorted_accuracy"]) == {"0.30000000000000004", "0.5"}
    # Digits alone, and yet no number.
    assert set(runs["model_sha256"]) == {"0123456789012345"}
    assert set(runs["images_sha256"]) == {"1" * 16}


def test_runs_of_two_networks_are_not_put_together(tmp_path):
    write_runs(tmp_path, 100)
    write_runs(tmp_path, 500, digest="1123456789012345")
    args = types.SimpleNamespace(work=tmp_path, results=tmp_path / "results", network="resnet8")
    with pytest.raises(ValueError, match=r"Expected runs of one model_sha256 .* Received: 0123"):
        compare_methods._write(args)
    assert not args.results.exists()
