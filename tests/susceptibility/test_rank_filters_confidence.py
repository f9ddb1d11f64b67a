"""`rank_filters(confidence=…)`: the pairs it visits, and that it is the ranking of just these."""

import h5py
import keras
import numpy as np
import pytest

import kerasft

PAIRS = 400
NOISE = kerasft.AdditiveWhiteGaussianNoise(20, seed=5)


@pytest.fixture(scope="module")
def model(model):
    """With NumPy's random kernels, so that on every backend as many pairs settle it."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    generator = np.random.default_rng(0)
    for name in ("first", "second"):
        conv = copy.get_layer(name)
        bias = np.zeros(conv.filters)
        conv.set_weights([generator.uniform(-0.2, 0.2, conv.kernel.shape), bias])
    return copy


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(7).uniform(0, 255, (PAIRS, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def noisy(images):
    return NOISE(images)


@pytest.fixture(scope="module")
def order():
    """As documented."""
    return np.random.default_rng(0).permutation(PAIRS)


@pytest.fixture(scope="module")
def full(model, images, noisy):
    return kerasft.rank_filters(model, images, noisy, keep_distances=True)


@pytest.fixture(scope="module")
def early(model, images, noisy):
    ranking = kerasft.rank_filters(model, images, noisy, confidence=0.9, keep_distances=True)
    # Neither at the first look nor at the end.
    assert 100 < ranking["second"].pairs < PAIRS
    return ranking


def same(ranking, other, agree):
    agree(ranking, other)
    assert [layer.confidence for layer in ranking.values()] == [
        layer.confidence for layer in other.values()
    ]


def test_it_is_the_ranking_of_the_pairs_visited(model, images, noisy, early, order, agree):
    rows = order[: early["first"].pairs]
    agree(early, kerasft.rank_filters(model, images[rows], noisy[rows]))
    assert all(0.9 <= layer.confidence <= 1 for layer in early.values())
    assert early["first"].pairs == early["second"].pairs


def test_distances_are_those_of_the_full_ranking_in_the_order_visited(early, full, order):
    for name, layer in early.items():
        assert len(layer.distances) == layer.pairs
        np.testing.assert_allclose(
            layer.distances, full[name].distances[order[: layer.pairs]], rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
def test_batch_size_does_not_change_it(model, images, noisy, early, agree, batch_size):
    same(
        kerasft.rank_filters(model, images, noisy, confidence=0.9, batch_size=batch_size),
        early,
        agree,
    )


class Slices:
    """An array on disk: nothing but slices can be had of it."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        assert isinstance(index, slice)
        return self.array[index]


def hdf5(images):
    # In memory; files open at a time must differ in name.
    file = h5py.File(str(id(images)), "w", driver="core", backing_store=False)
    return file.create_dataset("images", data=images)


ARRAYS = {
    "float64 array": lambda images: images.astype("float64"),
    "backend tensor": keras.ops.convert_to_tensor,
    "only slices": Slices,
    "HDF5": hdf5,
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_kind_of_array_does_not_change_it(model, images, noisy, early, agree, kind):
    pairs = map(ARRAYS[kind], (images, noisy))
    same(kerasft.rank_filters(model, *pairs, confidence=0.9), early, agree)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_noise_of_an_image_is_that_of_the_full_ranking(model, images, early, agree, batch_size):
    same(
        kerasft.rank_filters(model, images, NOISE, confidence=0.9, batch_size=batch_size),
        early,
        agree,
    )


def test_function_without_index_gets_whole_batches(model, images, agree):
    sizes, before = [], images.copy()

    def darker_in_place(batch):
        sizes.append(len(batch))
        batch *= 0.5
        return batch

    ranking = kerasft.rank_filters(model, images, darker_in_place, confidence=0.9, batch_size=50)
    assert set(sizes) == {50}
    np.testing.assert_array_equal(images, before)
    same(ranking, kerasft.rank_filters(model, images, images * 0.5, confidence=0.9), agree)


def test_function_with_index_gets_both_images_of_a_model_with_two_inputs(images):
    inputs = [keras.Input((8, 8, 3), name=name) for name in ("left", "right")]
    convolved = [keras.layers.Conv2D(4, 3, name=x.name + "_conv")(x) for x in inputs]
    two = keras.Model(inputs, keras.layers.Add()(convolved))

    def noise_on_the_left(pair, first_index):
        assert len(pair[0]) == len(pair[1]) == 1
        np.testing.assert_array_equal(pair[0][0], images[first_index])
        return [NOISE(pair[0], first_index=first_index), pair[1]]

    ranking = kerasft.rank_filters(two, [images] * 2, noise_on_the_left, confidence=0.9)
    assert ranking["left_conv"].mean_distance.all()
    assert not ranking["right_conv"].mean_distance.any()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, first_index: None, r"of one shape. Received: batches \(1, 8, 8, 3\) and \(\)"),
        (lambda x, first_index: x * np.nan, "finite pixels. Received: distorted images"),
    ],
)
def test_function_with_index_that_gives_other_images_is_refused(model, images, function, message):
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        kerasft.rank_filters(model, images, function, confidence=0.9)


def test_arrays_sorted_by_class_do_not_mislead(model, images, noisy, full):
    # Only the last class is disturbed: whoever takes the first pairs sees nothing.
    half = PAIRS // 2
    some = np.concatenate([images[:half], noisy[half:]])
    ranking = kerasft.rank_filters(model, images, some, confidence=0.8)
    assert ranking["second"].pairs < half
    whole = kerasft.rank_filters(model, images, some)
    assert ranking.overlap(whole)["second"] >= 2 / 3
    # Half of the pairs visited are of either class, but for chance.
    for name in ranking:
        ratio = ranking[name].mean_distance.mean() / whole[name].mean_distance.mean()
        assert 0.75 < ratio < 1.25


def shuffled_batches(images, order, read):
    for start in range(0, len(images), 30):
        read.append(start)
        yield images[order[start : start + 30]]


def test_dataset_is_taken_as_it_comes_and_not_read_on(model, images, noisy, order, agree):
    read = []
    ranking = kerasft.rank_filters(
        model,
        shuffled_batches(images, order, read),
        shuffled_batches(noisy, order, []),
        confidence=0.8,
        batch_size=10,
    )
    pairs = ranking["first"].pairs
    assert pairs < PAIRS - 30
    assert len(read) <= -(-pairs // 30) + 1
    agree(ranking, kerasft.rank_filters(model, images[order[:pairs]], noisy[order[:pairs]]))


def test_array_beside_a_dataset_is_taken_as_it_comes(model, images, noisy, agree):
    batches = (noisy[start : start + 30] for start in range(0, PAIRS, 30))
    ranking = kerasft.rank_filters(model, images, batches, confidence=0.8)
    pairs = ranking["first"].pairs
    assert pairs < PAIRS
    agree(ranking, kerasft.rank_filters(model, images[:pairs], noisy[:pairs]))


def batches_of(images):
    return (images[start : start + 30] for start in range(0, len(images), 30))


@pytest.mark.parametrize("make", [np.asarray, batches_of], ids=["arrays", "datasets"])
@pytest.mark.parametrize("pairs", [20, 100, 130])
def test_all_pairs_where_they_do_not_settle_it(model, images, noisy, agree, make, pairs):
    images, noisy = images[:pairs], noisy[:pairs]
    ranking = kerasft.rank_filters(model, make(images), make(noisy), confidence=0.9999)
    agree(ranking, kerasft.rank_filters(model, images, noisy))
    assert [layer.confidence for layer in ranking.values()] == [1.0, 1.0]


def test_without_confidence_all_pairs_vote_in_their_order(model, images, noisy, full, order):
    assert all(layer.confidence is None for layer in full.values())
    assert full["first"].pairs == PAIRS
    one = kerasft.rank_filters(model, images[3:4], noisy[3:4])
    np.testing.assert_allclose(
        full["first"].distances[3], one["first"].mean_distance, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "confidence", [0, 1, 0.0, 1.0, -0.1, 1.5, float("nan"), float("inf"), True, "0.95", 1j, [0.9]]
)
def test_confidence_out_of_range_is_refused(model, images, confidence):
    with pytest.raises(ValueError, match=r"^Expected confidence as a number over 0 and under 1\. "):
        kerasft.rank_filters(model, images, images, confidence=confidence)


def test_progress_counts_all_batches_and_ends_early(model, images, noisy, early, monkeypatch):
    seen = {"batches": 0, "stopped": 0}

    class Progress:
        def add_task(self, description, total):
            seen["total"] = total

        def advance(self, task):
            seen["batches"] += 1

        def stop(self):
            seen["stopped"] += 1

    monkeypatch.setattr("kerasft.progress.start_progress", Progress)
    kerasft.rank_filters(model, images, noisy, confidence=0.9, batch_size=10)
    # The batch that settles it is not advanced past.
    assert seen == {"total": 40, "stopped": 1, "batches": -(-early["first"].pairs // 10) - 1}
