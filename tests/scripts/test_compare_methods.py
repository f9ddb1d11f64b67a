"""What scripts/compare_methods.py runs beside the methods of kerasft, and how it keeps runs."""

import inspect
import types

import compare_methods
import pandas as pd
import pytest
from comparison_runs import make_runs

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
    assert set(compare_methods.IDEAS) == set(changes)
    for name, method in compare_methods.IDEAS.items():
        assert method.name == name
        assert method.needs_labels
        assert method.apply.func is tune_sensitive_filters
        assert method.apply.keywords == changes[name]
        # What is not given has another value.
        assert all(known[key].default != value for key, value in changes[name].items())


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
