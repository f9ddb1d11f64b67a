"""Disparity maps are those of a loop over every location, and summaries are those of the maps."""

import dataclasses
import tracemalloc

import keras
import numpy as np
import pytest

import kerasft
from kerasft.invariance import DisparitySummary, disparity_maps, mean_disparity
from kerasft.susceptibility.feature_maps import FeatureMaps

layers = keras.layers

# Of each layer, the one whose output counts: what finishes the convolution.
FINISHED = {"first": "first", "second": "relu", "third": "norm3"}


def slow_disparity(clean_maps, distorted_maps):
    """Figure 6, location by location, on maps `(images, height, width, filters)`."""
    images, height, width, filters = clean_maps.shape
    result = np.zeros((images, height, width), "int64")
    for i in range(images):
        for y in range(height):
            for x in range(width):
                for j in range(filters):
                    clean_bit = 1 if clean_maps[i, y, x, j] > 0 else 0
                    distorted_bit = 1 if distorted_maps[i, y, x, j] > 0 else 0
                    result[i, y, x] += clean_bit != distorted_bit
    return result


def reference(model, clean, distorted, finished):
    """What `disparity_maps` must give; `finished` names the layer whose output counts."""
    result = {}
    for name, source in finished.items():
        extractor = keras.Model(model.inputs, model.get_layer(source).output)
        maps = [extractor.predict(images, verbose=0) for images in (clean, distorted)]
        result[name] = slow_disparity(*maps)
        # Else it would not show which layer was taken.
        assert result[name].any()
    return result


def norm(name, axis=-1):
    """A batch normalization that moves its input across zero; a new one would not."""
    return layers.BatchNormalization(
        name=name,
        axis=axis,
        gamma_initializer=keras.initializers.RandomUniform(-1.0, 1.0),
        beta_initializer=keras.initializers.RandomUniform(-0.2, 0.2),
        moving_mean_initializer=keras.initializers.RandomUniform(-0.2, 0.2),
        moving_variance_initializer=keras.initializers.Constant(0.05),
    )


@pytest.fixture(scope="module")
def clean():
    # Height and width differ, so that they cannot be exchanged.
    return np.random.default_rng(0).uniform(0, 255, (11, 8, 10, 3)).astype("float32")


@pytest.fixture(scope="module")
def distorted(clean):
    noise = np.random.default_rng(1).normal(0, 40, clean.shape)
    return np.clip(clean + noise, 0, 255).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A fused activation, normalization and activation, normalization before a sum."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 10, 3), name="image")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(6, 3, activation="tanh", name="first")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(12, 3, padding="same", strides=(1, 2), name="second")(x)
    x = layers.ReLU(name="relu")(norm("norm2")(x))
    y = norm("norm3")(layers.Conv2D(12, 1, name="third")(x))
    x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(2, "softmax", name="head")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name="small")


@pytest.fixture(scope="module")
def expected(model, clean, distorted):
    return reference(model, clean, distorted, FINISHED)


def agree(maps, expected):
    assert list(maps) == list(expected)
    for name in expected:
        assert maps[name].dtype == np.int64
        np.testing.assert_array_equal(maps[name], expected[name])


def summarize(summaries, maps, filters):
    """`summaries` are those of `maps`."""
    assert list(summaries) == list(maps)
    for name, summary in summaries.items():
        assert summary.mean_map.dtype == np.float64
        np.testing.assert_allclose(summary.mean_map, maps[name].mean(axis=0), rtol=1e-15)
        assert summary.total == maps[name].sum()
        assert type(summary.total) is int
        assert summary.filters == filters[name]
        assert summary.pairs == len(maps[name])
        assert summary.mean_share == pytest.approx(np.mean(maps[name] / filters[name]))


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_maps_are_those_of_the_slow_reference(model, clean, distorted, expected, batch_size):
    agree(disparity_maps(model, clean, distorted, batch_size=batch_size), expected)
    assert {name: maps.shape for name, maps in expected.items()} == {
        "first": (11, 6, 8),
        "second": (11, 6, 4),
        "third": (11, 6, 4),
    }


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_summaries_are_those_of_the_maps(model, clean, distorted, expected, batch_size):
    summaries = mean_disparity(model, clean, distorted, batch_size=batch_size)
    summarize(summaries, expected, {"first": 6, "second": 12, "third": 12})


def test_summaries_do_not_depend_on_the_batch_size_by_one_bit(model, clean, distorted):
    one, many = (mean_disparity(model, clean, distorted, batch_size=size) for size in (1, 7))
    for name in FINISHED:
        np.testing.assert_array_equal(one[name].mean_map, many[name].mean_map)
        assert one[name].mean_share == many[name].mean_share


def pointwise(weights, bias, **arguments):
    """A 1×1 convolution of images with two channels by given filters."""
    conv = layers.Conv2D(len(bias), 1, name="conv", **arguments)
    model = keras.Sequential([keras.Input((None, None, 2)), conv])
    conv.set_weights([np.reshape(weights, (1, 1, 2, len(bias))), np.array(bias)])
    return model


def test_map_worked_out_by_hand():
    # The filters are the two channels and, third, their difference.
    model = pointwise([[1, 0, 1], [0, 1, -1]], [0, 0, 0])
    clean = np.array([[[[1, 1], [0, 2], [3, 0]], [[5, 4], [0, 0], [2, 2]]]], "float32")
    distorted = np.array([[[[1, 1], [2, 0], [3, 1]], [[4, 5], [1, 1], [-2, 0]]]], "float32")
    # Bits (1, 1, 0)→(1, 1, 0); (0, 1, 0)→(1, 0, 1); (1, 0, 1)→(1, 1, 1);
    # (1, 1, 1)→(1, 1, 0); (0, 0, 0)→(1, 1, 0); (1, 1, 0)→(0, 0, 0).
    maps = disparity_maps(model, clean, distorted)
    assert maps["conv"].tolist() == [[[0, 3, 1], [1, 2, 2]]]
    summary = mean_disparity(model, clean, distorted)["conv"]
    assert (summary.total, summary.filters, summary.pairs) == (9, 3, 1)
    assert summary.mean_map.tolist() == [[0, 3, 1], [1, 2, 2]]
    assert summary.mean_share == 9 / (2 * 3 * 3)


def test_zero_counts_as_negative_values_do():
    model = pointwise([[1, 0], [0, 1]], [0, 0])
    zero = np.zeros((1, 1, 3, 2), "float32")
    other = np.array([[[[-1, -1], [-1, 1], [0, 0]]]], "float32")
    assert disparity_maps(model, zero, other)["conv"].tolist() == [[[0, 1, 0]]]


def test_share_is_one_where_every_feature_changes():
    model = pointwise([[1, 2], [1, 0]], [0, 0])
    images = np.random.default_rng(0).uniform(1, 9, (5, 2, 3, 2)).astype("float32")
    summary = mean_disparity(model, images, np.negative)["conv"]
    assert summary.mean_share == 1.0
    assert (summary.mean_map == 2).all()


def test_identical_images_have_no_disparity(model, clean):
    assert not any(maps.any() for maps in disparity_maps(model, clean, clean.copy()).values())
    for summary in mean_disparity(model, clean, lambda images: images).values():
        assert (summary.total, summary.mean_share) == (0, 0.0)
        assert not summary.mean_map.any()


@pytest.mark.parametrize("shift", [-50.0, 50.0], ids=["all off", "all on"])
def test_features_are_taken_after_the_shift_of_the_batch_normalization(clean, distorted, shift):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 10, 3))
    x = layers.Conv2D(7, 3, name="conv")(layers.Rescaling(1 / 255)(inputs))
    shifted = layers.BatchNormalization(
        name="norm", beta_initializer=keras.initializers.Constant(shift)
    )(x)
    model = keras.Model(inputs, layers.ReLU(name="relu")(shifted))
    assert reference(model, clean, distorted, {"conv": "conv"})["conv"].any()
    assert not disparity_maps(model, clean, distorted)["conv"].any()


def test_a_function_of_activation_counts_as_its_layer_does(clean, distorted):
    inputs = keras.Input((8, 10, 3))
    x = layers.Conv2D(7, 3, name="conv")(layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.activations.sigmoid(x))
    assert reference(model, clean, distorted, {"conv": "conv"})["conv"].any()
    assert not disparity_maps(model, clean, distorted)["conv"].any()
    assert mean_disparity(model, clean, distorted)["conv"].total == 0


def test_features_of_the_normalization_are_not_those_of_the_convolution(
    model, clean, distorted, expected
):
    raw = reference(model, clean, distorted, {"second": "second", "third": "third"})
    for name in raw:
        assert (raw[name] != expected[name]).any()


def test_first_layers_of_the_all_conv_net_are_compared_after_their_relu():
    keras.utils.set_random_seed(0)
    model = kerasft.models.all_conv_net(classes=2, input_shape=(12, 12, 3))
    generator = np.random.default_rng(2)
    finished = {f"conv{number}": f"relu{number}" for number in (1, 2, 3)}
    for number in (1, 2, 3):
        normalization = model.get_layer(f"norm{number}")
        normalization.set_weights(
            [generator.uniform(0.5, 1.5, 96) for _ in normalization.get_weights()]
        )
    clean = generator.integers(0, 256, (3, 12, 12, 3), dtype="uint8")
    noisy = kerasft.additive_white_gaussian_noise(clean, 15, seed=0)
    maps = disparity_maps(model, clean, noisy, layers=list(finished))
    agree(maps, reference(model, clean, noisy, finished))
    assert {name: len(maps[name][0]) for name in maps} == {"conv1": 12, "conv2": 12, "conv3": 6}


def test_channels_first_layers_are_compared_by_location(clean, distorted):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 8, 10))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(6, 3, name="conv", data_format="channels_first")(x)
    x = layers.ReLU()(norm("norm", axis=1)(x))
    model = keras.Model(inputs, layers.Permute((2, 3, 1), name="last")(x))
    images = [x.transpose(0, 3, 1, 2) for x in (clean, distorted)]
    expected = reference(model, *images, {"conv": "last"})
    assert expected["conv"].shape == (11, 6, 8)
    agree(disparity_maps(model, *images), expected)
    summarize(mean_disparity(model, *images), expected, {"conv": 6})


def test_half_precision_features_are_compared(clean, distorted):
    keras.utils.set_random_seed(0)
    policy = {"dtype": "mixed_float16"}
    half = keras.Sequential(
        [
            keras.Input((8, 10, 3)),
            layers.Rescaling(1 / 255, **policy),
            layers.Conv2D(5, 3, name="conv", **policy),
        ]
    )
    expected = reference(half, clean, distorted, {"conv": "conv"})
    agree(disparity_maps(half, clean, distorted), expected)


def test_layers_are_compared_in_the_order_asked_for(model, clean, distorted, expected):
    wanted = {name: expected[name] for name in ("third", "first")}
    agree(disparity_maps(model, clean, distorted, layers=["third", "first", "third"]), wanted)
    assert list(mean_disparity(model, clean, distorted, layers=["third", "first"])) == list(wanted)


def test_layers_of_nested_models_go_by_the_shortest_unique_name(clean, distorted):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 10, 3))
    parts = [
        keras.Sequential(
            [keras.Input((8, 10, 3)), layers.Conv2D(4, 3, name="conv"), norm("norm")], name=name
        )
        for name in ("left", "right")
    ]
    outputs = layers.Add()([part(layers.Rescaling(1 / 255)(inputs)) for part in parts])
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="last")(outputs))
    assert list(disparity_maps(model, clean, distorted)) == ["left/conv", "right/conv", "last"]
    maps = disparity_maps(model, clean, distorted, layers=["right/conv"])
    outputs = [parts[1].predict(images / 255, verbose=0) for images in (clean, distorted)]
    agree(maps, {"right/conv": slow_disparity(*outputs)})


def test_partially_trainable_model_has_the_disparity_of_its_source(
    model, clean, distorted, expected
):
    partial = kerasft.make_partially_trainable(model, {"second": [0, 5]})
    agree(disparity_maps(partial, clean, distorted), expected)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return -(-len(self.images) // 3)

    def __getitem__(self, index):
        images = self.images[3 * index : 3 * index + 3]
        return images, np.zeros(len(images))


def tf_dataset(images):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, np.zeros(len(images)))).batch(5)


def generator(images):
    return (images[i : i + 2] for i in range(0, len(images), 2))


CONTAINERS = {
    "array": np.asarray,
    "tensor": keras.ops.convert_to_tensor,
    "tf.data": tf_dataset,
    "PyDataset": Sequence,
    "generator": generator,
}


@pytest.mark.parametrize("right", CONTAINERS)
@pytest.mark.parametrize("left", ["array", "tf.data"])
def test_container_does_not_change_the_maps(model, clean, distorted, expected, left, right):
    pairs = CONTAINERS[left](clean), CONTAINERS[right](distorted)
    wanted = {"second": expected["second"]}
    agree(disparity_maps(model, *pairs, layers=["second"], batch_size=4), wanted)


def test_datasets_are_summarized(model, clean, distorted, expected):
    summaries = mean_disparity(
        model, tf_dataset(clean), Sequence(distorted), layers=["second"], batch_size=4
    )
    summarize(summaries, {"second": expected["second"]}, {"second": 12})


def darker_in_place(images):
    images *= 0.5
    return images


CALLABLES = {
    "function that works in place": darker_in_place,
    "Keras layer": layers.Rescaling(0.5),
    "blur": kerasft.GaussianBlur(1.0),
    "noise of each image": kerasft.AdditiveWhiteGaussianNoise(15, seed=3),
}


@pytest.mark.parametrize("left", ["array", "PyDataset"])
@pytest.mark.parametrize("kind", CALLABLES)
def test_distorted_may_be_a_function(model, clean, kind, left):
    function, before = CALLABLES[kind], clean.copy()
    distorted = np.asarray(function(clean.copy()))
    expected = reference(model, clean, distorted, {"second": "relu"})
    images = CONTAINERS[left](clean)
    agree(disparity_maps(model, images, function, layers=["second"], batch_size=4), expected)
    summaries = mean_disparity(model, images, function, layers=["second"], batch_size=3)
    summarize(summaries, expected, {"second": 12})
    np.testing.assert_array_equal(clean, before)


def test_memory_of_a_summary_does_not_grow_with_the_number_of_pairs():
    model = pointwise([[1, 0], [0, 1]], [0, 0])

    def peak(batches):
        images = (np.ones((16, 64, 64, 2), "float32") for _ in range(batches))
        tracemalloc.start()
        try:
            summary = mean_disparity(model, images, np.negative, batch_size=16)["conv"]
            assert summary.pairs == 16 * batches
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    held = 32 * 16 * 64 * 64 * np.dtype("int64").itemsize
    assert peak(36) - peak(4) < held / 4


def test_model_is_not_changed(model, clean, distorted):
    weights, before = model.get_weights(), model.predict(clean, verbose=0)
    mean_disparity(model, clean, distorted)
    assert all("call" not in vars(layer) for layer in model.layers)
    np.testing.assert_array_equal(model.predict(clean, verbose=0), before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_summary_cannot_be_changed():
    summary = DisparitySummary(np.array([[1.0, 0.5]]), 6, filters=3, pairs=4)
    assert summary.mean_share == 6 / (4 * 1 * 2 * 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.total = 0


def images(count=6, height=8, channels=3, value=100.0):
    return np.full((count, height, 10, channels), value, "float32")


def with_nan():
    result = images()
    result[2, 3, 4, 1] = np.nan
    return result


BEFORE = {
    "unknown layer": (
        images(),
        images(),
        {"layers": ["conv7"]},
        r"the name of a layer in the model. Received: 'conv7'. Its Conv2D layers are \['first'",
    ),
    "dense layer": (images(), images(), {"layers": ["head"]}, "a Conv2D .* 'head', a Dense"),
    "no layers": (images(), images(), {"layers": []}, "at least one layer. Received: none"),
    "more clean": (images(6), images(5), {}, "as many clean as .* 6 clean and 5 distorted"),
    "more distorted": (images(5), images(6), {}, "as many clean as .* 5 clean and 6 distorted"),
    "one is empty": (images(6), images(0), {}, "as many clean as .* 6 clean and 0 distorted"),
    "no images": (images(0), images(0), {}, "at least one pair of images. Received: none"),
    "no batches": (iter([]), iter([]), {}, "at least one pair of images. Received: none"),
    "no images to distort": (images(0), np.sqrt, {}, "at least one pair .* Received: none"),
    "other height": (
        images(),
        images(height=9),
        {},
        r"distorted images of shape \(None, 8, 10, 3\) as the model .* Received: \(6, 9, 10, 3\)",
    ),
    "function that crops": (images(), lambda x: x[:, ::2], {}, r"of one shape. .* \(6, 4, 10, 3\)"),
    "gray": (
        images(channels=1),
        images(channels=1),
        {},
        r"clean images of shape \(None, 8, 10, 3\) as the model 'small' takes. "
        r"Received: \(6, 8, 10, 1\)",
    ),
    "NaN": (with_nan(), images(), {}, "finite pixels. Received: clean images with NaN"),
    "NaN, distorted": (images(), with_nan(), {}, "finite pixels. Received: distorted images with"),
    "other range": (images(value=0.5), images(), {}, "over the same value range. Received"),
    "batch_size 0": (images(), images(), {"batch_size": 0}, "batch_size .* Received: 0"),
    "batch_size 2.5": (images(), images(), {"batch_size": 2.5}, "batch_size .* Received: 2.5"),
}


@pytest.fixture(params=[disparity_maps, mean_disparity])
def measure(request):
    return request.param


def test_sequential_model_from_a_file_is_compared(clean, distorted, tmp_path):
    channels = clean.shape[-1]
    model = keras.Sequential(
        [
            keras.Input(clean.shape[1:]),
            *(layers.Conv2D(channels, 3, activation="relu", name=name) for name in ("a", "b")),
        ]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = disparity_maps(model, clean, distorted)
    for name, maps in disparity_maps(loaded, clean, distorted).items():
        np.testing.assert_array_equal(maps, expected[name])


@pytest.fixture
def idle_model(model, monkeypatch):
    """A model that must not run."""

    def compute_calls(self, images):
        raise AssertionError("the model ran")

    monkeypatch.setattr(FeatureMaps, "compute_calls", compute_calls)
    return model


@pytest.mark.parametrize("case", BEFORE)
def test_refused_before_the_model_runs(idle_model, measure, case):
    clean, distorted, arguments, message = BEFORE[case]
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        measure(idle_model, clean, distorted, **arguments)


TYPES = {
    "number": (5, 5, {}, "images as arrays, .* Received: int"),
    "None": (images(), None, {}, "images as arrays, .* Received: NoneType"),
    "layers as text": (images(), images(), {"layers": "first"}, "list of layer names. .* 'first'"),
}


@pytest.mark.parametrize("case", TYPES)
def test_wrong_type_is_refused_before_the_model_runs(idle_model, measure, case):
    clean, distorted, arguments, message = TYPES[case]
    with pytest.raises(TypeError, match=f"^Expected .*{message}"):
        measure(idle_model, clean, distorted, **arguments)


def test_what_is_not_a_model_is_refused(measure):
    with pytest.raises(TypeError, match=r"^Expected a keras.Model. Received: str"):
        measure("model.keras", images(), images())


def test_model_without_convolutions_is_refused(measure):
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match=r"^Expected a model with Conv2D .* Received: 'dense'"):
        measure(dense, np.zeros((2, 4)), np.zeros((2, 4)))


def test_nan_in_a_later_batch_of_a_dataset_is_refused(model, measure):
    with pytest.raises(ValueError, match=r"^Expected finite pixels. Received: distorted images"):
        measure(model, generator(images()), generator(with_nan()), batch_size=2)


def test_datasets_of_unequal_numbers_are_refused(model, measure):
    with pytest.raises(ValueError, match="6 distorted images and more clean ones"):
        measure(model, generator(images(8)), generator(images(6)), batch_size=4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(measure, bad):
    model = pointwise([[1, 0], [0, 1]], [0, bad])
    message = r"^Expected finite feature maps. Received: NaN or infinity from layer 'conv'"
    with pytest.raises(ValueError, match=message):
        measure(model, images(channels=2), images(channels=2))


def test_images_of_several_sizes_are_refused(measure):
    model = pointwise([[1, 0], [0, 1]], [0, 0])
    # A height of 1 is one that NumPy would stretch.
    batches = [images(4, height=8, channels=2), images(4, height=1, channels=2)]
    message = (
        r"^Expected images of one size. Received: .*'conv' outputs of \(8, 10\) and of \(1, 10\)"
    )
    with pytest.raises(ValueError, match=message):
        measure(model, iter(batches), np.negative, batch_size=4)


@pytest.mark.parametrize("inside", [False, True], ids=["layer", "nested model"])
def test_layer_that_is_called_twice_is_refused(measure, inside):
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    if inside:
        shared = keras.Sequential([keras.Input((8, 10, 3)), shared], name="inner")
    inputs = keras.Input((8, 10, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="once")(shared(shared(inputs))))
    message = r"^Expected layers that the model calls once.*Received: 'shared', called 2 times\."
    with pytest.raises(ValueError, match=message):
        measure(model, images(), images())
    assert list(measure(model, images(), images(), layers=["once"])) == ["once"]


def test_model_without_known_wiring_is_refused(measure):
    class Subclassed(keras.Model):
        def __init__(self, filters):
            super().__init__(name="mine")
            self.conv = layers.Conv2D(filters, 3, name="conv")

        def call(self, images):
            return self.conv(images)

    model = Subclassed(4)
    model(images(1))
    with pytest.raises(ValueError, match=r"^Expected a Functional .*Received: 'mine', a Subclas"):
        measure(model, images(), images())
