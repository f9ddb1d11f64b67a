"""Filters on distorted images given the moments that they have on clean ones."""

import dataclasses

import keras
import numpy as np
import pytest
from batch_norm_models import NormBlock
from test_scaled_filters import CLASSES, a_problem, network

from kerasft.evaluation import predict_classes
from kerasft.methods import METHODS, Problem

layers, to_numpy = keras.layers, keras.ops.convert_to_numpy
METHOD = METHODS["filter moments"]


def clean_and_dark(model, images=12):
    """A problem of darker images, of others than the clean ones."""
    problem = a_problem(model, images)
    clean = np.random.default_rng(1).normal(size=(9, *model.input_shape[1:])).astype("float32")
    return Problem(model, 0.4 * problem.distorted + 0.3, clean=clean)


def test_layer_by_layer_the_slow_way():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu", bias_initializer="normal", name="first"),
            layers.Conv2D(4, 2, activation="tanh", bias_initializer="normal", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    problem = clean_and_dark(model)
    # One filter looks at a channel that is dark in clean images alone.
    problem.clean[..., 1] = 0
    kernel = model.get_weights()[0]
    kernel[:, :, 0, 2] = 0
    model.set_weights([kernel, *model.get_weights()[1:]])
    first, first_bias, second, second_bias, *others = model.get_weights()

    def convolve(images, kernel, bias):
        size = images.shape[1] - len(kernel) + 1
        maps = np.empty((len(images), size, size, kernel.shape[-1]))
        for row, column in np.ndindex(size, size):
            patch = images[:, row : row + len(kernel), column : column + len(kernel), :, None]
            maps[:, row, column] = (patch * kernel).sum(axis=(1, 2, 3)) + bias
        return maps

    def match(clean, distorted, kernel, bias):
        weight = len(distorted) / (len(distorted) + 16)
        clean, distorted = (convolve(x, kernel, bias) for x in (clean, distorted))
        kernel, bias = kernel.astype("float64"), bias.astype("float64")
        little = 1e-5 * clean.var(axis=(0, 1, 2)).mean()
        for filter_ in range(kernel.shape[-1]):
            wanted, found = clean[..., filter_], distorted[..., filter_]
            mean = weight * found.mean() + (1 - weight) * wanted.mean()
            variance = weight * found.var() + (1 - weight) * wanted.var()
            scale = np.sqrt((wanted.var() + little) / (variance + little))
            kernel[..., filter_] *= scale
            bias[filter_] = (bias[filter_] - mean) * scale + wanted.mean()
        return kernel, bias

    matched = match(problem.clean, problem.distorted, first, first_bias)
    clean = np.maximum(convolve(problem.clean, first, first_bias), 0)
    distorted = np.maximum(convolve(problem.distorted, *matched), 0)
    expected = [*matched, *match(clean, distorted, second, second_bias)]
    found = METHOD.apply(problem, 0).model.get_weights()
    for one, other in zip(found, expected, strict=False):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert [w.tobytes() for w in found[4:]] == [w.tobytes() for w in others]


@pytest.fixture(scope="module")
def plain(digits):
    """A network without batch normalization that knows digits."""
    images, labels = digits
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    model.fit(images[:900], labels[:900], batch_size=32, epochs=12, verbose=0)
    return model


def lose_contrast(images):
    return 0.35 * images + 120


def test_it_wins_without_labels_where_contrast_is_lost(plain, digits):
    images, labels = digits
    problem = Problem(plain, lose_contrast(images[900:1000]), clean=images[1000:1100])
    outcome = METHOD.apply(problem, 0)
    before, after = (
        np.mean(predict_classes(model, lose_contrast(images[1200:])) == labels[1200:])
        for model in (plain, outcome.model)
    )
    assert before < 0.6
    assert after > before + 0.1
    assert outcome.trained_parameters == outcome.added_parameters == outcome.epochs == 0


def test_it_does_nothing_where_images_are_not_distorted(plain, digits):
    images = digits[0][900:1000]
    model = METHOD.apply(Problem(plain, images, clean=images), 0).model
    for before, after in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": "same", "strides": 2},
        {"groups": 3},
        {"data_format": "channels_first"},
        {"activation": layers.LeakyReLU(negative_slope=0.3)},
        {"dtype": "mixed_float16", "trainable": False},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_result_is_a_plain_network_whose_filters_have_the_moments_asked_for(settings):
    model = network(**settings)
    before = [w.tobytes() for w in model.get_weights()]
    # So many images that those of the source hardly count.
    problem = clean_and_dark(model, images=6000)
    tuned = METHOD.apply(problem, 0).model
    conv, source = tuned.get_layer("conv"), model.get_layer("conv")
    assert type(conv) is layers.Conv2D
    assert conv.get_config() == source.get_config()
    assert [w.tobytes() for w in model.get_weights()] == before
    axis = 1 if conv.data_format == "channels_first" else -1
    moments = []
    for fused, images in ((source, problem.clean), (conv, problem.distorted)):
        layer = layers.Conv2D.from_config({**fused.get_config(), "activation": None})
        layer.build_from_config(fused.get_build_config())
        layer.set_weights(fused.get_weights())
        maps = np.moveaxis(to_numpy(layer(images)).astype("float64"), axis, -1).reshape(-1, 6)
        moments.append((maps.mean(axis=0), maps.std(axis=0)))
    np.testing.assert_allclose(moments[0], moments[1], atol=2e-2)


def test_a_filter_that_gives_the_same_everywhere_keeps_its_form():
    model = network(activation="relu")
    kernel, bias, *rest = model.get_weights()
    kernel[..., 2] = 0
    model.set_weights([kernel, bias, *rest])
    tuned = METHOD.apply(clean_and_dark(model), 0).model
    assert (tuned.get_weights()[0][..., 2] == 0).all()
    np.testing.assert_allclose(tuned.get_weights()[1][2], bias[2], atol=1e-6)
    assert np.isfinite(tuned.get_weights()[0]).all()


def test_a_layer_that_is_called_twice_has_the_moments_of_both():
    conv, inputs = layers.Conv2D(3, 3, padding="same", name="conv"), keras.Input((6, 6, 3))
    x = layers.Flatten()(conv(conv(inputs)))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    problem = clean_and_dark(model)
    # Without a distortion nothing is asked for: only then both calls are known beforehand.
    same = dataclasses.replace(problem, distorted=problem.clean)
    tuned = METHOD.apply(same, 0).model
    assert len(tuned.weights) == len(model.weights)
    first = to_numpy(conv(problem.clean)).astype("float64")
    maps = np.concatenate([first, to_numpy(conv(first))]).reshape(-1, 3)
    once = first.reshape(-1, 3)
    share = len(problem.clean) / (len(problem.clean) + 16)
    # The first call is measured and normalized before the second one is reached.
    mean, variance = maps.mean(axis=0), maps.var(axis=0)
    scale = np.sqrt(variance / (share * once.var(0) + (1 - share) * variance))
    shifted = (once - share * once.mean(0) - (1 - share) * mean) * scale + mean
    again = to_numpy(conv(shifted.reshape(first.shape))).astype("float64").reshape(-1, 3)
    both = np.concatenate([once, again])
    mixed = share * both.mean(0) + (1 - share) * mean
    scale = np.sqrt(variance / (share * both.var(0) + (1 - share) * variance))
    kernel, bias = conv.get_weights()
    np.testing.assert_allclose(tuned.get_layer("conv").kernel, kernel * scale, atol=1e-5)
    np.testing.assert_allclose(
        tuned.get_layer("conv").bias, (bias - mixed) * scale + mean, atol=1e-5
    )


def test_a_model_that_is_called_twice_is_left_as_it_is_where_images_are_not_distorted():
    settings = {"activation": "relu", "bias_initializer": "normal"}
    inner = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(4, 3, **settings), layers.Conv2D(5, 3, **settings)]
    )
    inputs = keras.Input((6, 6, 3))
    x = layers.Flatten()(layers.Concatenate()([inner(inputs), inner(-3.0 * inputs)]))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    clean = clean_and_dark(model).clean
    tuned = METHOD.apply(Problem(model, clean, clean=clean), 0).model
    for before, after in zip(model.get_weights(), tuned.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


def two_layers(**settings):
    keras.utils.set_random_seed(1)
    settings = {"activation": "relu", "bias_initializer": "normal", **settings}
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(6, 3, name="conv", **settings),
            layers.Conv2D(5, 3, name="second", **settings),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_a_layer_does_not_matter(scale):
    model, scaled = two_layers(), two_layers()
    kernel, bias, second, *rest = model.get_weights()
    scaled.set_weights([scale * kernel, scale * bias, second / scale, *rest])
    problem = clean_and_dark(model)
    expected = METHOD.apply(problem, 0).model.get_weights()
    found = METHOD.apply(dataclasses.replace(problem, model=scaled), 0).model.get_weights()
    found[:3] = [found[0] / scale, found[1] / scale, found[2] * scale]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_differs_by_rounding_alone_keeps_its_form():
    # Of images of one colour no filter has a variance, but the mean of 25 values is rounded.
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(16, 3, name="conv")
    head = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((7, 7, 3)), conv, layers.Flatten(), head])
    white = np.ones((12, 7, 7, 3), "float32")
    tuned = METHOD.apply(Problem(model, 1.7 * white, clean=white), 0).model
    kernel = tuned.get_layer("conv").get_weights()[0]
    np.testing.assert_allclose(kernel, conv.get_weights()[0], rtol=1e-2)


@pytest.mark.parametrize("bias", [0.0, 0.3, 1e4])
def test_a_layer_that_gives_the_same_everywhere_keeps_its_form(bias):
    # Its kernels are those of the source where nothing comes from below.
    model = two_layers()
    kernel, _, second, *rest = model.get_weights()
    biases = np.linspace(bias, 1.1 * bias, 5)
    model.set_weights([kernel, np.full(6, -1e3), second, biases, *rest[1:]])
    tuned = METHOD.apply(clean_and_dark(model), 0).model.get_layer("second")
    np.testing.assert_allclose(tuned.get_weights()[0], second, rtol=1e-3)
    np.testing.assert_allclose(tuned.get_weights()[1], biases, rtol=1e-6)


def test_what_only_distorted_images_wake_is_put_to_sleep():
    # The clean images are black, and so is what the layers above are given.
    model = two_layers(bias_initializer="zeros")
    problem = clean_and_dark(model)
    black = dataclasses.replace(problem, clean=np.zeros_like(problem.clean))
    tuned = METHOD.apply(black, 0).model
    assert all(np.isfinite(w).all() for w in tuned.get_weights())
    maps = tuned.get_layer("conv")(problem.distorted)
    np.testing.assert_allclose(to_numpy(maps), 0, atol=1e-3)


def test_a_layer_with_lora_is_left_as_it_is():
    model = two_layers()
    problem = clean_and_dark(model)
    model.get_layer("conv").enable_lora(2)
    lora = [to_numpy(w) for w in model.get_layer("conv").variables]
    tuned = METHOD.apply(problem, 0).model
    for before, after in zip(lora, tuned.get_layer("conv").variables, strict=True):
        np.testing.assert_array_equal(before, to_numpy(after))
    old, new = (m.get_layer("second").get_weights()[0] for m in (model, tuned))
    assert (old != new).all()
    model.get_layer("second").enable_lora(2)
    assert "without constraints, LoRA and" in METHOD.reason_against(problem)


def test_it_says_where_it_does_not_fit(problem):
    assert "has batch normalization" in METHOD.reason_against(problem)
    model = network()
    fits = clean_and_dark(model)
    assert METHOD.reason_against(fits) is None
    without = dataclasses.replace(fits, clean=None)
    assert METHOD.reason_against(without) == "There are no clean images."
    for settings in (
        {"use_bias": False},
        {"kernel_constraint": "max_norm"},
        {"bias_constraint": "non_neg"},
        {"activation": layers.PReLU()},
    ):
        other = dataclasses.replace(fits, model=network(**settings))
        # Keras builds an activation with its first call.
        other.model(fits.clean)
        assert "has a bias" in METHOD.reason_against(other)


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3, name="named"),
        layers.SeparableConv2D(3, 3, name="named"),
        layers.Conv2DTranspose(3, 3, name="named"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_of_other_kinds_are_no_layers_to_match(layer):
    head = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((6, 6, 3)), layer, layers.Flatten(), head])
    named = dataclasses.replace(clean_and_dark(model), layers=("named",))
    assert "has a bias" in METHOD.reason_against(named)


def test_a_batch_normalization_inside_a_layer_is_one_too():
    head = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(3, 3), NormBlock(), layers.Flatten(), head]
    )
    assert "has batch normalization" in METHOD.reason_against(clean_and_dark(model))


def test_convolutions_out_of_reach_are_told():
    class Wired(keras.Model):
        def __init__(self, name="wired", **settings):
            super().__init__(name=name, **settings)
            self.conv = layers.Conv2D(3, 3, name="conv")

        def call(self, inputs):
            return self.conv(inputs)

    head = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((6, 6, 3)), Wired(), layers.Flatten(), head])
    with pytest.raises(ValueError, match="wired in code"):
        METHOD.apply(clean_and_dark(model), 0)
