import keras
import numpy as np
import pytest
from scipy.stats import wasserstein_distance


def algorithm_1(distances):
    """The paper's Algorithm 1, line by line; `argsort` descending, ties by index."""
    filters = len(distances[0])
    borda_count = {}
    for filter in range(filters):
        borda_count[filter] = 0
    for distance in distances:
        ranked_filters = sorted(range(filters), key=lambda j: (-distance[j], j))
        ranked_filters = ranked_filters[:10]
        idx = 0
        while idx < 10:
            if idx == len(ranked_filters):  # Fewer than ten filters.
                break
            candidate_filter = ranked_filters[idx]
            points = 10 - idx
            borda_count[candidate_filter] += points
            idx += 1
    return [borda_count[filter] for filter in range(filters)]


@pytest.fixture(scope="session")
def literal_borda():
    return algorithm_1


@pytest.fixture(scope="session")
def slow_ranking():
    """The whole of `rank_filters` for one layer, map by map.

    Takes feature maps `(pairs, height, width, filters)`; gives order, points
    and distance matrix.
    """

    def rank(clean_maps, distorted_maps):
        pairs, filters = len(clean_maps), clean_maps.shape[-1]
        distances = [
            [
                wasserstein_distance(
                    clean_maps[i, ..., j].astype("float64").ravel(),
                    distorted_maps[i, ..., j].astype("float64").ravel(),
                )
                for j in range(filters)
            ]
            for i in range(pairs)
        ]
        points = algorithm_1(distances)
        mean = np.mean(distances, axis=0)
        order = sorted(range(filters), key=lambda j: (-points[j], -mean[j], j))
        return order, points, np.array(distances)

    return rank


@pytest.fixture(scope="session")
def agree():
    """Two rankings of the same pairs by ways that round differently."""

    def compare(ranking, other):
        assert list(ranking) == list(other)
        for name in ranking:
            np.testing.assert_array_equal(ranking[name].order, other[name].order)
            np.testing.assert_array_equal(ranking[name].borda_counts, other[name].borda_counts)
            np.testing.assert_allclose(
                ranking[name].mean_distance, other[name].mean_distance, rtol=1e-4, atol=1e-6
            )
            assert ranking[name].pairs == other[name].pairs

    return compare


@pytest.fixture(scope="session")
def clean():
    return np.random.default_rng(0).uniform(0, 255, (11, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="session")
def distorted(clean):
    noise = np.random.default_rng(1).normal(0, 20, clean.shape)
    return np.clip(clean + noise, 0, 255).astype("float32")


@pytest.fixture(scope="session")
def model():
    """Two convolutions, of 6 and of 12 filters, around what differs in training."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, activation="relu", name="first")(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Conv2D(12, 3, padding="same", name="second")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax", name="head")(x), name="small")
    norm = model.get_layer("norm")
    generator = np.random.default_rng(2)
    norm.set_weights([generator.uniform(0.5, 1.5, 12) for _ in norm.get_weights()])
    return model
