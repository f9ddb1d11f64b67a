import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from kerasft import FilterRanking, LayerRanking


def layer(points=(7, 10, 8, 9, 6), distances=None, pairs=1, confidence=None):
    if distances is None:
        distances = np.asarray(points) / 10
    return LayerRanking.from_votes(points, distances, pairs, confidence=confidence)


@pytest.fixture
def ranking():
    """`conv1`: 1, 3, 2, 0, 4; `conv2`: 7, 6, … 0."""
    return FilterRanking({"conv1": layer(), "conv2": layer(range(3, 11))})


def test_what_is_no_ranking_of_a_layer_is_refused():
    with pytest.raises(TypeError, match=r"^Expected a LayerRanking of layer 'a'\. Received: 3"):
        FilterRanking({"a": 3})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_distances_that_no_file_can_hold_are_refused(bad):
    with pytest.raises(ValueError, match=r"^Expected finite distances\. Received: NaN or infinity"):
        layer(distances=[bad, 1, 1, 1, 1])


def test_counts_of_other_filters_than_the_distances_are_refused():
    with pytest.raises(ValueError, match=r"^Expected a count and .* shapes \(2,\) and \(1,\)\.$"):
        LayerRanking.from_votes([1, 2], [0.1], pairs=1)


@pytest.mark.parametrize(
    ("points", "distances", "order"),
    [
        ([5, 9, 7], [9.0, 1.0, 2.0], [1, 2, 0]),
        ([5, 9, 5], [1.0, 0.0, 2.0], [1, 2, 0]),
        ([0, 0, 0], [1.0, 2.0, 1.0], [1, 0, 2]),
        ([0, 0, 0], [0.0, 0.0, 0.0], [0, 1, 2]),
        ([0, 10, 0, 10], [3.0, 1.0, 3.0, 1.0], [1, 3, 0, 2]),
    ],
)
def test_order_is_by_points_then_distance_then_index(points, distances, order):
    result = LayerRanking.from_votes(points, distances, pairs=2)
    assert result.order.tolist() == order
    assert result.order.dtype == result.borda_counts.dtype == np.int64
    assert result.mean_distance.dtype == np.float64


def test_ranking_is_a_mapping_in_model_order(ranking):
    assert list(ranking) == ["conv1", "conv2"]
    assert len(ranking) == 2
    assert ranking["conv1"].order.tolist() == [1, 3, 2, 0, 4]
    assert repr(ranking) == "FilterRanking(conv1: 5 filters, conv2: 8 filters)"
    with pytest.raises(KeyError):
        ranking["conv3"]
    with pytest.raises(ValueError, match="Expected a ranking of at least one layer"):
        FilterRanking({})


def test_rankings_are_equal_when_all_their_values_are(ranking):
    assert ranking == FilterRanking({"conv1": layer(), "conv2": layer(range(3, 11))})
    assert ranking != FilterRanking({"conv1": layer()})
    for other in (
        layer(pairs=2),
        layer((7, 10, 8, 9, 5)),
        layer(distances=np.ones(5)),
        layer(confidence=0.95),
    ):
        assert layer() != other
    assert layer() != "conv1"


@pytest.mark.parametrize(
    ("filters", "fraction", "size"),
    [
        *((filters, 0.25, max(1, filters // 4)) for filters in (1, 2, 3, 4, 7, 8, 32, 96)),
        (3, 0.01, 1),
        (10, 0.19, 1),
        (10, 0.2, 2),
        (100, 0.57, 57),
        (100, 0.29, 29),
        (7, 1, 7),
        (96, 1.0, 96),
    ],
)
def test_fraction_is_rounded_down_but_to_one_at_least(filters, fraction, size):
    ranking = FilterRanking({"conv": layer(np.arange(filters))})
    assert ranking.select(fraction)["conv"] == list(range(filters - size, filters))
    assert size == max(1, math.floor(round(fraction * filters, 9)))


@pytest.mark.parametrize(
    ("arguments", "conv1", "conv2"),
    [
        ({}, [1], [6, 7]),
        ({"fraction": 0.5}, [1, 3], [4, 5, 6, 7]),
        ({"count": 3}, [1, 2, 3], [5, 6, 7]),
        ({"count": np.int64(1)}, [1], [7]),
        ({"threshold": 0.75}, [1, 2, 3], [5, 6, 7]),
        ({"threshold": 0.8}, [1, 3], [6, 7]),
        ({"fraction": 0.5, "which": "least"}, [0, 4], [0, 1, 2, 3]),
        ({"count": 5, "which": "least"}, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ({"threshold": 0.75, "which": "least"}, [0, 2, 4], [0, 1, 2]),
        ({"which": "all"}, list(range(5)), list(range(8))),
        ({"threshold": 0.75, "which": "all"}, list(range(5)), list(range(8))),
    ],
)
def test_selection(ranking, arguments, conv1, conv2):
    assert ranking.select(**arguments) == {"conv1": conv1, "conv2": conv2}


def test_selected_indices_are_plain_numbers(ranking):
    for which in ("most", "least", "random", "all"):
        for indices in ranking.select(0.5, which=which).values():
            assert {type(index) for index in indices} == {int}
            assert indices == sorted(set(indices))


@pytest.mark.parametrize("which", ["most", "least", "random", "all"])
def test_threshold_leaves_out_layers_that_stay_below_it(which):
    ranking = FilterRanking({"low": layer([1, 2]), "high": layer([8, 9])})
    assert ranking.select(threshold=0.5, which=which) == {"high": [0, 1]}
    with pytest.raises(
        ValueError, match=r"some filter exceeds. Received: 5; the largest .* is 0.9"
    ):
        ranking.select(threshold=5, which=which)


def test_random_filters_depend_on_seed_and_layer_alone():
    conv = layer(np.arange(40))
    alone = FilterRanking({"a": conv}).select(0.25, which="random", seed=4)["a"]
    among = FilterRanking({"b": layer(), "a": layer(np.arange(40)[::-1]), "c": conv})
    assert among.select(0.25, which="random", seed=4)["a"] == alone
    draws = {seed: among.select(0.25, which="random", seed=seed) for seed in range(30)}
    assert len(alone) == 10
    assert len({tuple(draw["a"]) for draw in draws.values()}) == 30
    assert len({tuple(draw["c"]) for draw in draws.values()} & {tuple(alone)}) == 0
    # Each filter has its chance.
    assert {index for draw in draws.values() for index in draw["a"]} == set(range(40))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fraction": 0}, "fraction over 0 and at most 1. Received: 0"),
        ({"fraction": 1.5}, "fraction over 0 and at most 1. Received: 1.5"),
        ({"fraction": -0.5}, "fraction over 0 and at most 1. Received: -0.5"),
        ({"fraction": float("nan")}, "fraction over 0 and at most 1. Received: nan"),
        ({"count": 0}, "count from 1 to 5. Received: 0"),
        ({"count": 6}, "count from 1 to 5. Received: 6"),
        ({"count": 1.5}, "count from 1 to 5. Received: 1.5"),
        ({"count": True}, "count from 1 to 5. Received: True"),
        ({"count": float("nan")}, "count from 1 to 5. Received: nan"),
        ({"threshold": float("nan")}, "finite threshold. Received: nan"),
        ({"which": "best"}, "'most', 'least', 'random' or 'all'. Received: 'best'"),
        ({"fraction": 0.5, "count": 1}, "one of .* fraction=0.5, count=1, threshold=None"),
        ({"which": "random", "seed": -1}, "seed as a whole number of at least 0. Received: -1"),
        ({"fraction": True}, "fraction over 0 and at most 1. Received: True"),
        ({"threshold": True}, "finite threshold. Received: True"),
        ({"which": "random", "seed": True}, "seed as a whole number .* Received: True"),
        ({"which": "random", "seed": None}, "seed as a whole number .* Received: None"),
    ],
)
def test_selection_out_of_range_is_refused(ranking, arguments, message):
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        ranking.select(**arguments)


def test_overlap_is_the_share_that_both_select(ranking):
    other = FilterRanking({"conv1": layer((6, 9, 8, 7, 10)), "conv2": layer(range(10, 2, -1))})
    assert ranking.overlap(other, 0.4) == {"conv1": 0.5, "conv2": 0.0}
    assert ranking.overlap(ranking) == {"conv1": 1.0, "conv2": 1.0}
    assert ranking.overlap(other, 1.0) == {"conv1": 1.0, "conv2": 1.0}
    with pytest.raises(ValueError, match=r"^Expected rankings of the same layers and filters"):
        ranking.overlap(FilterRanking({"conv1": layer()}))
    for other in (None, {}):
        with pytest.raises(TypeError, match=r"^Expected another FilterRanking\. Received: \w+\."):
            ranking.overlap(other)


def test_sum_weighs_distances_by_pairs_and_orders_anew():
    first = FilterRanking({"conv": layer([10, 9, 8], [3.0, 2.0, 1.0], pairs=1)})
    second = FilterRanking({"conv": layer([26, 27, 28], [1.0, 2.0, 3.0], pairs=3)})
    total = (first + second)["conv"]
    assert total.borda_counts.tolist() == [36, 36, 36]
    np.testing.assert_allclose(total.mean_distance, [1.5, 2.0, 2.5])
    assert total.order.tolist() == [2, 1, 0]
    assert total.pairs == 4
    assert total.distances is None
    assert first["conv"].pairs == 1
    assert sum([first, second]) == first + second


def test_sum_of_rankings_of_other_filters_is_refused(ranking):
    for other in (FilterRanking({"conv1": layer()}), FilterRanking({"conv1": layer([1, 2])})):
        with pytest.raises(ValueError, match="same layers and filters"):
            ranking + other
    with pytest.raises(TypeError):
        ranking + 1
    with pytest.raises(TypeError):
        1 + ranking


def test_frame_has_a_row_for_each_filter_most_affected_first(ranking):
    frame = ranking.to_frame()
    assert list(frame) == ["layer", "rank", "filter", "borda_count", "mean_distance", "pairs"]
    assert len(frame) == 13
    conv1 = frame[frame["layer"] == "conv1"]
    assert conv1["rank"].tolist() == [1, 2, 3, 4, 5]
    assert conv1["filter"].tolist() == [1, 3, 2, 0, 4]
    assert conv1["borda_count"].tolist() == [10, 9, 8, 7, 6]
    assert conv1["mean_distance"].tolist() == [1.0, 0.9, 0.8, 0.7, 0.6]
    assert pd.Series([1] * 13).equals(frame["pairs"])


def test_saved_ranking_comes_back_exactly(tmp_path):
    generator = np.random.default_rng(0)
    distances = generator.lognormal(0, 20, 50)
    distances[:3] = 0.0, 5e-324, 1e300
    ranking = FilterRanking(
        {
            "conv1": layer(generator.integers(0, 2**60, 50), distances, pairs=10**12),
            "outer/größe <b>": layer(),
        }
    )
    path = tmp_path / "ranking.json"
    ranking.save(path)
    assert FilterRanking.load(path) == ranking
    ranking.save(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["ranking.json"]


def test_confidence_is_saved_only_where_it_was_reached(tmp_path):
    path = tmp_path / "ranking.json"
    for confidence in (0.1 + 0.2, 1.0, 0.0):
        ranking = FilterRanking({"early": layer(confidence=confidence), "all": layer()})
        ranking.save(path)
        loaded = FilterRanking.load(path)
        assert loaded == ranking
        assert loaded["early"].confidence == confidence
        assert loaded["all"].confidence is None
    assert "confidence" not in json.loads(path.read_text())["layers"]["all"]


def test_sum_and_table_know_no_confidence():
    settled = FilterRanking({"conv": layer(confidence=0.97)})
    assert (settled + settled)["conv"].confidence is None
    assert settled.to_frame().equals(FilterRanking({"conv": layer()}).to_frame())


def test_distance_matrix_is_not_saved(tmp_path):
    kept = LayerRanking.from_votes([9, 10], [1.0, 2.0], 1, np.array([[1.0, 2.0]]))
    FilterRanking({"conv": kept}).save(tmp_path / "ranking.json")
    loaded = FilterRanking.load(tmp_path / "ranking.json")["conv"]
    assert loaded.distances is None
    assert loaded == dataclasses.replace(kept, distances=None)


GOOD = {"borda_counts": [9, 10], "mean_distance": [0.5, 1.0], "pairs": 1}


def ranking_file(**changes):
    item = {key: value for key, value in (GOOD | changes).items() if value != "left out"}
    return json.dumps({"format": "kerasft ranking 1", "layers": {"conv": item}})


MANGLED = {
    "empty": "",
    "half": ranking_file()[:50],
    "text": "conv1: 3, 5, 7\n",
    "bytes": b"\x89PNG\r\n\x1a\n\xff\xfe",
    "a list": "[1, 2]",
    "a number": "7",
    "null": "null",
    "another format": json.dumps({"format": "kerasft ranking 2", "layers": {"conv": GOOD}}),
    "no format": json.dumps({"layers": {"conv": GOOD}}),
    "no layers": json.dumps({"format": "kerasft ranking 1"}),
    "no layer": json.dumps({"format": "kerasft ranking 1", "layers": {}}),
    "layers as a list": json.dumps({"format": "kerasft ranking 1", "layers": [GOOD]}),
    "layer as a list": json.dumps({"format": "kerasft ranking 1", "layers": {"conv": [1]}}),
    "deep": "[" * 100_000,
    "without counts": ranking_file(borda_counts="left out"),
    "without distances": ranking_file(mean_distance="left out"),
    "without pairs": ranking_file(pairs="left out"),
    "no filters": ranking_file(borda_counts=[], mean_distance=[]),
    "count too many": ranking_file(borda_counts=[9, 10, 8]),
    "distance too few": ranking_file(mean_distance=[0.5]),
    "nested distances": ranking_file(mean_distance=[[0.5, 1.0]]),
    "ragged distances": ranking_file(mean_distance=[[0.5], 1.0]),
    "half a point": ranking_file(borda_counts=[9.5, 10]),
    "true for a point": ranking_file(borda_counts=[True, 10]),
    "point as text": ranking_file(borda_counts=["9", "10"]),
    "counts as text": ranking_file(borda_counts="90"),
    "negative points": ranking_file(borda_counts=[-9, 10]),
    "huge points": ranking_file(borda_counts=[2**63, 10]),
    "no pairs": ranking_file(pairs=0),
    "negative pairs": ranking_file(pairs=-1),
    "pairs as text": ranking_file(pairs="1"),
    "NaN": ranking_file(mean_distance=[float("nan"), 1.0]),
    "infinity": ranking_file(mean_distance=[float("inf"), 1.0]),
    "huge distance": ranking_file(mean_distance=[10**400, 1.0]),
    "negative distance": ranking_file(mean_distance=[-0.5, 1.0]),
    "distance as text": ranking_file(mean_distance=["half", 1.0]),
    "null distance": ranking_file(mean_distance=[None, 1.0]),
    "confidence over 1": ranking_file(confidence=1.5),
    "negative confidence": ranking_file(confidence=-0.1),
    "confidence NaN": ranking_file(confidence=float("nan")),
    "true for a confidence": ranking_file(confidence=True),
    "confidence as text": ranking_file(confidence="0.95"),
    "confidence of an exemplar": ranking_file(borda_counts=None, confidence=0.95),
}


@pytest.mark.parametrize("case", MANGLED)
def test_file_that_is_no_ranking_is_refused_and_left_alone(tmp_path, case):
    content = MANGLED[case] if isinstance(MANGLED[case], bytes) else MANGLED[case].encode()
    path = tmp_path / "ranking.json"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^Expected a file in the format 'kerasft ranking 1'\. Rec"
    ):
        FilterRanking.load(path)
    assert path.read_bytes() == content


def test_missing_file_is_reported_as_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        FilterRanking.load(tmp_path / "ranking.json")


def test_good_file_is_what_the_table_of_mangled_ones_departs_from(tmp_path):
    (tmp_path / "ranking.json").write_text(ranking_file())
    assert FilterRanking.load(tmp_path / "ranking.json")["conv"].order.tolist() == [1, 0]


def test_save_that_fails_leaves_the_old_file(tmp_path, ranking, monkeypatch):
    path = tmp_path / "ranking.json"
    ranking.save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        (ranking + ranking).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["ranking.json"]
