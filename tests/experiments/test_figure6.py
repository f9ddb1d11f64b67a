"""Disparities of runs against the maps themselves, summaries against sums by hand."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from kerasft.experiments import figure6
from kerasft.experiments.fine_tuning_run import load_baseline
from kerasft.invariance import disparity_maps


@pytest.fixture
def make_rows(as_from_a_file):
    """Rows of runs with these disparities, as from a results file.

    Of the example map of every run the first location differs by the
    disparity, the others not at all.
    """

    def make(disparities):
        rows = []
        for (method, seed, layer), disparity in disparities.items():
            example = json.dumps([[int(disparity), 0], [0, 0]])
            configuration = {
                "distortion": "awgn:15",
                "size": 0 if method == "none" else 5000,
                "method": method,
                "seed": seed,
            }
            values = {
                "layer": layer,
                "disparity": disparity,
                "share": disparity / 100,
                "distorted_accuracy": 0.5 + seed / 10,
                "example_map": example,
                "mean_map": example,
            }
            rows.append({**configuration, **values})
        return as_from_a_file(rows)

    return make


# Of conv1, most minus all: -1, -3, -2; of conv2: 1, -1, 0.
DISPARITIES = {
    ("none", 0, "conv1"): 20.0,
    ("none", 0, "conv2"): 8.0,
    ("most", 0, "conv1"): 10.0,
    ("most", 0, "conv2"): 5.0,
    ("all", 0, "conv1"): 11.0,
    ("all", 0, "conv2"): 4.0,
    ("most", 1, "conv1"): 12.0,
    ("most", 1, "conv2"): 9.0,
    ("all", 1, "conv1"): 15.0,
    ("all", 1, "conv2"): 10.0,
    ("most", 2, "conv1"): 14.0,
    ("most", 2, "conv2"): 7.0,
    ("all", 2, "conv1"): 16.0,
    ("all", 2, "conv2"): 7.0,
}

# Student's t with two degrees of freedom, per standard deviation of three runs.
HALF = 4.30265 / 3**0.5


def test_the_grid_is_the_papers():
    grid = figure6.configurations()
    assert len(grid) == 7
    assert grid[0] == {"distortion": "awgn:15", "size": 0, "method": "none", "seed": 0}
    assert {(c["size"], c["method"], c["seed"]) for c in grid[1:]} == {
        (5000, method, seed) for method in ("most", "all") for seed in range(3)
    }


def test_the_network_before_is_measured_once_for_each_distortion():
    grid = figure6.configurations(("blur:1", "awgn:15"), size=100, seeds=2)
    before = [c["distortion"] for c in grid if c["method"] == "none"]
    assert before == ["blur:1", "awgn:15"]
    assert len(grid) == 2 + 2 * 2 * 2


@pytest.fixture(scope="module")
def small_grid(run_small_grid):
    """Of seed 1, which is not what would be taken without one."""
    grid = figure6.configurations(("awgn:25",), size=60, seeds=1)
    return run_small_grid(figure6, [{**configuration, "seed": 1} for configuration in grid])


@pytest.mark.parametrize(("number", "method"), [(0, "none"), (1, "most"), (2, "all")])
def test_a_run_measures_the_maps_of_the_test_images(bench, small_grid, number, method):
    table, runs = small_grid
    asked, trained = runs[number]
    size = 0 if method == "none" else 60
    assert asked == {
        "bench": bench, "distortion": "awgn:25", "size": size, "seed": 1, "method": method
    }  # fmt: skip
    rows = table[table["method"] == method].to_dict("records")
    model = trained.model
    clean, labels = bench.store.test()
    distorted, _ = bench.store.test("awgn:25")
    maps = disparity_maps(model, clean, distorted)
    assert [row["layer"] for row in rows] == list(maps) == ["conv1", "conv2"]
    for row, filters in zip(rows, (32, 64), strict=True):
        expected = maps[row["layer"]]
        per_image = expected.sum() / len(clean)
        assert row["disparity"] == pytest.approx(per_image)
        assert row["share"] == pytest.approx(per_image / (expected[0].size * filters))
        assert json.loads(row["example_map"]) == expected[0].tolist()
        np.testing.assert_allclose(
            json.loads(row["mean_map"]), expected.mean(axis=0), rtol=0, atol=0.0005001
        )
        right = model.predict(distorted, verbose=0).argmax(axis=1) == labels
        assert row["distorted_accuracy"] == pytest.approx(right.mean())
        assert row["disparity"] > 0


def test_the_network_before_is_the_one_in_the_file(bench):
    configuration = {"distortion": "blur:1", "size": 0, "method": "none", "seed": 0}
    row = figure6.run(bench, configuration)[0]
    model = load_baseline(bench.model)
    pairs = bench.store.test()[0], bench.store.test("blur:1")[0]
    assert row["disparity"] * len(pairs[0]) == pytest.approx(
        disparity_maps(model, *pairs, layers=["conv1"])["conv1"].sum()
    )


def test_a_grid_of_runs_gives_a_summary_a_figure_and_a_text(small_grid):
    rows, _ = small_grid
    assert len(figure6.summarise(rows)) == 3 * 2
    # Three times two maps for each of two layers, and the colours of each layer.
    assert len(figure6.draw(rows).axes) == 3 * 4 + 2
    assert len(figure6.describe(rows)) == 2 + 2


def test_means_and_intervals_are_over_the_seeds(make_rows):
    summary = figure6.summarise(make_rows(DISPARITIES)).set_index(["method", "layer"])
    assert len(summary) == 6
    assert summary.loc[("none", "conv1"), "disparity"] == 20
    assert np.isnan(summary.loc[("none", "conv1"), "disparity_low"])
    most = summary.loc[("most", "conv1")]
    assert (most["disparity"], most["share"], most["seeds"]) == (12, 0.12, 3)
    # 10, 12 and 14 have the standard deviation 2.
    assert most["disparity_low"] == pytest.approx(12 - 2 * HALF, abs=1e-4)
    assert most["disparity_high"] == pytest.approx(12 + 2 * HALF, abs=1e-4)
    assert most["distorted_accuracy"] == pytest.approx(0.6)


def test_differences_are_paired_by_seed(make_rows):
    table = figure6.differences(make_rows(DISPARITIES)).set_index("layer")
    assert table["difference"].tolist() == [-2, 0]
    # -1, -3 and -2 have the standard deviation 1, however far apart the seeds are.
    np.testing.assert_allclose(table["difference_high"], [-2 + HALF, HALF], atol=1e-4)
    assert table["seeds"].tolist() == [3, 3]


def test_a_seed_with_one_method_has_no_difference(make_rows):
    some = {k: v for k, v in DISPARITIES.items() if k[:2] != ("all", 2)}
    table = figure6.differences(make_rows(some)).set_index("layer")
    assert table.loc["conv1", "difference"] == -2
    assert table["seeds"].tolist() == [2, 2]


def test_the_text_says_whether_the_claims_hold(make_rows):
    falls, lower, conv1, conv2 = figure6.describe(make_rows(DISPARITIES))
    # conv1: 20 to 12 and 14; conv2: 8 to 7 and 7.
    assert "falls by fine-tuning in 4 of 4 cases" in falls
    assert "in 1 of 2 layers; the 95% interval" in lower
    # -2 and 2.48 more or less: it includes 0.
    assert lower.endswith("below 0 in 0, above in 0.")
    assert "before 20.0; `most` 12.0 (7.0 to 17.0), -40.0%; `all` 14.0" in conv1
    assert conv1.endswith("`most` minus `all` -2.0 (-4.5 to +0.5).")
    assert "`conv2`" in conv2
    surely = {k: v - 5 * (k[0] == "most") for k, v in DISPARITIES.items()}
    assert "below 0 in 2, above in 0." in figure6.describe(make_rows(surely))[1]
    against = {k: v + 5 * (k[0] == "most") for k, v in DISPARITIES.items()}
    text = figure6.describe(make_rows(against))[1]
    assert "in 0 of 2 layers" in text
    assert "below 0 in 0, above in 2." in text


def test_one_seed_has_no_intervals(make_rows):
    rows = make_rows({k: v for k, v in DISPARITIES.items() if k[1] == 0})
    assert figure6.summarise(rows)["disparity_low"].isna().all()
    sentences = figure6.describe(rows)
    assert "interval" not in sentences[1]
    assert not any("nan" in sentence for sentence in sentences)
    assert sentences[2].endswith(
        "before 20.0; `most` 10.0, -50.0%; `all` 11.0, -45.0%; `most` minus `all` -1.0."
    )


def labels_and_sums(rows):
    figure = figure6.draw(rows)
    figure.savefig(io.BytesIO())
    axes = [a for a in figure.axes if a.images]
    return (
        [a.get_ylabel().splitlines()[0] for a in axes if a.get_ylabel()],
        [a.get_xlabel() for a in axes],
        [a.images[0].get_clim()[1] for a in axes],
    )


def test_the_figure_has_the_papers_rows_and_one_scale_for_each_layer(make_rows):
    labels, sums, highest = labels_and_sums(make_rows(DISPARITIES))
    assert labels == ["baseline", "all", "most"]
    # Of the first seed.
    assert sums == [f"({n})" for n in (20, 20, 8, 8, 11, 11, 4, 4, 10, 10, 5, 5)]
    assert highest == [20, 20, 8, 8] * 3


@pytest.mark.parametrize(
    ("methods", "labels", "sentences"),
    [
        (["none"], ["baseline"], 0),
        (["most"], ["most"], 2),
        (["most", "all"], ["all", "most"], 3),
        (["none", "all"], ["baseline", "all"], 3),
    ],
)
def test_grids_that_are_not_finished(make_rows, methods, labels, sentences):
    rows = make_rows({k: v for k, v in DISPARITIES.items() if k[0] in methods and k[1] != 1})
    assert len(figure6.summarise(rows)) == 2 * len(methods)
    assert labels_and_sums(rows)[0] == labels
    found = figure6.describe(rows)
    assert len(found) == sentences
    assert not any("nan" in sentence for sentence in found)


def test_several_distortions_and_sizes_stand_below_each_other(make_rows):
    rows = make_rows({k: v for k, v in DISPARITIES.items() if k[1] == 0})
    small = rows[rows["method"] != "none"].assign(size=100)
    blur = rows.assign(distortion="blur:1")
    rows = pd.concat([rows, small, blur])
    assert labels_and_sums(rows)[0] == ["baseline", "all", "most", "all", "most"] + [
        "baseline",
        "all",
        "most",
    ]
    # Three cells, each with its own baseline.
    assert len(figure6.describe(rows)) == 3 * 4


def test_features_that_never_differ_are_drawn_and_told(make_rows):
    rows = make_rows(dict.fromkeys(DISPARITIES, 0.0))
    assert labels_and_sums(rows)[1] == ["(0)"] * 12
    assert "0 of 4 cases" in figure6.describe(rows)[0]
