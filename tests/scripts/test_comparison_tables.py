"""What scripts/comparison_tables.py says of runs, against means and intervals worked out here."""

import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from comparison_runs import make_runs
from comparison_tables import (
    CLEAN_KEPT,
    DISTORTIONS,
    OURS,
    RESULTS,
    kept,
    kept_before,
    main,
    overview,
    parts,
    summarise,
    verdicts,
)


def test_means_and_intervals():
    values = [0.7, 0.72, 0.77]
    row = summarise(make_runs({"most": values})).iloc[0]
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
def test_ours_beside_the_best_rival_and_the_papers(ours, verdict):
    runs = make_runs(
        {
            "most": [0.70, 0.72, 0.71],
            "rival": [0.79, 0.80, 0.81],
            "worse": [0.5, 0.5, 0.5],
            OURS: ours,
            # No rival, though it is better.
            "ours, a tenth": [0.9, 0.9, 0.9],
            "left out": [None, None, None],
        }
    )
    (row,) = verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"]) == ("rival", verdict)
    assert row["ours"] == pytest.approx(np.mean(ours))
    assert row["rival_low"] == pytest.approx(0.8 - 0.0248, abs=1e-4)
    assert row["over_most"] == pytest.approx(np.mean(ours) - 0.71)
    over = np.array(ours) - [0.79, 0.80, 0.81]
    half = scipy.stats.t.ppf(0.975, 2) * np.std(over, ddof=1) / np.sqrt(3)
    found = [row[f"over_rival{end}"] for end in ("", "_low", "_high")]
    assert found == pytest.approx([over.mean(), over.mean() - half, over.mean() + half])
    # Of two or three points, by an interval of 2.48 to either side, the latter alone is sure.
    assert row["rivals_ahead"] == (verdict == "below")


def test_a_rival_is_judged_over_the_seeds_that_it_has():
    ours = [0.7, 0.7, 0.7, 0.9, 0.9]
    runs = make_runs({"most": [0.6] * 5, "rival": [0.8, 0.81, 0.82], OURS: ours})
    (row,) = verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("rival", "below", 3)
    assert (row["ours"], row["rival"]) == pytest.approx((0.7, 0.81))
    # The paper's has all five.
    assert row["over_most"] == pytest.approx(np.mean(ours) - 0.6)


def test_two_seeds_of_a_rival_do_not_hide_that_ours_is_below_another():
    ours = [0.60, 0.61, 0.60, 0.61, 0.60]
    runs = make_runs(
        {
            "most": [0.5] * 5,
            "whole network": [0.64, 0.65, 0.64, 0.65, 0.64],
            "head": [0.63, 0.67],
            OURS: ours,
        }
    )
    (row,) = verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("whole network", "below", 5)


def test_a_rival_with_one_seed_is_none_beside_others_and_no_rival_need_have_all():
    runs = make_runs({"most": [0.6, 0.62], "begun": [0.9], OURS: [0.7] * 3})
    (row,) = verdicts(runs).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("most", "best", 2)


@pytest.mark.parametrize("ours", [0.5, 0.9])
def test_one_seed_is_no_verdict(ours):
    (row,) = verdicts(make_runs({"most": [0.7], OURS: [ours]})).to_dict("records")
    assert (row["best_rival"], row["verdict"], row["seeds"]) == ("most", "open", 1)
    assert (row["rivals_ahead"], row["over_rival"]) == (0, pytest.approx(ours - 0.7))


def test_without_a_common_seed_there_is_no_row():
    runs = make_runs({"most": [None, 0.7], OURS: [0.7, None]})
    assert verdicts(runs).empty


def test_the_overview_has_the_best_on_average_first():
    runs = make_runs({"a": [0.5], "b": [0.6]}, DISTORTIONS)
    incomplete = make_runs({"c": [0.9]}, DISTORTIONS[:2])
    table = overview(pd.concat([runs, incomplete]))
    assert table["method"].tolist() == ["b", "a", "c"]
    assert table["distorted"].tolist() == ["60.0%", "50.0%", ""]
    assert table.iloc[2][DISTORTIONS[0]] == "90.0%"
    assert table.iloc[2][DISTORTIONS[4]] == ""


def test_a_method_with_fewer_seeds_has_its_place_by_those_that_it_shares():
    # Two points ahead in the one seed that is easy for both, one behind in the mean.
    runs = make_runs({OURS: [0.6, 0.8], "behind": [0.79, 0.6]}, DISTORTIONS)
    runs = pd.concat([runs, make_runs({"ahead": [0.62]}, DISTORTIONS)])
    table = overview(runs)
    assert table["method"].tolist() == ["ahead", OURS, "behind"]
    assert table["distorted"].tolist() == ["62.0%", "70.0%", "69.5%"]


def test_what_keeping_clean_accuracy_costs():
    runs = make_runs({"nothing": [0.4, 0.4], CLEAN_KEPT: [0.7, 0.6]}, ("awgn:15", "jpeg"))
    lost = runs["method"].eq(CLEAN_KEPT) & runs["distortion"].eq("jpeg")
    runs.loc[lost, "clean_accuracy"] = [0.88, 0.86]
    # A seed that the variant has not been run with, and a cell without it.
    runs = pd.concat([runs, make_runs({"nothing": [0, 0, 0.4]}).iloc[2:]])
    runs = pd.concat([runs, make_runs({"nothing": [0.4]}, ("blur:1",))])
    first, second = kept(runs).to_dict("records")
    assert (first["distortion"], first["lost"], first["seeds"]) == ("awgn:15", pytest.approx(0), 2)
    assert first["gained"] == pytest.approx(0.25)
    half = scipy.stats.t.ppf(0.975, 1) * np.std([0.02, 0.04], ddof=1) / np.sqrt(2)
    assert (second["lost"], second["lost_low"]) == pytest.approx((0.03, 0.03 - half))
    assert second["clean"] == pytest.approx(0.87)


def test_how_far_a_method_is_from_ours_seed_by_seed():
    runs = [make_runs({OURS: [0.6, 0.7], "a": [0.62, 0.71]}, [kind]) for kind in DISTORTIONS]
    # The third seed is not everywhere, and the last method was run once.
    runs.append(make_runs({"a": [0, 0, 0.9], OURS: [0, 0, 0.1]}).iloc[[2, 5]])
    runs.append(make_runs({"b": [0.5]}, DISTORTIONS))
    runs.append(make_runs({"c": [0.5]}))
    table = overview(pd.concat(runs)).set_index("method")["beside ours"]
    half = scipy.stats.t.ppf(0.975, 1) * np.std([2, 1], ddof=1) / np.sqrt(2)
    assert table["a"] == f"+1.5 ({1.5 - half:+.1f} to {1.5 + half:+.1f})"
    assert table[["b", "c", OURS]].tolist() == ["-10.0", "", ""]


def test_the_parts_of_ours_on_both_networks():
    first, second = (
        make_runs({OURS: [0.5], "a": [0.5], "ours, half": [value]}, DISTORTIONS)
        for value in (0.6, 0.3)
    )
    more = make_runs({OURS: [0.5], "ours, half": [0.4]}, DISTORTIONS, labels=100)
    begun = make_runs({"ours, begun": [0.4]})
    table = parts({"one": first, "two": pd.concat([second, more, begun])})
    assert table.to_dict("records") == [
        {"labels": 100, "method": "ours, half", "one": "", "two": "-10.0"},
        {"labels": 500, "method": "ours, half", "one": "+10.0", "two": "-20.0"},
    ]


def test_what_ideas_before_the_variant_lost_and_gained():
    runs = make_runs({"nothing": [0.4], CLEAN_KEPT: [0.9, 0.7, 0]}, ("jpeg", "blur:1"))
    source = runs.assign(model_sha256="a")
    idea = make_runs({"kept": [0.7, 0.6]}, ("jpeg", "blur:1")).assign(model_sha256="a")
    idea["clean_accuracy"] = [0.9, 0.88, 0.86, 0.84]
    (row,) = kept_before(source, {"first": idea}).to_dict("records")
    assert row == {
        **{"idea": "first", "labels": 500, "lost": 3.0, "lost where most": 5.0},
        **{"gained": 25.0, "gained now": 40.0, "distortions": 2, "runs": 4},
    }


def test_the_tables_of_the_documentation_are_those_of_its_runs(tmp_path, monkeypatch):
    for path in [
        *(RESULTS / f"comparison-{network}.csv" for network in ("resnet8", "cifar10_cnn")),
        *RESULTS.glob("idea-*.csv"),
    ]:
        shutil.copy(path, tmp_path)
    monkeypatch.setattr("sys.argv", ["comparison_tables.py", "--results", str(tmp_path)])
    main()
    written = {path.name for path in tmp_path.iterdir()}
    for name in written:
        assert (tmp_path / name).read_bytes() == (RESULTS / name).read_bytes(), name
    assert len(written) == 2 * 5 + 3 + 2
