"""Concentration of points against loops over the rows and votes drawn one by one."""

import random

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import kerasft
from kerasft.experiments import Bench, ImageStore, figure4, rankings

DISTORTIONS = ("awgn:15", "blur:1")
PARTS = 3


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """What the grid gives for 48 digits and a network that nobody trained."""
    folder = tmp_path_factory.mktemp("figure4")
    images, labels = kerasft.datasets.digits()
    names = tuple(map(str, range(10)))
    dataset = kerasft.datasets.ImageDataset(
        images[:60], labels[:60], images[60:80], labels[60:80], names
    )
    keras.utils.set_random_seed(0)
    kerasft.models.cifar10_cnn((8, 8, 1)).save(folder / "model.keras")
    bench = Bench("cifar10_cnn", str(folder / "model.keras"), ImageStore.create(dataset, folder))
    return pd.DataFrame(
        [
            {**configuration, **row}
            for configuration in rankings.configurations(DISTORTIONS, PARTS)
            for row in rankings.run(bench, configuration)
        ]
    )


def _votes(ballots):
    """The points of each filter; a ballot is the filters in order."""
    points = [0] * len(ballots[0])
    for ballot in ballots:
        for place, index in enumerate(ballot[:10]):
            points[index] += 10 - place
    return points


def _ranking(ballots):
    points = _votes(ballots)
    layer = kerasft.LayerRanking.from_votes(points, np.zeros(len(points)), len(ballots))
    return kerasft.FilterRanking({"conv1": layer})


def _random_ballots(filters, voters, seed):
    generator = random.Random(seed)
    return [generator.sample(range(filters), filters) for _ in range(voters)]


def _share_by_hand(points, selected):
    return sum(sorted(points, reverse=True)[:selected]) / sum(points)


def test_the_summary_is_that_of_a_loop_over_the_rows(rows):
    summary = figure4.summarise(rows)
    assert list(summary["distortion"] + " " + summary["layer"]) == [
        "awgn:15 conv1",
        "awgn:15 conv2",
        "blur:1 conv1",
        "blur:1 conv2",
    ]
    for line in summary.itertuples():
        filters, selected = {"conv1": (32, 8), "conv2": (64, 16)}[line.layer]
        shares = []
        for part in range(PARTS):
            points = [
                row.borda_count
                for row in rows.itertuples()
                if (row.distortion, row.part, row.layer) == (line.distortion, part, line.layer)
            ]
            shares.append(_share_by_hand(points, selected))
        low, high = scipy.stats.t.interval(
            0.95, PARTS - 1, np.mean(shares), scipy.stats.sem(shares)
        )
        assert (line.filters, line.selected, line.parts) == (filters, selected, PARTS)
        np.testing.assert_allclose(
            [line.share, line.share_low, line.share_high], [np.mean(shares), low, high], atol=1e-5
        )
        assert line.agreeing == pytest.approx({32: 52 / 55, 64: 1}[filters], abs=1e-5)
        # 48 images in three parts.
        assert line.independent == pytest.approx(
            figure4.independent_share(filters, selected, 16), abs=1e-5
        )
        assert selected / filters < line.independent < line.share < line.agreeing


@pytest.mark.parametrize(("filters", "selected", "voters"), [(6, 1, 5), (12, 3, 40), (32, 8, 16)])
def test_votes_at_random_are_those_drawn_one_by_one(filters, selected, voters):
    shares = [
        _share_by_hand(_votes(_random_ballots(filters, voters, seed)), selected)
        for seed in range(400)
    ]
    # Of both means.
    error = np.std(shares) * (1 / 400 + 1 / 200) ** 0.5
    ours = figure4.independent_share(filters, selected, voters)
    assert abs(ours - np.mean(shares)) < 4 * error


@pytest.mark.parametrize("filters", [12, 32, 96])
def test_many_voters_at_random_give_a_quarter_to_a_quarter(filters):
    selected = filters // 4
    few, many = (figure4.independent_share(filters, selected, n) for n in (100, 4000))
    assert 0.25 < many < 0.27
    assert many < few
    assert figure4.independent_share(filters, selected, 4000) == many


@pytest.mark.parametrize("filters", [1, 3, 9, 10, 11, 32, 96])
def test_voters_that_agree_give_the_most_there_can_be(filters):
    selected = max(1, filters // 4)
    for voters in (1, 7):
        ballots = _random_ballots(filters, 1, seed=0) * voters
        share = figure4.concentration(_ranking(ballots))["conv1"]
        assert share == pytest.approx(figure4.agreeing_share(filters, selected))
    # One voter agrees with itself, at random or not.
    one = figure4.independent_share(filters, selected, 1)
    assert one == pytest.approx(figure4.agreeing_share(filters, selected))


@given(
    filters=st.integers(1, 40),
    voters=st.integers(1, 30),
    fraction=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_no_vote_is_outside_of_the_bounds(filters, voters, fraction, seed):
    ballots = _random_ballots(filters, voters, seed)
    ranking = _ranking(ballots)
    selected = len(ranking.select(fraction)["conv1"])
    share = figure4.concentration(ranking, fraction)["conv1"]
    assert share == pytest.approx(_share_by_hand(_votes(ballots), selected))
    assert selected / filters - 1e-9 <= share
    assert share <= figure4.agreeing_share(filters, selected) + 1e-9


def test_the_figure_shows_the_first_layer_most_points_first(rows):
    figure = figure4.draw(rows)
    assert [axes.get_title(loc="left").partition(": ")[0] for axes in figure.axes] == [
        "blur:1",
        "awgn:15",
    ]
    summary = figure4.summarise(rows).set_index(["distortion", "layer"])
    for axes, distortion in zip(figure.axes, ("blur:1", "awgn:15"), strict=True):
        first = rows[(rows["distortion"] == distortion) & (rows["layer"] == "conv1")]
        points = first.groupby("filter")["borda_count"].sum()
        bars = [bar for container in axes.containers for bar in container]
        np.testing.assert_allclose(
            [bar.get_height() for bar in bars],
            sorted(100 * points / points.sum(), reverse=True),
        )
        named = [int(label.get_text()) for label in axes.get_xticklabels()]
        np.testing.assert_array_equal(points.loc[named], sorted(points, reverse=True))
        assert len(axes.containers[0]) == 8
        assert axes.lines[0].get_ydata()[0] == pytest.approx(100 / 32)
        share = summary.loc[(distortion, "conv1"), "share"]
        assert f" {100 * share:.0f}% " in axes.get_title(loc="left")


def test_the_figure_has_a_column_for_each_type(rows):
    more = pd.concat([rows, rows.replace({"distortion": {"blur:1": "blur:1.5"}})])
    more = more.drop_duplicates(["distortion", "part", "layer", "filter"])
    titles = [axes.get_title(loc="left").partition(": ")[0] for axes in figure4.draw(more).axes]
    assert titles == ["blur:1", "awgn:15", "blur:1.5"]
    alone = figure4.draw(rows[rows["distortion"] == "blur:1"])
    assert len(alone.axes) == 1


def test_sentences_have_the_numbers_of_the_summary(rows):
    sentences = figure4.describe(rows)
    assert [text.partition(",")[0] for text in sentences] == ["`conv1`", "`conv2`"]
    row = figure4.summarise(rows).set_index(["distortion", "layer"]).loc[("blur:1", "conv1")]
    low, high = (100 * row[name] for name in ("share_low", "share_high"))
    assert f"`blur:1` {100 * row.share:.1f}% ({low:.1f}% to {high:.1f}%)" in sentences[0]
    assert f"at random would give them {100 * row.independent:.1f}%" in sentences[0]
    assert "the 8 most affected of 32 filters" in sentences[0]
    assert sentences[0].endswith("images that all agree 94.5%.")


def test_one_part_has_no_interval(rows):
    one = rows[rows["part"] == 0].assign(parts=1)
    assert figure4.summarise(one)["share_low"].isna().all()
    assert "nan" not in " ".join(figure4.describe(one))
    figure4.draw(one)
