"""Exemplars and the rankings that rest on them."""

import keras
import numpy as np
import pytest
import scipy.stats
from scipy.optimize import linear_sum_assignment

import kerasft
from kerasft.models import cifar10_cnn


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return cifar10_cnn((8, 8, 1))


@pytest.fixture(scope="module")
def images():
    digits, _ = kerasft.datasets.digits()
    return digits[:40], kerasft.gaussian_blur(digits[50:85], 1.0)


def _maps(model, layer, images):
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return part.predict(images.astype("float32"), verbose=0)


def _medoid(points, metric):
    points = points.reshape(len(points), -1).astype("float64")
    if metric == "hamming":
        points = (points > 0).astype("float64")
        sums = np.abs(points[:, np.newaxis] - points).sum(axis=(1, 2))
    else:
        sums = np.linalg.norm(points[:, np.newaxis] - points, axis=-1).sum(axis=1)
    return int(np.argmin(sums))


def test_pixels(images):
    assert kerasft.find_exemplar(images[0]) == _medoid(images[0], "euclidean")


@pytest.mark.parametrize("metric", ["euclidean", "hamming"])
@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_feature_maps(model, images, metric, layer, batch_size):
    found = kerasft.find_exemplar(
        images[0],
        features="feature_maps",
        metric=metric,
        model=model,
        layer=layer,
        batch_size=batch_size,
    )
    assert found == _medoid(_maps(model, layer, images[0]), metric)


def test_memory_does_not_change_the_index(images):
    assert kerasft.find_exemplar(images[0], memory=1000) == kerasft.find_exemplar(images[0])


@pytest.mark.parametrize(
    ("features", "metric"),
    [("pixels", "euclidean"), ("feature_maps", "euclidean"), ("feature_maps", "hamming")],
)
def test_the_ranking_is_the_order_of_distances_between_the_exemplars(
    model, images, features, metric
):
    clean, distorted = images
    ranking = kerasft.rank_filters_from_exemplars(
        model, clean, distorted, features=features, metric=metric
    )
    assert list(ranking) == ["conv1", "conv2"]
    for name, layer in ranking.items():
        maps = [_maps(model, name, part) for part in images]
        chosen = [
            _medoid(part if features == "pixels" else of_layer, metric)
            for part, of_layer in zip(images, maps, strict=True)
        ]
        distances = [
            scipy.stats.wasserstein_distance(
                maps[0][chosen[0], ..., j].ravel(), maps[1][chosen[1], ..., j].ravel()
            )
            for j in range(maps[0].shape[-1])
        ]
        np.testing.assert_allclose(layer.mean_distance, distances, rtol=1e-5, atol=1e-6)
        assert (np.diff(layer.mean_distance[layer.order]) <= 0).all()
        assert layer.borda_counts is None
        assert layer.pairs == 1


def test_several_exemplars_are_matched_and_vote(model, images):
    clean, distorted = images
    ranking = kerasft.rank_filters_from_exemplars(model, clean, distorted, exemplars=4)
    rows = [part.reshape(len(part), -1).astype("float64") for part in images]
    chosen = []
    for part in rows:
        distances = np.linalg.norm(part[:, np.newaxis] - part, axis=-1)
        chosen.append(np.asarray(kerasft.medoids.k_medoids(distances, 4)))
    between = np.linalg.norm(rows[0][chosen[0]][:, np.newaxis] - rows[1][chosen[1]], axis=-1)
    first, second = linear_sum_assignment(between)
    expected = kerasft.rank_filters(model, clean[chosen[0][first]], distorted[chosen[1][second]])
    for name in expected:
        np.testing.assert_array_equal(ranking[name].borda_counts, expected[name].borda_counts)
        assert ranking[name].pairs == 4


def test_equal_sets_have_distance_zero(model, images):
    ranking = kerasft.rank_filters_from_exemplars(model, images[0], images[0])
    assert not ranking["conv1"].mean_distance.any()
    assert ranking["conv1"].order.tolist() == list(range(32))


def test_a_ranking_without_votes_is_saved_tabled_and_selected_from(model, images, tmp_path):
    ranking = kerasft.rank_filters_from_exemplars(model, *images, layers=["conv1"])
    ranking.save(tmp_path / "r.json")
    loaded = kerasft.FilterRanking.load(tmp_path / "r.json")
    assert loaded["conv1"].borda_counts is None
    np.testing.assert_array_equal(loaded["conv1"].order, ranking["conv1"].order)
    assert ranking.to_frame()["borda_count"].isna().all()
    assert ranking.select(0.25)["conv1"] == sorted(ranking["conv1"].order[:8].tolist())
    with pytest.raises(ValueError, match="Borda"):
        _ = ranking + ranking


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "hamming"}, "metric 'euclidean' for pixels"),
        ({"metric": "cosine"}, "'cosine'"),
        ({"features": "edges"}, "'edges'"),
        ({"layers": ["conv9"]}, "'conv9'"),
        ({"layers": ["dense"]}, "a Dense"),
        ({"exemplars": 36}, "from 1 to 35"),
        ({"exemplars": 0}, "from 1 to 35"),
        ({"exemplars": 2, "memory": 1000}, "Received: 40"),
        ({"exemplars": 2.0}, "Received: 2.0"),
        ({"exemplars": "two"}, "Received: 'two'"),
        ({"exemplars": None}, "Received: None"),
        ({"memory": -1}, "Received: -1"),
        *(
            ({"exemplars": 2, "seed": seed}, f"seed as a whole number from 0 .* Received: {seed!r}")
            for seed in (-1, "a", 0.5, True, None, 2**32)
        ),
        ({"batch_size": 0}, "Received: 0"),
        ({"clean": np.ones((3, 8, 8, 3)), "distorted": np.ones((3, 8, 8, 3))}, "as the model"),
        ({"clean": np.zeros((0, 8, 8, 1))}, "clean images of shape"),
        ({"clean": np.full((3, 8, 8, 1), np.nan)}, "clean images with NaN"),
        ({"distorted": np.zeros((3, 8, 9, 1))}, "of one shape"),
        ({"clean": np.zeros((3, 8, 8))}, r"Received: \(3, 8, 8\)"),
    ],
)
def test_bad_arguments(model, images, options, message):
    arguments = {"clean": images[0], "distorted": images[1], **options}
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        kerasft.rank_filters_from_exemplars(model, **arguments)


def test_models_with_several_inputs_are_refused(images):
    inputs = [keras.Input((8, 8, 1)) for _ in range(2)]
    outputs = keras.layers.Conv2D(2, 3, name="conv1")(keras.layers.Add()(inputs))
    two = keras.Model(inputs, outputs, name="two")
    message = r"^Expected a model with one input\. Received: 'two' with 2\."
    with pytest.raises(ValueError, match=message):
        kerasft.rank_filters_from_exemplars(two, *images)
    with pytest.raises(ValueError, match=message):
        kerasft.rank_filters_from_exemplars(two, [images[0]] * 2, [images[1]] * 2)
    with pytest.raises(ValueError, match=message):
        kerasft.find_exemplar(images[0], features="feature_maps", model=two, layer="conv1")


def test_bad_arguments_of_find_exemplar(model, images):
    with pytest.raises(ValueError, match="Hamming"):
        kerasft.find_exemplar(images[0], metric="hamming")
    with pytest.raises(TypeError, match="model and a layer"):
        kerasft.find_exemplar(images[0], features="feature_maps")
    with pytest.raises(ValueError, match="'conv9'"):
        kerasft.find_exemplar(images[0], features="feature_maps", model=model, layer="conv9")
    with pytest.raises(TypeError, match=r"Expected a keras\.Model\. Received: int"):
        kerasft.find_exemplar(images[0], features="feature_maps", model=3, layer="conv1")
    with pytest.raises(ValueError, match=r"batch_size.*Received: 0"):
        kerasft.find_exemplar(
            images[0], features="feature_maps", model=model, layer="conv1", batch_size=0
        )
    with pytest.raises(ValueError, match="Expected clean images of shape"):
        kerasft.find_exemplar(
            images[0].repeat(3, axis=3), features="feature_maps", model=model, layer="conv1"
        )
    with pytest.raises(ValueError, match=r"bytes\. Received: -1"):
        kerasft.find_exemplar(images[0], memory=-1)
    for bad in (np.zeros((0, 8, 8, 1)), np.full((2, 8, 8, 1), np.inf)):
        with pytest.raises(ValueError, match="Expected"):
            kerasft.find_exemplar(bad)


def test_one_image_and_equal_images_are_their_own_exemplar(images):
    assert kerasft.find_exemplar(images[0][:1]) == 0
    assert kerasft.find_exemplar(images[0][:1].repeat(9, axis=0)) == 0
