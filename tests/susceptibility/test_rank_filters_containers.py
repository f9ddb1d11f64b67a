"""Images in anything that `model.predict` takes give one and the same ranking."""

import keras
import numpy as np
import pytest

import kerasft


@pytest.fixture(scope="module")
def ranking(model, clean, distorted):
    return kerasft.rank_filters(model, clean, distorted)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images, labels=True, **arguments):
        super().__init__(**arguments)
        self.images, self.labels = images, labels

    def __len__(self):
        return -(-len(self.images) // 3)

    def __getitem__(self, index):
        images = self.images[3 * index : 3 * index + 3]
        return (images, np.zeros(len(images))) if self.labels else images


class Tensor:
    """As much of a foreign tensor as NumPy needs."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        return Tensor(self.array[index])


class Loader:
    """What a PyTorch `DataLoader` looks like: iterable again and again, lists of tensors."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return -(-len(self.images) // 5)

    def __iter__(self):
        for start in range(0, len(self.images), 5):
            images = self.images[start : start + 5]
            yield [Tensor(images), Tensor(np.zeros(len(images)))]


def tf_dataset(batch, labels):
    def make(images):
        tf = pytest.importorskip("tensorflow")
        parts = (images, np.zeros(len(images))) if labels else images
        return tf.data.Dataset.from_tensor_slices(parts).batch(batch)

    return make


CONTAINERS = {
    "array": lambda images: images,
    "float64 array": lambda images: images.astype("float64"),
    "backend tensor": keras.ops.convert_to_tensor,
    "foreign tensor": Tensor,
    "tf.data, small batches": tf_dataset(2, labels=False),
    "tf.data with labels, large batches": tf_dataset(100, labels=True),
    "PyDataset": lambda images: Sequence(images, labels=False),
    "PyDataset with labels and workers": lambda images: Sequence(images, workers=2),
    "DataLoader": Loader,
    "generator": lambda images: (images[i : i + 2] for i in range(0, len(images), 2)),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_container_does_not_change_the_ranking(model, clean, distorted, ranking, agree, kind):
    make = CONTAINERS[kind]
    agree(kerasft.rank_filters(model, make(clean), make(distorted), batch_size=4), ranking)


@pytest.mark.parametrize(
    ("left", "right"),
    [("array", "tf.data, small batches"), ("DataLoader", "PyDataset"), ("generator", "array")],
)
def test_clean_and_distorted_need_not_come_alike(
    model, clean, distorted, ranking, agree, left, right
):
    pairs = CONTAINERS[left](clean), CONTAINERS[right](distorted)
    agree(kerasft.rank_filters(model, *pairs, batch_size=4), ranking)


@pytest.mark.parametrize("kind", ["array", "tf.data with labels, large batches", "DataLoader"])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_noise_is_that_of_each_image_whatever_the_batches(model, clean, agree, kind, batch_size):
    noise = kerasft.AdditiveWhiteGaussianNoise(15, seed=3)
    agree(
        kerasft.rank_filters(model, CONTAINERS[kind](clean), noise, batch_size=batch_size),
        kerasft.rank_filters(model, clean, noise(clean)),
    )


def darker(images):
    return images * 0.5


def shifted_in_place(images):
    images *= 0.5
    return images


CALLABLES = {
    "function": darker,
    "function that works in place": shifted_in_place,
    "Keras layer": keras.layers.Rescaling(0.5),
    "ufunc": np.sqrt,
}


@pytest.mark.parametrize("kind", CALLABLES)
def test_distorted_may_be_a_function(model, clean, agree, kind):
    function, before = CALLABLES[kind], clean.copy()
    result = kerasft.rank_filters(model, clean, function, batch_size=4)
    np.testing.assert_array_equal(clean, before)
    agree(result, kerasft.rank_filters(model, clean, np.asarray(function(clean.copy()))))


def test_function_of_a_model_with_two_inputs_gets_both(clean):
    inputs = [keras.Input((8, 8, 3), name=name) for name in ("left", "right")]
    convolved = [keras.layers.Conv2D(4, 3, name=x.name + "_conv")(x) for x in inputs]
    two = keras.Model(inputs, keras.layers.Add()(convolved))
    ranking = kerasft.rank_filters(two, [clean, clean], lambda pair: [pair[0] * 0.5, pair[1]])
    assert ranking["left_conv"].mean_distance.all()
    assert not ranking["right_conv"].mean_distance.any()


def test_tf_dataset_of_two_inputs_with_labels_is_ranked(clean, distorted):
    tf = pytest.importorskip("tensorflow")
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    convolved = [keras.layers.Conv2D(4, 3, name=f"conv{i}")(x) for i, x in enumerate(inputs)]
    two = keras.Model(inputs, keras.layers.Add()(convolved))

    def dataset(left, right):
        parts = ((left, right), np.zeros(len(left)))
        return tf.data.Dataset.from_tensor_slices(parts).batch(3)

    ranking = kerasft.rank_filters(two, dataset(clean, clean), dataset(distorted, clean))
    assert ranking["conv0"].mean_distance.all()
    assert not ranking["conv1"].mean_distance.any()


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("side", ["clean", "distorted"])
def test_tf_dataset_of_single_images_is_refused(model, clean, side, labels):
    single = tf_dataset(2, labels=labels)(clean).unbatch()
    pairs = (single, lambda x: x) if side == "clean" else (clean, single)
    with pytest.raises(
        ValueError, match=rf"^Expected {side} images as a dataset of batches\. .*method batch\.$"
    ):
        kerasft.rank_filters(model, *pairs)


def endless_tf(images):
    return tf_dataset(2, labels=False)(images).repeat()


class Endless(Sequence):
    num_batches = None


@pytest.mark.parametrize("endless", [endless_tf, Endless], ids=["tf.data", "PyDataset"])
@pytest.mark.parametrize("side", ["clean", "distorted"])
def test_dataset_that_never_ends_is_refused(model, clean, endless, side):
    pairs = (endless(clean), lambda x: x) if side == "clean" else (clean, endless(clean))
    with pytest.raises(ValueError, match=r"^Expected a dataset of images that ends\. Received: "):
        kerasft.rank_filters(model, *pairs)


def test_endless_generator_of_distorted_images_is_too_many(model, clean):
    def endless():
        while True:
            yield clean[:4]

    with pytest.raises(ValueError, match="Received: 11 clean images and more distorted ones"):
        kerasft.rank_filters(model, clean, endless(), batch_size=4)


def test_gray_images_need_no_axis_of_one_channel(agree):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(2)])
    images, _ = kerasft.datasets.digits()
    clean, distorted = images[:20], kerasft.GaussianBlur(1.0)(images[:20])
    ranking = kerasft.rank_filters(model, clean, distorted)
    agree(kerasft.rank_filters(model, clean[..., 0], distorted[..., 0]), ranking)
    with pytest.raises(ValueError, match=r"shape \(None, 8, 8, 1\) .* Received: \(20, 8, 7\)"):
        kerasft.rank_filters(model, clean[..., :7, 0], distorted[..., :7, 0])
    color = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(ValueError, match=r"shape \(None, 8, 8, 3\) .* Received: \(20, 8, 8\)"):
        kerasft.rank_filters(color, clean[..., 0], distorted[..., 0])


class Sizes(keras.utils.PyDataset):
    """A batch of two images for each size."""

    def __init__(self, scale, **arguments):
        super().__init__(**arguments)
        self.scale = scale

    def __len__(self):
        return 3

    def __getitem__(self, index):
        shape = (2, 6 + 2 * index, 7, 1)
        return self.scale * np.random.default_rng(index).uniform(0, 1, shape).astype("float32")


def test_images_of_several_sizes_are_run_one_by_one(agree):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(
        ValueError, match=r"one shape, .* \(6, 7, 1\) and \(8, 7, 1\); give batch_s"
    ):
        kerasft.rank_filters(model, Sizes(1.0), Sizes(0.5))
    ranking = kerasft.rank_filters(model, Sizes(1.0), Sizes(0.5), batch_size=1)
    parts = [kerasft.rank_filters(model, Sizes(1.0)[i], Sizes(0.5)[i]) for i in range(3)]
    agree(ranking, parts[0] + parts[1] + parts[2])
