"""Verdicts follow from the numbers: on tables made so that the answer is known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kerasft.experiments.claims import claims

BOTH = ("blur:1", "awgn:15")


def _figure5(accuracy, methods=("most", "least", "random", "all"), seeds=3, sizes=(100, 500)):
    """Rows of Figure 5 with `accuracy(distortion, size, method, seed)`."""
    rows = [
        {
            "distortion": distortion,
            "size": size,
            "method": method,
            "seed": seed,
            "distorted_accuracy": accuracy(distortion, size, method, seed),
            "clean_accuracy": 0.7,
            "trained_parameters": 25 if method == "most" else 100,
            "best_epoch": 10,
            "seconds_to_best": 1.0,
            "seconds_per_step": 0.1,
        }
        for distortion, size, method, seed in itertools.product(
            (*BOTH, "blur:1.5", "awgn:25", "blur:0.5", "awgn:5"), sizes, methods, range(seeds)
        )
    ]
    return pd.DataFrame(rows)


def _verdict(folder, rows, claim, stem="figure5"):
    name = "table1-net-awgn15.csv" if stem == "table1" else f"{stem}-net.csv"
    rows.assign(model_sha256="0" * 16).to_csv(folder / name, index=False)
    table = claims(folder, "net")
    row = table[table["claim"].str.contains(claim, regex=False)]
    assert len(row) == 1
    return row["verdict"].iloc[0], row["ours"].iloc[0]


LEAST = "`most` is better than `least`"


def _noise(seed):
    return 0.001 * seed


def test_without_runs_nothing_is_judged(tmp_path):
    table = claims(tmp_path, "net")
    assert set(table["verdict"]) == {"cannot be judged"}
    assert set(table["file"]) == {""}
    assert len(table) == 14


def test_a_difference_in_every_cell_holds(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * (0.02 + _noise(s)))
    verdict, ours = _verdict(tmp_path, rows, LEAST)
    assert verdict == "holds"
    # Mean of 2, 2.1 and 2.2 points; Student's t with two degrees of freedom.
    assert ours.startswith("+2.1 (+1.9 to +2.3) points in the mean of 12 cells; over 0 in 12")


def test_methods_that_were_not_run_are_not_judged(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7, methods=("most",))
    assert _verdict(tmp_path, rows, LEAST)[0] == "cannot be judged"
    assert _verdict(tmp_path, rows, "Several layers")[0] == "cannot be judged"


def test_claims_about_levels_and_sizes_look_at_these_alone(tmp_path):
    def accuracy(distortion, size, method, seed):
        gain = 0.02 if distortion in BOTH and size <= 500 else -0.02
        return 0.7 + (method == "most") * (gain + _noise(seed))

    rows = _figure5(accuracy, sizes=(100, 500, 15_000))
    assert _verdict(tmp_path, rows, "for small sets at the central level")[0] == "holds"
    assert _verdict(tmp_path, rows, "for large sets")[0] == "holds"
    assert _verdict(tmp_path, rows, "at high levels")[0] == "holds"
    assert _verdict(tmp_path, rows, LEAST)[0] != "holds"


def test_a_claim_about_levels_that_were_not_all_run_is_open(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * (0.02 + _noise(s)))
    rows = rows[rows["distortion"] != "awgn:25"]
    verdict, ours = _verdict(tmp_path, rows, LEAST)
    assert verdict == "cannot be judged"
    # What was run is shown all the same.
    assert ours.startswith("+2.1 (+1.9 to +2.3) points in the mean of 10 cells")
    assert ours.endswith("; too few runs under awgn:25")
    assert _verdict(tmp_path, rows, "at high levels")[0] == "cannot be judged"


def test_at_least_as_good_allows_a_point(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * (0.003 + _noise(s)))
    assert _verdict(tmp_path, rows, "at high levels")[0] == "holds"
    rows = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * (0.013 + _noise(s)))
    assert _verdict(tmp_path, rows, "at high levels")[0] == "does not hold"


def test_low_levels_are_compared_with_the_network_before(tmp_path):
    def rows(gain):
        before = _figure5(lambda d, n, m, s: 0.7, methods=("none",), seeds=1, sizes=(0,))
        return pd.concat([before, _figure5(lambda d, n, m, s: 0.7 + gain)])

    assert _verdict(tmp_path, rows(0.01), "Low levels")[0] == "holds"
    assert _verdict(tmp_path, rows(0.05), "Low levels")[0] == "does not hold"


def test_a_quarter_of_the_parameters_is_fewer_and_equal_epochs_are_not_faster(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7)
    assert _verdict(tmp_path, rows, "fewer parameters") == ("holds", "25.0% of those of `all`")
    rows["trained_parameters"] = 100
    assert _verdict(tmp_path, rows, "fewer parameters")[0] == "does not hold"


@pytest.mark.parametrize(
    ("most", "verdict"),
    [
        ((4, 5, 6), "holds"),
        ((20, 21, 22), "does not hold"),
        # Half and twice are no faster on average.
        ((5, 10, 20), "cannot be judged"),
    ],
)
def test_epochs_are_compared_by_their_ratio(tmp_path, most, verdict):
    rows = _figure5(lambda d, n, m, s: 0.7)
    chosen = rows["method"] == "most"
    rows.loc[chosen, "best_epoch"] = rows.loc[chosen, "seed"].map(dict(enumerate(most)))
    found, ours = _verdict(tmp_path, rows, "converges faster")
    assert found == verdict
    middle = float(np.exp(np.log(most).mean() - np.log(10)))
    assert ours.startswith(f"{middle:.2f} (")


def test_a_seed_that_has_been_begun_changes_no_epochs(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7)
    chosen = rows["method"] == "most"
    rows.loc[chosen, "best_epoch"] = 5 + rows.loc[chosen, "seed"]
    whole = _verdict(tmp_path, rows, "converges faster")
    begun = rows[(rows["seed"] == 0) & (rows["distortion"] == "blur:1") & (rows["size"] == 100)]
    more = pd.concat([rows, begun.assign(seed=3, best_epoch=80)])
    assert _verdict(tmp_path, more, "converges faster") == whole


def _rankings(agree):
    """Rankings of 40 filters by two distortions; the votes agree or are at random."""
    generator = np.random.default_rng(0)
    rows = []
    for distortion, part in itertools.product(BOTH, range(2)):
        votes = 200
        points = np.zeros(40, int)
        for _ in range(votes):
            order = np.arange(40) if agree else generator.permutation(40)
            points[order[:10]] += np.arange(10, 0, -1)
        rows += [
            {
                "distortion": distortion, "part": part, "parts": 2, "pairs": 400,
                "layer": "conv1", "filter": index, "borda_count": int(count),
                "mean_distance": 1.0, "votes": votes,
            }
            for index, count in enumerate(points)
        ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("claim", "at_random"),
    # Two parts leave open how many of the set match.
    [("concentrated", "does not hold"), ("nearly independent", "cannot be judged")],
)
def test_rankings_that_agree_are_told_from_random_ones(tmp_path, claim, at_random):
    assert _verdict(tmp_path, _rankings(agree=True), claim, "rankings")[0] == "holds"
    assert _verdict(tmp_path, _rankings(agree=False), claim, "rankings")[0] == at_random


def test_what_higher_layers_have_in_common_is_not_what_the_paper_says(tmp_path):
    first = _rankings(agree=False)
    higher = _rankings(agree=True)
    rows = [first.assign(layer="conv1"), *(higher.assign(layer=f"conv{i}") for i in (2, 3))]
    found = _verdict(tmp_path, pd.concat(rows), "nearly independent", "rankings")[0]
    assert found == "cannot be judged"


def test_the_control_is_judged_like_the_least(tmp_path):
    rows = _figure5(lambda d, n, m, s: 0.7 + (m in ("most", "random")) * 0.02 + _noise(s))
    assert _verdict(tmp_path, rows, LEAST)[0] == "holds"
    for where in ("everywhere", "for small sets"):
        found, ours = _verdict(tmp_path, rows, f"as many filters at random {where}")
        assert found == "cannot be judged"
        assert ours.startswith("+0.0 (+0.0 to +0.0) points in the mean of 12 cells; over 0 in 0")
    large = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * 0.02, sizes=(15_000,))
    assert _verdict(tmp_path, large, "as many filters at random everywhere")[0] == "holds"
    found = _verdict(tmp_path, large, "as many filters at random for small sets")[0]
    assert found == "cannot be judged"


@pytest.mark.parametrize("claim", ["concentrated", "nearly independent"])
def test_rankings_without_an_interval_are_open(tmp_path, claim):
    rows = _rankings(agree=True)
    rows = rows[rows["part"] == 0].assign(parts=1)
    assert _verdict(tmp_path, rows, claim, "rankings")[0] == "cannot be judged"


def _table1(best):
    return pd.DataFrame(
        [
            {
                "features": features, "metric": metric, "exemplars": 1, "layer": layer,
                "subset": subset, "matches": 5 + 3 * ((features, metric) == best),
                "selected": 8, "chance": 2.0,
            }
            for features, metric in (
                ("pixels", "euclidean"), ("feature_maps", "euclidean"), ("feature_maps", "hamming"),
            )
            for layer in ("conv1", "conv2")
            for subset in range(3)
        ]
    )  # fmt: skip


def test_the_best_exemplars_are_named(tmp_path):
    rows = _table1(("pixels", "euclidean"))
    verdict, ours = _verdict(tmp_path, rows, "Exemplars by pixels", "table1")
    assert verdict == "holds"
    assert ours.startswith("16.0 of 16 filters in all layers; more than by maps, euclidean +6.0")
    rows = _table1(("feature_maps", "hamming"))
    assert _verdict(tmp_path, rows, "Exemplars by pixels", "table1")[0] != "holds"


@pytest.mark.parametrize(
    ("rivals", "verdict"),
    [
        # Filters more, of each draw, than by maps and Euclidean or Hamming distance.
        (((6, 7, 8), (6, 7, 8)), "holds"),
        (((6, 7, 8), (-1, 0, 1)), "holds partly"),
        (((-8, -7, -6), (-1, 0, 1)), "does not hold"),
        (((-1, 0, 1), (-1, 0, 1)), "cannot be judged"),
    ],
)
def test_exemplars_as_good_are_told_from_worse_ones(tmp_path, rivals, verdict):
    rows = _table1(("pixels", "euclidean")).assign(matches=10)
    for metric, more in zip(("euclidean", "hamming"), rivals, strict=True):
        chosen = (rows["features"] == "feature_maps") & (rows["metric"] == metric)
        chosen &= rows["layer"] == "conv1"
        rows.loc[chosen, "matches"] -= rows.loc[chosen, "subset"].map(dict(enumerate(more)))
    assert _verdict(tmp_path, rows, "Exemplars by pixels", "table1")[0] == verdict


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        ("over", "over", "holds"),
        ("over", "under", "holds partly"),
        ("over in most", "under", "holds partly"),
        ("under", "level", "does not hold"),
        ("level", "level", "cannot be judged"),
    ],
)
def test_several_layers_are_judged_against_each(tmp_path, first, last, verdict):
    against = {"most in first layer": first, "most in last layer": last}

    def accuracy(distortion, size, method, seed):
        gain = 0.01 + _noise(seed)
        gains = {
            "over": gain,
            "under": -gain,
            "level": 0.01 * (seed - 1),
            "over in most": -gain if (distortion, size) == ("awgn:15", 100) else 4 * gain,
        }
        return 0.7 - gains.get(against.get(method), 0)

    rows = _figure5(accuracy, methods=("most", *against))
    assert _verdict(tmp_path, rows, "Several layers")[0] == verdict


def test_a_summary_beside_the_runs_is_not_taken_for_them(tmp_path):
    (tmp_path / "figure5-net.summary.csv").write_text("nonsense\n")
    rows = _figure5(lambda d, n, m, s: 0.7 + (m == "most") * (0.02 + _noise(s)))
    assert _verdict(tmp_path, rows, LEAST)[0] == "holds"


def test_disparity_falls_and_more_for_most(tmp_path):
    def rows(most, all_):
        return pd.DataFrame(
            [
                {
                    "distortion": "awgn:15", "size": size, "method": method, "seed": seed,
                    "layer": "conv1", "disparity": disparity + _noise(seed), "share": 0.1,
                    "distorted_accuracy": 0.7,
                }
                for method, size, disparity in (
                    ("none", 0, 100.0), ("most", 500, most), ("all", 500, all_),
                )
                for seed in range(1 if method == "none" else 3)
            ]
        )  # fmt: skip

    def scattered(most, all_):
        table = rows(most, all_)
        away = (table["seed"] - 1) * 60 * (table["method"] != "none")
        return table.assign(disparity=table["disparity"] + away)

    claim = "Disparity falls"
    # Sure to be less for `most`, but whether it falls is not.
    assert _verdict(tmp_path, scattered(80.0, 90.0), claim, "figure6")[0] == "cannot be judged"
    assert _verdict(tmp_path, scattered(90.0, 80.0), claim, "figure6")[0] == "does not hold"
    assert _verdict(tmp_path, rows(80.0, 90.0), claim, "figure6")[0] == "holds"
    assert _verdict(tmp_path, rows(90.0, 80.0), claim, "figure6")[0] == "holds partly"
    assert _verdict(tmp_path, rows(120.0, 110.0), claim, "figure6")[0] == "does not hold"
    assert _verdict(tmp_path, rows(110.0, 120.0), claim, "figure6")[0] == "does not hold"
    larger = rows(70.0, 60.0).query("method != 'none'").assign(size=5000)
    both = pd.concat([rows(80.0, 90.0), larger])
    verdict, ours = _verdict(tmp_path, both, claim, "figure6")
    assert verdict == "holds partly"
    sizes = [part.partition(": ")[0] for part in ours.split("; ")[:2]]
    assert sizes == ["awgn:15, 500 images", "awgn:15, 5,000 images"]
    assert ours.endswith("in 1 of 2 cases, above in 1")


def test_runs_of_two_networks_are_not_judged_together(tmp_path):
    _verdict(tmp_path, _figure5(lambda d, n, m, s: 0.7), LEAST)
    _rankings(agree=True).assign(model_sha256="1" * 16).to_csv(tmp_path / "rankings-net.csv")
    with pytest.raises(ValueError, match="runs of one network"):
        claims(tmp_path, "net")


def test_a_line_cut_off_is_refused(tmp_path):
    _verdict(tmp_path, _figure5(lambda d, n, m, s: 0.7), LEAST)
    file = tmp_path / "figure5-net.csv"
    file.write_text(file.read_text()[:-3])
    with pytest.raises(ValueError, match="whole lines"):
        claims(tmp_path, "net")
