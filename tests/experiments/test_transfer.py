"""Accuracies of runs against predictions, and what carries over against sums by hand."""

import io

import numpy as np
import pytest

from kerasft.experiments import transfer
from kerasft.experiments.figure5 import DISTORTIONS

BEFORE = {
    "clean": 0.9,
    "blur:0.5": 0.8,
    "blur:1": 0.6,
    "blur:1.5": 0.5,
    "awgn:5": 0.8,
    "awgn:15": 0.6,
    "awgn:25": 0.4,
}

# Student's t with one degree of freedom, per half of the distance of two runs.
HALF = 12.7062


def gain(trained_on, tested_on):
    """What networks gain here, of these levels: a half of it on other levels, a tenth elsewhere."""
    if tested_on == "clean":
        return -0.05
    own = 0.02 if tested_on in ("blur:0.5", "awgn:5") else 0.2
    if trained_on == tested_on:
        return own
    return own / 2 if trained_on[:4] == tested_on[:4] else own / 10


@pytest.fixture
def make_rows(as_from_a_file):
    """Rows of the configurations as from a results file; seed 1 gains a tenth more."""

    def make(configurations):
        rows = []
        for configuration in configurations:
            for tested_on in transfer.TESTED_ON:
                gained = 0.0
                if configuration["method"] != "none":
                    gained = gain(configuration["distortion"], tested_on)
                    gained *= 1 + configuration["seed"] / 10
                accuracy = BEFORE[tested_on] + gained
                rows.append({**configuration, "tested_on": tested_on, "accuracy": accuracy})
        return as_from_a_file(rows)

    return make


def test_the_grid_has_every_distortion_and_one_network_before():
    grid = transfer.configurations()
    assert grid[0] == {"distortion": "clean", "size": 0, "method": "none", "seed": 0}
    assert [c["method"] for c in grid].count("none") == 1
    assert {(c["distortion"], c["method"], c["seed"]) for c in grid[1:]} == {
        (distortion, method, seed)
        for distortion in DISTORTIONS
        for method in ("most", "all")
        for seed in range(3)
    }
    assert {c["size"] for c in grid[1:]} == {2500}


def test_everything_is_tested_on_by_level():
    assert list(transfer.TESTED_ON) == list(BEFORE)


def test_a_distortion_that_is_not_tested_on():
    with pytest.raises(ValueError, match=r"Expected distortions of blur:0\.5, .*'awgn:20'"):
        transfer.configurations(("awgn:15", "awgn:20"))


@pytest.fixture(scope="module")
def small_grid(run_small_grid):
    return run_small_grid(transfer, transfer.configurations(("awgn:25",), size=60, seeds=1))


@pytest.mark.parametrize("number", range(3))
def test_a_run_tests_one_network_on_everything(bench, small_grid, number):
    table, runs = small_grid
    asked, trained = runs[number]
    method = transfer.METHODS[number]
    before = {"distortion": "clean", "size": 0}
    tuned = {"distortion": "awgn:25", "size": 60}
    about = {"bench": bench, "seed": 0, "method": method}
    assert asked == about | (before if method == "none" else tuned)
    rows = table[table["method"] == method]
    assert rows["tested_on"].tolist() == list(transfer.TESTED_ON)
    for row in rows.to_dict("records"):
        images, labels = bench.store.test(None if row["tested_on"] == "clean" else row["tested_on"])
        right = trained.model.predict(images, verbose=0).argmax(axis=1) == labels
        assert row["accuracy"] == pytest.approx(right.mean())
    assert rows["accuracy"].nunique() > 1


def test_a_grid_of_runs_gives_a_summary_a_figure_and_a_text(small_grid):
    rows, _ = small_grid
    summary = transfer.summarise(rows)
    assert len(summary) == 3 * 7
    assert (summary.loc[summary["method"] == "none", "gain"] == 0).all()
    assert summary["gain"].notna().all()
    transfer.draw(rows).savefig(io.BytesIO())
    assert len(transfer.describe(rows)) == 2


def test_the_gain_is_over_the_network_before_on_the_same_images(make_rows):
    rows = make_rows(transfer.configurations(seeds=2))
    summary = transfer.summarise(rows)
    assert len(summary) == 7 + 2 * 6 * 7
    summary = summary.set_index(["method", "distortion", "tested_on"])
    row = summary.loc[("most", "awgn:15", "awgn:25")]
    # 0.1 of the first seed, 0.11 of the second.
    assert row["gain"] == pytest.approx(0.105)
    assert row["accuracy"] == pytest.approx(0.4 + 0.105)
    for name in ("gain", "accuracy"):
        assert row[f"{name}_high"] - row[name] == pytest.approx(0.005 * HALF, abs=1e-5)
    assert summary.loc[("none", "clean", "awgn:25"), "accuracy"] == 0.4


def test_what_carries_over_is_measured_on_the_distortion_tested_on(make_rows):
    rows = make_rows(transfer.configurations(seeds=2))
    table = transfer.carry_over(rows)
    assert len(table) == 2 * 2 * 4
    table = table.set_index(["method", "trained_on", "tested_on"]).sort_index()
    own = 1.05 * (0.02 + 0.2 + 0.2) / 3
    for trained_on in ("blur", "awgn"):
        of = table.loc[("all", trained_on)]
        assert of.loc["the same", "gain"] == pytest.approx(own, abs=1e-5)
        assert of.loc["the same", "carried"] == 1
        # Each level is tested by the two others.
        assert of.loc["other levels", "gain"] == pytest.approx(own / 2, abs=1e-5)
        assert of.loc["other levels", "own_gain"] == pytest.approx(own, abs=1e-5)
        assert of.loc["other levels", "carried"] == pytest.approx(0.5, abs=1e-3)
        assert of.loc["other type", "carried"] == pytest.approx(0.1, abs=1e-3)
        assert of.loc["clean", "gain"] == pytest.approx(1.05 * -0.05)
        assert np.isnan(of.loc["clean", "carried"])
    # Means of a seed are 1 and 1.1 times the same.
    row = table.loc[("all", "blur", "other type")]
    assert row["gain_high"] - row["gain"] == pytest.approx(row["gain"] / 21 * HALF, abs=1e-4)
    assert row["seeds"] == 2


def test_only_what_was_tuned_on_too_is_compared(make_rows):
    rows = make_rows(transfer.configurations(("blur:0.5", "blur:1", "awgn:15"), seeds=1))
    table = transfer.carry_over(rows).set_index(["method", "trained_on", "tested_on"])
    # awgn:5 and awgn:25 are tested on, but nothing was tuned on them.
    other = table.loc[("most", "blur", "other type")]
    assert (other["gain"], other["own_gain"]) == (0.02, 0.2)
    levels = table.loc[("most", "blur", "other levels")]
    assert levels["gain"] == pytest.approx((0.01 + 0.1) / 2)
    assert levels["own_gain"] == pytest.approx((0.02 + 0.2) / 2)
    assert ("most", "awgn", "other levels") not in table.index


def test_seeds_that_are_not_finished_do_not_change_the_means(make_rows):
    grid = transfer.configurations(seeds=1)
    late = {"distortion": "blur:0.5", "size": 2500, "method": "most", "seed": 1}
    table = transfer.carry_over(make_rows([*grid, late]))
    assert table.equals(transfer.carry_over(make_rows(grid)))


def test_nothing_carries_over_where_nothing_was_gained(make_rows):
    rows = make_rows(transfer.configurations(seeds=1))
    rows["accuracy"] = rows["tested_on"].map(BEFORE)
    assert transfer.carry_over(rows)["carried"].isna().all()
    assert not any("nan" in sentence for sentence in transfer.describe(rows))
    transfer.draw(rows).savefig(io.BytesIO())


def test_the_text_says_how_much_carries_over(make_rows):
    sentences = transfer.describe(make_rows(transfer.configurations(seeds=1)))
    assert len(sentences) == 4
    assert sentences[0] == (
        "Accuracy gained by fine-tuning `most` on 2,500 images with blur, in points: at the level "
        "tuned on +14.0; at other levels of blur +7.0, where networks tuned on these gain +14.0: "
        "50%; under awgn +1.4, where networks tuned on these gain +14.0: 10%; on clean images "
        "-5.0."
    )


def matrices(rows):
    """Of every matrix of the figure: its title, the names of its lines, and its values."""
    figure = transfer.draw(rows)
    figure.savefig(io.BytesIO())
    found = [axes for axes in figure.axes if axes.images]
    assert len({axes.images[0].get_clim() for axes in found}) <= 1
    return {
        axes.get_title(): (
            [label.get_text() for label in axes.get_yticklabels()],
            [label.get_text() for label in axes.get_xticklabels()],
            np.ma.filled(axes.images[0].get_array().astype(float), np.nan),
            [text.get_text() for text in axes.texts],
        )
        for axes in found
    }


def test_the_figure_shows_the_gains_of_both_methods(make_rows):
    rows = make_rows(transfer.configurations(seeds=1))
    found = matrices(rows)
    assert list(found) == ["most, 2,500 images", "all, 2,500 images"]
    for lines, columns, values, texts in found.values():
        assert columns == list(transfer.TESTED_ON)
        assert lines == list(transfer.TESTED_ON[1:])
        expected = [[100 * gain(a, b) for b in columns] for a in lines]
        np.testing.assert_allclose(values, expected, atol=1e-3)
        assert texts[0] == "-5.0"
        assert len(texts) == 6 * 7


def test_grids_that_are_not_finished(make_rows):
    grid = transfer.configurations(seeds=1)
    finished = [grid[0], *(c for c in grid if (c["distortion"], c["method"]) in FINISHED)]
    rows = make_rows(finished)
    lines, _, values, texts = matrices(rows)["all, 2,500 images"]
    assert lines == ["blur:1", "awgn:15"]
    assert np.isnan(values[0]).all()
    assert len(texts) == 7
    sentences = transfer.describe(rows)
    assert len(sentences) == 3
    assert not any("nan" in sentence for sentence in sentences)


FINISHED = {("awgn:15", "most"), ("awgn:15", "all"), ("blur:1", "most")}


def test_without_the_network_before_there_are_accuracies_and_no_gains(make_rows):
    rows = make_rows(transfer.configurations(seeds=2)[1:])
    summary = transfer.summarise(rows)
    assert summary["gain"].isna().all()
    assert summary["accuracy"].notna().all()
    assert np.isnan(matrices(rows)["most, 2,500 images"][2]).all()
    table = transfer.carry_over(rows)
    assert table.empty
    assert {"gain", "own_gain", "carried", "tested_on"} <= set(table.columns)
    assert transfer.describe(rows) == []


def test_the_network_before_alone(make_rows):
    rows = make_rows(transfer.configurations()[:1])
    assert transfer.summarise(rows)["gain"].tolist() == [0] * 7
    assert matrices(rows) == {}
    assert transfer.describe(rows) == []


def test_every_size_has_its_matrices(make_rows):
    grid = transfer.configurations(("awgn:15",), size=100, seeds=1)
    more = transfer.configurations(("awgn:15",), size=2500, seeds=1)[1:]
    rows = make_rows([*grid, *more])
    assert [title.partition(", ")[2] for title in matrices(rows)] == ["100 images"] * 2 + [
        "2,500 images"
    ] * 2
    assert len(transfer.describe(rows)) == 4
