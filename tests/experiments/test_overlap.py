"""Matches of distortions against sets counted by hand."""

import random

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import kerasft
from kerasft.experiments import Bench, ImageStore, overlap, rankings

DISTORTIONS = ("awgn:15", "blur:1", "blur:0.5")
PARTS = 3
SELECTED = {"conv1": 8, "conv2": 16}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """What the grid gives for 48 digits and a network that nobody trained."""
    folder = tmp_path_factory.mktemp("overlap")
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


def _top(rows, distortion, layer, parts):
    """The most affected quarter, from the rows alone."""
    points, distances = {}, {}
    for row in rows.itertuples():
        if row.distortion == distortion and row.layer == layer and row.part in parts:
            points[row.filter] = points.get(row.filter, 0) + row.borda_count
            distances[row.filter] = distances.get(row.filter, 0) + row.mean_distance * row.votes
    ranked = sorted(points, key=lambda index: (-points[index], -distances[index], index))
    return set(ranked[: len(ranked) // 4])


def _votes_for(tops, filters):
    """Rows in which the filters of a list, part by part, share the points of one vote."""
    rows = []
    for distortion, parts in tops.items():
        for part, first in enumerate(parts):
            order = list(first) + [index for index in range(filters) if index not in first]
            rows += [
                {
                    "distortion": distortion,
                    "part": part,
                    "parts": len(parts),
                    "pairs": len(parts),
                    "layer": "conv1",
                    "filter": index,
                    "borda_count": max(0, 10 - place),
                    "mean_distance": 1 / (1 + place),
                    "votes": 1,
                }
                for place, index in enumerate(order)
            ]
    return pd.DataFrame(rows)


def test_matches_are_those_counted_by_hand(rows):
    summary = overlap.summarise(rows)
    assert len(summary) == 6
    for line in summary.itertuples():
        matches = [
            len(_top(rows, line.first, line.layer, [p]) & _top(rows, line.second, line.layer, [p]))
            for p in range(PARTS)
        ]
        on_all = _top(rows, line.first, line.layer, range(PARTS)) & _top(
            rows, line.second, line.layer, range(PARTS)
        )
        mean, selected = np.mean(matches), SELECTED[line.layer]
        half = scipy.stats.t.ppf(0.975, PARTS - 1) * scipy.stats.sem(matches)
        np.testing.assert_allclose(
            [line.matches, line.matches_low, line.matches_high],
            [mean, max(0, mean - half), min(selected, mean + half)],
            atol=1e-5,
        )
        assert line.matches_all == len(on_all)
        assert (line.selected, line.filters, line.parts) == (selected, 4 * selected, PARTS)
        assert line.chance == selected * selected / (4 * selected)


def test_pairs_are_told_apart_by_type_and_level(rows):
    summary = overlap.summarise(rows)
    first = summary[summary["layer"] == "conv1"]
    assert first[["first", "second", "kind", "same_level"]].to_numpy().tolist() == [
        ["blur:0.5", "blur:1", "other level", False],
        ["blur:0.5", "awgn:15", "other type", False],
        ["blur:1", "awgn:15", "other type", True],
    ]
    assert summary["layer"].tolist() == ["conv1"] * 3 + ["conv2"] * 3


def test_a_level_without_a_name_is_the_same_as_no_other():
    tops = {name: [range(8)] for name in ("blur:2", "awgn:15", "awgn:30", "blur:central")}
    summary = overlap.summarise(_votes_for(tops, 32))
    same = summary[summary["same_level"]]
    assert same[["first", "second"]].to_numpy().tolist() == [["blur:central", "awgn:15"]]


def test_other_distortions_are_called_by_their_names():
    tops = {name: [range(8)] for name in ("blur:1", "jpeg:58")}
    summary = overlap.summarise(_votes_for(tops, 32))
    assert summary["same_level"].tolist() == [True]
    assert overlap.describe(_votes_for(tops, 32)) == [
        "`conv1`, matches of the 8 most affected of 32 filters under blur and jpeg: `blur:1` and "
        "`jpeg:58` 8; by chance 2."
    ]


def test_parts_count_each_for_themselves():
    tops = {
        "blur:1": [range(8), range(8), range(8)],
        # All, none and half of the same.
        "awgn:15": [range(8), range(8, 16), range(4, 12)],
    }
    line = overlap.summarise(_votes_for(tops, 32)).iloc[0]
    assert (line.matches, line.chance) == (4, 2)
    # Student's interval of 8, 0 and 4 reaches from −5.9 to 13.9.
    assert (line.matches_low, line.matches_high) == (0, 8)


def test_independent_rankings_match_by_chance():
    generator = random.Random(0)
    tops = {
        name: [generator.sample(range(32), 8) for _ in range(400)] for name in ("blur:1", "awgn:15")
    }
    line = overlap.summarise(_votes_for(tops, 32)).iloc[0]
    assert line.matches_low < line.chance < line.matches_high
    assert line.matches_high - line.matches_low < 0.4


def test_one_distortion_has_nothing_to_match(rows):
    alone = rows[rows["distortion"] == "blur:1"]
    for function in (overlap.summarise, overlap.draw, overlap.describe):
        with pytest.raises(ValueError, match=r"at least two distortions\. Received: blur:1\."):
            function(alone)


def test_the_figure_has_the_matches_of_each_layer(rows):
    summary = overlap.summarise(rows)
    figure = overlap.draw(rows)
    panels = figure.axes[:2]
    for axes, layer in zip(panels, ("conv1", "conv2"), strict=True):
        selected = SELECTED[layer]
        title = f"{layer}: matches of {selected}\n(by chance {selected // 4})"
        assert axes.get_title(loc="left") == title
        across = [label.get_text() for label in axes.get_xticklabels()]
        down = [label.get_text() for label in axes.get_yticklabels()]
        shown = {
            (across[text.get_position()[0]], down[text.get_position()[1]]): text.get_text()
            for text in axes.texts
        }
        group = summary[summary["layer"] == layer]
        assert shown == {(r.first, r.second): f"{r.matches:.1f}" for r in group.itertuples()}
        colours = axes.images[0].get_array()
        for r in group.itertuples():
            place = down.index(r.second), across.index(r.first)
            assert colours[place] == pytest.approx(r.matches / selected)
        assert np.ma.getmaskarray(np.ma.masked_invalid(colours)).sum() == 1


@pytest.mark.parametrize(
    ("filters", "paper"),
    [(32, "6 of 8 on CIFAR-10."), (96, "19 of 24 on CIFAR-100."), (64, None)],
)
def test_the_first_layer_is_compared_with_the_paper(filters, paper):
    quarter = filters // 4
    tops = {"blur:1": [range(quarter)], "awgn:15": [range(1, quarter + 1)]}
    sentences = overlap.describe(_votes_for(tops, filters))
    assert len(sentences) == 1
    assert f"`blur:1` and `awgn:15` {quarter - 1}; by chance {quarter // 4}." in sentences[0]
    assert ("The paper reports" in sentences[0]) == (paper is not None)
    if paper:
        assert sentences[0].endswith(paper)


def test_sentences_have_the_numbers_of_the_summary(rows):
    sentences = overlap.describe(rows)
    # For each layer: the same level, any level, one type.
    assert [text.partition(",")[0] for text in sentences] == ["`conv1`"] * 3 + ["`conv2`"] * 3
    summary = overlap.summarise(rows).set_index(["layer", "first", "second"])
    for layer, same, any_level, one_type in (
        ("conv1", *sentences[:3]),
        ("conv2", *sentences[3:]),
    ):
        row = summary.loc[(layer, "blur:1", "awgn:15")]
        interval = f"{row.matches_low:.1f} to {row.matches_high:.1f}"
        text = f"{row.matches:.1f} ({interval}; on all images {row.matches_all})"
        assert f"`blur:1` and `awgn:15` {text}; by chance" in same
        assert ("The paper reports 6 of 8" in same) == (layer == "conv1")
        types = summary[(summary["kind"] == "other type")].loc[layer]["matches"]
        assert f"{types.min():.1f} to {types.max():.1f} matches, {types.mean():.1f}" in any_level
        assert "`blur:0.5` and `blur:1` " in one_type


def test_types_without_a_common_level_are_compared_too():
    tops = {"blur:1": [range(8)], "awgn:30": [range(8)]}
    sentences = overlap.describe(_votes_for(tops, 32))
    assert len(sentences) == 1
    assert "`blur:1` and `awgn:30` 8; by chance 2" in sentences[0]
