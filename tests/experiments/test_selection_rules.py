"""What each rule trains against a selection by hand, and summaries against sums by hand."""

import io

import numpy as np
import pytest

from kerasft.experiments import provenance, selection_rules
from kerasft.experiments.fine_tuning_run import load_baseline
from kerasft.susceptibility import rank_filters

# Student's t with two degrees of freedom, per standard deviation of three runs.
HALF = 4.30265 / 3**0.5

# By rule and share, of three seeds.
ACCURACIES = {
    ("fraction", 0.1): (0.50, 0.54, 0.58),
    ("fraction", 0.25): (0.54, 0.56, 0.58),
    ("fraction", 1.0): (0.60, 0.60, 0.60),
    ("threshold", 0.1): (0.53, 0.55, 0.60),
    ("threshold", 0.25): (0.54, 0.56, 0.58),
}


@pytest.fixture
def make_rows(as_from_a_file):
    """Rows of runs with these accuracies, as from a results file."""

    def make(accuracies=ACCURACIES, seeds=(0, 1, 2), distortions=("blur:1",), sizes=(500,)):
        rows = []
        for distortion in distortions:
            for size in sizes:
                for (rule, share), values in accuracies.items():
                    for seed in seeds:
                        row = {"distortion": distortion, "size": size, "rule": rule}
                        row |= {"share": share, "seed": seed, "distorted_accuracy": values[seed]}
                        row |= dict.fromkeys(selection_rules.VALUES[1:], 1.0)
                        rows.append(row)
        return as_from_a_file(rows)

    return make


def test_the_grid_has_both_rules_and_all_filters_once():
    grid = selection_rules.configurations()
    # Two distortions, two sizes, three seeds; six fractions and five thresholds.
    assert len(grid) == 2 * 2 * 3 * 11
    assert len({tuple(c.values()) for c in grid}) == len(grid)
    assert {c["rule"] for c in grid if c["share"] == 1} == {"fraction"}
    assert set(grid[0]) == {"distortion", "size", "rule", "share", "seed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ("fraction", "best")}, r"Expected rules of fraction, threshold\..*'best'"),
        ({"shares": (0.5, 0)}, r"Expected shares over 0 and at most 1\. Received: 0\."),
        ({"shares": (1.5,)}, r"Received: 1\.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        selection_rules.configurations(**options)


@pytest.fixture(scope="module")
def small_grid(run_small_grid):
    """Rows of seed 1, which is not what would be taken without one."""
    cells = {"distortions": ("blur:1",), "sizes": (60,), "seeds": 1}
    grid = selection_rules.configurations(**cells, rules=("fraction",), shares=(0.1, 0.25, 1.0))
    grid += selection_rules.configurations(**cells, rules=("threshold",), shares=(0.25,))
    return run_small_grid(selection_rules, [{**configuration, "seed": 1} for configuration in grid])


def ranking(bench, distortion, size, seed):
    rows = bench.store.draw(size, seed)
    pairs = bench.store.train(rows)[0], bench.store.train(rows, distortion)[0]
    return rank_filters(load_baseline(bench.model), *pairs, layers=["conv1", "conv2"])


def parameters(conv1, conv2):
    return conv1 * (9 + 1) + conv2 * (9 * 32 + 1)


@pytest.mark.parametrize(("number", "share"), [(0, 0.1), (2, 1.0)])
def test_a_fraction_is_of_each_layer(small_grid, number, share):
    row = small_grid[0].iloc[number]
    conv1, conv2 = int(share * 32), int(share * 64)
    assert (row["rule"], row["share"]) == ("fraction", share)
    assert row["filters"] == conv1 + conv2
    assert row["trained_parameters"] == parameters(conv1, conv2)


def test_a_threshold_is_one_for_all_layers(bench, small_grid):
    row = small_grid[0].iloc[3]
    assert (row["rule"], row["share"]) == ("threshold", 0.25)
    distances = {
        name: layer.mean_distance for name, layer in ranking(bench, "blur:1", 60, 1).items()
    }
    together = np.sort(np.concatenate(list(distances.values())))[::-1]
    over = {name: int((values >= together[23]).sum()) for name, values in distances.items()}
    # A quarter of 96 filters, but not a quarter of each layer.
    assert row["filters"] == sum(over.values()) == 24
    assert over["conv1"] != 8
    assert row["trained_parameters"] == parameters(over["conv1"], over["conv2"])


@pytest.mark.parametrize(("number", "name"), [(1, "fraction"), (3, "threshold_share")])
def test_accuracies_of_a_run_are_those_of_its_network(bench, small_grid, number, name):
    table, runs = small_grid
    row = table.iloc[number]
    asked, trained = runs[number]
    assert asked == {"bench": bench, "distortion": "blur:1", "size": 60, "seed": 1, name: 0.25}
    for column, distortion in (("distorted_accuracy", "blur:1"), ("clean_accuracy", None)):
        images, labels = bench.store.test(distortion)
        right = trained.model.predict(images, verbose=0).argmax(axis=1) == labels
        assert row[column] == pytest.approx(right.mean())
    accuracies = {"distorted_accuracy", "clean_accuracy"}
    given = {"run", "distortion", "size", "rule", "share", "seed"}
    given |= {*bench.settings(), *provenance()}
    assert set(table.columns) - given == {*accuracies, *trained.columns}
    assert row["filters"] == trained.columns["filters"]


def test_a_grid_of_runs_gives_a_summary_a_figure_and_a_text(small_grid):
    rows, _ = small_grid
    assert len(selection_rules.summarise(rows)) == 4
    selection_rules.draw(rows).savefig(io.BytesIO())
    assert len(selection_rules.describe(rows)) == 3


def test_means_and_intervals_are_over_the_seeds(make_rows):
    summary = selection_rules.summarise(make_rows()).set_index(["rule", "share"])
    assert len(summary) == 5
    row = summary.loc[("fraction", 0.1)]
    assert (row["distorted_accuracy"], row["seeds"]) == (0.54, 3)
    # 0.50, 0.54 and 0.58 have the standard deviation 0.04.
    assert row["distorted_accuracy_high"] == pytest.approx(0.54 + 0.04 * HALF, abs=1e-5)
    assert row["distorted_accuracy_low"] == pytest.approx(0.54 - 0.04 * HALF, abs=1e-5)


def test_rules_are_compared_seed_by_seed_at_the_same_share(make_rows):
    table = selection_rules.rule_differences(make_rows()).set_index("share")
    # Of 0.1: 0.03, 0.01, 0.02. All filters are no threshold.
    assert table["difference"].round(5).to_dict() == {0.1: 0.02, 0.25: 0}
    assert table.loc[0.1, "difference_low"] == pytest.approx(0.02 - 0.01 * HALF, abs=1e-5)
    assert table["seeds"].tolist() == [3, 3]


def test_shares_are_compared_with_the_quarter_seed_by_seed(make_rows):
    table = selection_rules.share_differences(make_rows()).set_index("share")
    # Of 0.1: -0.04, -0.02, 0; of 1: 0.06, 0.04, 0.02.
    assert table["difference"].round(5).to_dict() == {0.1: -0.02, 1.0: 0.04}
    np.testing.assert_allclose(
        table["difference_high"], [-0.02 + 0.02 * HALF, 0.04 + 0.02 * HALF], atol=1e-5
    )


def test_the_text_names_the_best_and_compares(make_rows):
    best, shares, rules = selection_rules.describe(make_rows())
    assert best == (
        "Highest of 5 mean accuracies under blur:1 with 500 images: 60.0% (60.0% to 60.0%) by 100% "
        "of each layer's filters; the paper's quarter of each layer has 56.0% (51.0% to 61.0%)."
    )
    assert shares.endswith("10%: -2.0 (-7.0 to +3.0); 100%: +4.0 (-1.0 to +9.0).")
    assert rules.endswith("10%: +2.0 (-0.5 to +4.5); 25%: +0.0 (+0.0 to +0.0).")
    threshold = {**ACCURACIES, ("threshold", 0.1): (0.9, 0.9, 0.9)}
    assert (
        "by one threshold over which 10% of all filters lie"
        in selection_rules.describe(make_rows(threshold))[0]
    )


def test_one_seed_has_no_intervals(make_rows):
    rows = make_rows(seeds=[1])
    assert selection_rules.summarise(rows)["distorted_accuracy_low"].isna().all()
    selection_rules.draw(rows).savefig(io.BytesIO())
    best, shares, rules = selection_rules.describe(rows)
    assert "60.0% by 100%" in best
    assert shares.endswith("10%: -2.0; 100%: +4.0.")
    assert rules.endswith("10%: +1.0; 25%: +0.0.")


def curves(axes):
    """Of a panel: its curves by colour, accuracies by share."""
    return {
        line.get_color(): dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
        if len(line.get_xdata()) > 0 and line.get_marker() == "o"
    }


def test_the_figure_has_a_panel_for_each_cell_and_a_curve_for_each_rule(make_rows):
    rows = make_rows(distortions=("blur:1", "awgn:15"), sizes=(5000, 500))
    figure = selection_rules.draw(rows)
    figure.savefig(io.BytesIO())
    assert [axes.get_title() for axes in figure.axes] == [
        "blur:1, 500 images",
        "blur:1, 5,000 images",
        "awgn:15, 500 images",
        "awgn:15, 5,000 images",
    ]
    for axes in figure.axes:
        assert curves(axes) == {
            "C0": {0.1: 0.54, 0.25: 0.56, 1: 0.6},
            "C1": {0.1: 0.56, 0.25: 0.56},
        }
    assert len(figure.legends[0].get_texts()) == 3


@pytest.mark.parametrize("rule", ["fraction", "threshold"])
def test_one_rule_alone_keeps_its_colour(make_rows, rule):
    rows = make_rows({k: v for k, v in ACCURACIES.items() if k[0] == rule})
    figure = selection_rules.draw(rows)
    figure.savefig(io.BytesIO())
    assert list(curves(figure.axes[0])) == ["C0" if rule == "fraction" else "C1"]
    assert selection_rules.rule_differences(rows).empty
    assert len(selection_rules.describe(rows)) == (2 if rule == "fraction" else 1)


def test_grids_that_are_not_finished(make_rows):
    rows = make_rows(distortions=("blur:1", "awgn:15"), sizes=(500, 5000))
    missing = (rows["distortion"] == "awgn:15") & (rows["size"] == 5000)
    no_quarter = (rows["distortion"] == "blur:1") & (rows["share"] == 0.25)
    rows = rows[~missing & ~no_quarter]
    figure = selection_rules.draw(rows)
    figure.savefig(io.BytesIO())
    assert curves(figure.axes[3]) == {}
    sentences = selection_rules.describe(rows)
    # Three cells have a best; one has a quarter; in three the rules are compared.
    assert len(sentences) == 3 + 1 + 3
    assert "quarter" not in sentences[0]
    assert not any("nan" in sentence for sentence in sentences)
