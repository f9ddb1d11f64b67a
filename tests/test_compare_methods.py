"""What scripts/compare_methods.py says of runs, against means and intervals worked out here."""

import importlib.util
import inspect
import pathlib
import types

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from kerasft.methods.sensitive_filters import tune_sensitive_filters


@pytest.fixture(scope="module")
def script():
    path = pathlib.Path(__file__).parents[1] / "scripts" / "compare_methods.py"
    spec = importlib.util.spec_from_file_location("compare_methods", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_runs(accuracies, distortions=("awgn:15",), labels=500):
    """A row for each distortion, method and seed; `None` stands for a method left out."""
    return pd.DataFrame(
        {
            "distortion": distortion,
            "labelled_images": labels,
            "method": method,
            "seed": seed,
            "status": "done" if value is not None else "left out: It has no convolution.",
            "distorted_accuracy": value,
            "clean_accuracy": 0.9,
            "trained_parameters": 10,
            "layers_share": 0.25,
            "added_parameters": 0,
            "seconds": 1.0,
        }
        for distortion in distortions
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    )


def test_means_and_intervals(script):
    values = [0.7, 0.72, 0.77]
    row = script.summarise(make_runs({"most": values})).iloc[0]
    half = scipy.stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert row["distorted_accuracy"] == pytest.approx(np.mean(values))
    assert row["distorted_accuracy_low"] == pytest.approx(np.mean(values) - half)
    assert row["distorted_accuracy_high"] == pytest.approx(np.mean(values) + half)
    assert row["seeds"] == 3


@pytest.mark.parametrize(
    ("ours", "verdict"),
    # The rival: 80% and an interval of ±2.48 points.
    [([0.81, 0.80, 0.82], "best"), ([0.78, 0.78, 0.78], "within"), ([0.77, 0.77, 0.77], "below")],
)
def test_ours_beside_the_best_rival_and_the_papers(script, ours, verdict):
    runs = make_runs(
        {
            "most": [0.70, 0.72, 0.71],
            "rival": [0.79, 0.80, 0.81],
            "worse": [0.5, 0.5, 0.5],
            script.OURS: ours,
            # No rival, though it is better.
            "ours, a tenth": [0.9, 0.9, 0.9],
            "left out": [None, None, None],
        }
    )
    (row,) = script.verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"]) == ("rival", verdict)
    assert row["ours"] == pytest.approx(np.mean(ours))
    assert row["rival_low"] == pytest.approx(0.8 - 0.0248, abs=1e-4)
    assert row["over_most"] == pytest.approx(np.mean(ours) - 0.71)


def test_a_rival_is_judged_over_the_seeds_that_it_has(script):
    ours = [0.7, 0.7, 0.7, 0.9, 0.9]
    runs = make_runs({"most": [0.6] * 5, "rival": [0.8, 0.81, 0.82], script.OURS: ours})
    (row,) = script.verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("rival", "below", 3)
    assert (row["ours"], row["rival"]) == pytest.approx((0.7, 0.81))
    # The paper's has all five.
    assert row["over_most"] == pytest.approx(np.mean(ours) - 0.6)


def test_two_seeds_of_a_rival_do_not_hide_that_ours_is_below_another(script):
    ours = [0.60, 0.61, 0.60, 0.61, 0.60]
    runs = make_runs(
        {
            "most": [0.5] * 5,
            "whole network": [0.64, 0.65, 0.64, 0.65, 0.64],
            "head": [0.63, 0.67],
            script.OURS: ours,
        }
    )
    (row,) = script.verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("whole network", "below", 5)


def test_a_rival_with_one_seed_is_none_beside_others_and_no_rival_need_have_all(script):
    runs = make_runs({"most": [0.6, 0.62], "begun": [0.9], script.OURS: [0.7] * 3})
    (row,) = script.verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("most", "best", 2)


@pytest.mark.parametrize("ours", [0.5, 0.9])
def test_one_seed_is_no_verdict(script, ours):
    (row,) = script.verdicts(make_runs({"most": [0.7], script.OURS: [ours]})).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("most", "open", 1)


def test_without_a_common_seed_there_is_no_row(script):
    runs = make_runs({"most": [None, 0.7], script.OURS: [0.7, None]})
    assert script.verdicts(runs).empty


def test_the_overview_has_the_best_on_average_first(script):
    runs = make_runs({"a": [0.5], "b": [0.6]}, script.DISTORTIONS)
    incomplete = make_runs({"c": [0.9]}, script.DISTORTIONS[:2])
    table = script.overview(script.summarise(pd.concat([runs, incomplete])))
    assert table["method"].tolist() == ["b", "a", "c"]
    assert table["distorted"].tolist() == ["60.0%", "50.0%", ""]
    assert table.iloc[2][script.DISTORTIONS[0]] == "90.0%"
    assert table.iloc[2][script.DISTORTIONS[4]] == ""


def test_every_idea_is_ours_but_for_its_changes(script):
    changes = {
        "ours, a tenth": {"share": 0.1},
        "ours, without scales": {"scaled": False},
        "ours, labels as they are": {"soft_labels": False},
        "ours, not interpolated": {"interpolated": False},
        "ours, filters alone": {"scaled": False, "soft_labels": False, "interpolated": False},
    }
    known = inspect.signature(tune_sensitive_filters).parameters
    assert set(script.IDEAS) == set(changes)
    for name, method in script.IDEAS.items():
        assert method.name == name
        assert method.needs_labels
        assert method.apply.func is tune_sensitive_filters
        assert method.apply.keywords == changes[name]
        # What is not given has another value.
        assert all(known[key].default != value for key, value in changes[name].items())


def test_runs_done_elsewhere_are_where_others_are_added(script, tmp_path):
    runs = pd.concat([make_runs({"most": [0.5, 0.125]}, labels=n) for n in (100, 500)])
    runs.to_csv(tmp_path / "runs.csv", index=False)
    present = tmp_path / "work" / "resnet8-100" / "comparison.csv"
    present.parent.mkdir(parents=True)
    present.write_text("mine")
    script.resume(tmp_path / "runs.csv", tmp_path / "work", "resnet8")
    assert present.read_text() == "mine"
    added = pd.read_csv(tmp_path / "work" / "resnet8-500" / "comparison.csv")
    pd.testing.assert_frame_equal(added, runs.iloc[2:].reset_index(drop=True))
    script.resume(tmp_path / "no such file", tmp_path / "other", "resnet8")
    assert not (tmp_path / "other").exists()


def write_runs(work, labels, digest="0123456789012345"):
    """Runs where the script adds to them, by a network with this digest."""
    runs = make_runs({"most": [0.1 + 0.2, 0.5]}, labels=labels)
    runs = runs.assign(images_sha256="1" * 16, model_sha256=digest)
    folder = work / f"resnet8-{labels}"
    folder.mkdir(parents=True)
    runs.to_csv(folder / "comparison.csv", index=False)


def test_runs_are_put_together_as_they_were_written(script, tmp_path):
    for labels in (500, 2000, 100):
        write_runs(tmp_path, labels)
    script._write(types.SimpleNamespace(work=tmp_path, results=tmp_path, network="resnet8"))
    runs = pd.read_csv(tmp_path / "comparison-resnet8.csv", dtype=str)
    assert runs["labelled_images"].tolist() == ["100", "100", "500", "500", "2000", "2000"]
    assert set(runs["distorted_accuracy"]) == {"0.30000000000000004", "0.5"}
    # Digits alone, and yet no number.
    assert set(runs["model_sha256"]) == {"0123456789012345"}
    assert set(runs["images_sha256"]) == {"1" * 16}


def test_runs_of_two_networks_are_not_put_together(script, tmp_path):
    write_runs(tmp_path, 100)
    write_runs(tmp_path, 500, digest="1123456789012345")
    args = types.SimpleNamespace(work=tmp_path, results=tmp_path / "results", network="resnet8")
    with pytest.raises(ValueError, match=r"Expected runs of one model_sha256 .* Received: 0123"):
        script._write(args)
    assert not args.results.exists()


def test_what_keeping_clean_accuracy_costs(script):
    runs = make_runs({"nothing": [0.4, 0.4], script.CLEAN_KEPT: [0.7, 0.6]}, ("awgn:15", "jpeg"))
    lost = runs["method"].eq(script.CLEAN_KEPT) & runs["distortion"].eq("jpeg")
    runs.loc[lost, "clean_accuracy"] = [0.88, 0.86]
    # A seed that the variant has not been run with, and a cell without it.
    runs = pd.concat([runs, make_runs({"nothing": [0, 0, 0.4]}).iloc[2:]])
    runs = pd.concat([runs, make_runs({"nothing": [0.4]}, ("blur:1",))])
    first, second = script.kept(runs).to_dict("records")
    assert (first["distortion"], first["lost"], first["seeds"]) == ("awgn:15", pytest.approx(0), 2)
    assert first["gained"] == pytest.approx(0.25)
    half = scipy.stats.t.ppf(0.975, 1) * np.std([0.02, 0.04], ddof=1) / np.sqrt(2)
    assert (second["lost"], second["lost_low"]) == pytest.approx((0.03, 0.03 - half))
    assert second["clean"] == pytest.approx(0.87)
