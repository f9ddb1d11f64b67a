"""Rankings of parts against Algorithm 1 by hand, and their sum against the ranking of all."""

import functools

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

import kerasft
from kerasft.experiments import Bench, ImageStore, provenance, rankings, run_grid
from kerasft.experiments.distortion_order import in_order

DISTORTIONS = ("blur:1", "awgn:15")
PARTS = 3
LAYERS = {"conv1": 32, "conv2": 64}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """48 digits to rank on, and a network that nobody trained."""
    folder = tmp_path_factory.mktemp("rankings")
    images, labels = kerasft.datasets.digits()
    # One class after the other, as files in folders are read.
    order = np.argsort(labels[:60], kind="stable")
    names = tuple(map(str, range(10)))
    dataset = kerasft.datasets.ImageDataset(
        images[order], labels[order], images[60:80], labels[60:80], names
    )
    keras.utils.set_random_seed(0)
    kerasft.models.cifar10_cnn((8, 8, 1)).save(folder / "model.keras")
    store = ImageStore.create(dataset, folder)
    assert len(store.training_rows()) == 48
    return Bench("cifar10_cnn", str(folder / "model.keras"), store)


def _all_rows(bench, grid):
    return pd.DataFrame(
        [
            {**configuration, **row}
            for configuration in grid
            for row in rankings.run(bench, configuration)
        ]
    )


@pytest.fixture(scope="module")
def rows(bench):
    # 31 is not a multiple of 3, so that parts differ in size.
    return _all_rows(bench, rankings.configurations(DISTORTIONS, PARTS, pairs=31))


@pytest.fixture(scope="module")
def used(bench):
    """The 31 of the 48 training rows that `rows` come from."""
    return bench.store.training_rows()[[i * 48 // 31 for i in range(31)]]


def _distorted(images, indices, distortion):
    if distortion == "blur:1":
        return kerasft.gaussian_blur(images, 1)
    return np.stack(
        [
            kerasft.additive_white_gaussian_noise(image[None], 15, seed=0, first_index=index)[0]
            for image, index in zip(images, indices.tolist(), strict=True)
        ]
    )


def _points_by_hand(distances):
    points = [0] * len(distances[0])
    for distance in distances:
        ranked = sorted(range(len(distance)), key=lambda j: (-distance[j], j))
        for place, index in enumerate(ranked[:10]):
            points[index] += 10 - place
    return points


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_a_part_votes_as_algorithm_1_says(bench, rows, used, distortion):
    model = keras.saving.load_model(bench.model)
    maps = keras.Model(model.input, [model.get_layer(name).output for name in LAYERS])
    indices = used[1::PARTS]
    clean = bench.store.array("train_images")[indices]
    clean_maps = maps(clean.astype("float32"))
    distorted_maps = maps(_distorted(clean, indices, distortion).astype("float32"))
    for (name, filters), ours, theirs in zip(
        LAYERS.items(), clean_maps, distorted_maps, strict=True
    ):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        distances = [
            [
                wasserstein_distance(ours[i, ..., j].ravel(), theirs[i, ..., j].ravel())
                for j in range(filters)
            ]
            for i in range(len(indices))
        ]
        got = rows[
            (rows["distortion"] == distortion) & (rows["part"] == 1) & (rows["layer"] == name)
        ]
        assert got["filter"].tolist() == list(range(filters))
        assert got["borda_count"].tolist() == _points_by_hand(distances)
        np.testing.assert_allclose(got["mean_distance"], np.mean(distances, axis=0), atol=1e-6)
        assert set(got["votes"]) == {len(indices)}


def test_the_parts_add_up_to_the_ranking_of_all_images(bench, rows, used):
    added = rankings.added_rankings(rows)
    assert list(added) == list(DISTORTIONS)
    for distortion, ranking in added.items():
        whole = kerasft.rank_filters(
            keras.saving.load_model(bench.model),
            bench.store.train(used)[0],
            bench.store.train(used, distortion)[0],
            layers=list(LAYERS),
        )
        assert list(ranking) == list(whole)
        for name in whole:
            np.testing.assert_array_equal(ranking[name].borda_counts, whole[name].borda_counts)
            np.testing.assert_array_equal(ranking[name].order, whole[name].order)
            np.testing.assert_allclose(
                ranking[name].mean_distance, whole[name].mean_distance, atol=1e-12
            )
            assert ranking[name].pairs == whole[name].pairs == 31


def test_rows_give_back_the_rankings_of_the_parts(bench, rows, used):
    found = rankings.part_rankings(rows)
    assert {distortion: list(parts) for distortion, parts in found.items()} == {
        distortion: [0, 1, 2] for distortion in DISTORTIONS
    }
    indices = used[2::PARTS]
    ranking = kerasft.rank_filters(
        keras.saving.load_model(bench.model),
        bench.store.train(indices)[0],
        bench.store.train(indices, "awgn:15")[0],
        layers=list(LAYERS),
    )
    assert dict(found["awgn:15"][2]) == dict(ranking)
    # Whatever the order of the rows.
    shuffled = rankings.part_rankings(rows.sample(frac=1, random_state=0))
    assert shuffled["awgn:15"][2]["conv2"] == ranking["conv2"]


def test_rows_pass_through_the_file_of_a_grid(bench, tmp_path):
    grid = rankings.configurations(["awgn:15"], parts=2, pairs=20)
    run = functools.partial(rankings.run, bench)
    path = tmp_path / "rankings.csv"
    table = run_grid(run, grid, bench.settings(), path, description="Ranking")
    direct = _all_rows(bench, grid)
    # Pandas does not read the last digits of small floats.
    pd.testing.assert_frame_equal(table[list(direct)], direct, rtol=1e-9, atol=0)
    reserved = {*grid[0], *bench.settings(), *provenance(), "run"}
    assert not reserved & set(rankings.run(bench, grid[0])[0])
    ours, theirs = (rankings.added_rankings(part)["awgn:15"] for part in (table, direct))
    for name in LAYERS:
        assert ours[name].borda_counts.dtype == np.int64
        np.testing.assert_array_equal(ours[name].borda_counts, theirs[name].borda_counts)


@pytest.mark.parametrize(("parts", "pairs"), [(1, 48), (5, 40_000), (3, 47), (4, 10), (7, 7)])
def test_parts_are_disjoint_even_and_of_mixed_classes(bench, monkeypatch, parts, pairs):
    taken = []
    train = ImageStore.train

    def record(store, rows, distortion=None):
        if distortion is not None:
            taken.append(rows.tolist())
        return train(store, rows, distortion)

    monkeypatch.setattr(ImageStore, "train", record)
    for configuration in rankings.configurations(["blur:1"], parts, pairs):
        rankings.run(bench, configuration)
    everything = sorted(row for part in taken for row in part)
    available = bench.store.training_rows().tolist()
    assert len(set(everything)) == len(everything) == min(pairs, 48)
    assert set(everything) <= set(available)
    assert max(map(len, taken)) - min(map(len, taken)) <= 1
    places = [available.index(row) for row in everything]
    assert places == [i * 48 // len(places) for i in range(len(places))]
    labels = bench.store.array("train_labels")
    # Of ten classes.
    assert all(len(set(labels[part])) >= min(8, len(part)) for part in taken)


def test_the_grid_does_all_distortions_of_a_part_before_the_next():
    grid = rankings.configurations(["blur:1", "awgn:15"], parts=2, pairs=10)
    assert [(run["distortion"], run["part"]) for run in grid] == [
        ("blur:1", 0),
        ("awgn:15", 0),
        ("blur:1", 1),
        ("awgn:15", 1),
    ]
    assert len(rankings.configurations()) == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": 0}, r"Expected parts as a whole number of at least 1\. Received: 0\."),
        ({"parts": 2.0}, r"Expected parts .* Received: 2\.0\."),
        ({"parts": 6, "pairs": 5}, r"Expected pairs as a whole number of at least 6\. Received: 5"),
        ({"distortions": ["fog:1"]}, r"Expected a distortion .* Received: 'fog:1'\."),
    ],
)
def test_grids_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        rankings.configurations(**arguments)


def test_more_parts_than_images(bench):
    configuration = rankings.configurations(["blur:1"], parts=49)[0]
    with pytest.raises(ValueError, match=r"Expected at most 48 parts, .* Received: 49\."):
        rankings.run(bench, configuration)


def _twice(rows):
    return pd.concat([rows, rows[rows["filter"] == 3].iloc[:1]])


def _one_point_more(rows):
    return rows.assign(borda_count=rows["borda_count"] + (np.arange(len(rows)) == 7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[rows["part"] != 1], r"all 3 parts .* numbered \[0, 2\] of blur:1"),
        (lambda rows: rows.iloc[1:], r"each filter of layer 'conv1' once.* Received: 31 rows"),
        (_twice, r"each filter of layer 'conv1' once.* Received: 33 rows"),
        (_one_point_more, r"all points of 11 votes\. Received: 32 rows with 606 points"),
        (lambda rows: pd.concat([rows, rows.assign(parts=4)]), r"one number of parts and pairs"),
    ],
)
def test_rows_that_are_not_whole_are_refused(rows, change, message):
    with pytest.raises(ValueError, match=message):
        rankings.added_rankings(change(rows))


def test_distortions_are_shown_by_type_from_weak_to_strong():
    names = ["awgn:central", "blur:1.5", "awgn:5", "blur:0.5", "awgn:25", "blur:10", "blur:2"]
    names += ["jpeg:30", "contrast:0.15", "jpeg:9", "contrast:0.75", "shot:50", "shot:500"]
    assert in_order(names) == [
        "blur:0.5",
        "blur:1.5",
        "blur:2",
        "blur:10",
        "awgn:5",
        "awgn:central",
        "awgn:25",
        "jpeg:30",
        "jpeg:9",
        "contrast:0.75",
        "contrast:0.15",
        "shot:500",
        "shot:50",
    ]
