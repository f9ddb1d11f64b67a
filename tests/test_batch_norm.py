"""recalibrate_batch_norm against a slow NumPy network and against Keras's own training."""

import keras
import numpy as np
import pytest
import surgery_models
import tensorflow as tf
from batch_norm_models import (
    SHAPE,
    assert_close,
    conv,
    make_images,
    network,
    norm,
    statistics,
    trained_statistics,
)
from keras import layers
from surgery_models import make, make_inputs, weights

import kerasft
from kerasft.sublayers import sublayers


@pytest.fixture(scope="module")
def images():
    return make_images()


# The reference: one value after the other.


def _convolve(x, kernel, bias):
    height, width = x.shape[1] - 2, x.shape[2] - 2
    y = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            y[:, i, j] = np.einsum("nabc,abcf->nf", x[:, i : i + 3, j : j + 3], kernel)
    return y + bias


def _normalize(x, layer, mean, variance):
    y = (x - mean) / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        y = y * np.asarray(layer.gamma)
    return y + np.asarray(layer.beta) if layer.center else y


def _mixed(values, layer, images, prior):
    """The images' mean and variance mixed with the source's as by Schneider et al."""
    flat = values.reshape(-1, values.shape[-1])
    weight = images / (images + prior)
    mean = weight * flat.mean(axis=0) + (1 - weight) * np.asarray(layer.moving_mean)
    variance = weight * flat.var(axis=0) + (1 - weight) * np.asarray(layer.moving_variance)
    return mean, variance


def _reference(model, images, prior):
    x, found = images.astype("float64"), []
    for number in (1, 2):
        layer = model.get_layer(f"norm{number}")
        x = _convolve(x, *model.get_layer(f"conv{number}").get_weights())
        found.append(_mixed(x, layer, len(images), prior))
        x = np.maximum(_normalize(x, layer, *found[-1]), 0)
    return found


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("prior", [0, 16, 2.5])
def test_statistics_are_those_of_a_slow_network(images, prior, affine):
    model = network({"scale": affine}, {"center": affine})
    found = kerasft.recalibrate_batch_norm(model, images, prior=prior)
    assert_close(statistics(found), _reference(model, images, prior))


def test_a_prior_of_sixteen_images_unless_told_otherwise(images):
    model = network()
    found = kerasft.recalibrate_batch_norm(model, images[:5])
    assert_close(statistics(found), _reference(model, images[:5], 16))


@pytest.mark.parametrize("batch_size", [1, 10, 36, 1000])
def test_batches_and_order_do_not_matter(images, batch_size):
    model = network()
    expected = statistics(kerasft.recalibrate_batch_norm(model, images))
    found = kerasft.recalibrate_batch_norm(model, images[::-1], batch_size=batch_size)
    assert_close(statistics(found), expected, rtol=5e-6)


def test_a_strong_prior_keeps_the_source(images):
    model = network()
    found = kerasft.recalibrate_batch_norm(model, images, prior=1e12)
    assert_close(statistics(found), statistics(model), rtol=1e-6)


def test_only_the_statistics_change_and_the_source_stays(images):
    model = network()
    model.compile("adam", "mse")
    before = weights(model)
    found = kerasft.recalibrate_batch_norm(model, images)
    assert weights(model) == before
    assert model.compiled
    assert not found.compiled
    assert type(found) is type(model)
    assert found.name == model.name
    for old, new in zip(model.weights, found.weights, strict=True):
        assert old.path == new.path
        assert (old.numpy() != new.numpy()).any() == ("moving" in old.path)
    # Listening left no trace.
    assert not any("call" in vars(x) for x in (*sublayers(model), *sublayers(found)))


# In training, Keras normalizes by the batch. With a momentum of 0 and the whole set as
# the batch, what it remembers is what `prior=0` is to give, whatever the model.


def _channels_first():
    image = keras.Input((6, 6, 3))
    x = norm("norm", axis=1)(layers.Permute((3, 1, 2))(surgery_models.conv("a")(image)))
    return keras.Model(image, norm("second", axis=-3)(x * x))


def _vectors_and_volumes():
    image = keras.Input((6, 6, 3))
    x = norm("flat")(layers.Flatten()(image))
    x = layers.Reshape((3, 6, 6, 1))(layers.Dense(108)(x))
    return keras.Model(image, norm("volume")(layers.Conv3D(2, 2)(x)))


def _branches():
    image = keras.Input((6, 6, 3))
    left, right = (norm(f"n{i}")(surgery_models.conv(f"c{i}")(image)) for i in "ab")
    return keras.Model(image, norm("both")(layers.Concatenate()([left, layers.ReLU()(right)])))


@pytest.mark.parametrize(
    "build",
    [
        surgery_models.sequential,
        surgery_models.nested_two_deep,
        surgery_models.four_deep,
        surgery_models.layers_of_the_user_around_convolutions,
        _channels_first,
        _vectors_and_volumes,
        _branches,
    ],
)
def test_without_a_prior_the_statistics_are_those_of_training_on_all_images_at_once(build):
    model = make(build)
    inputs = make_inputs(model, 21)
    found = kerasft.recalibrate_batch_norm(model, inputs, prior=0, batch_size=8)
    expected = trained_statistics(model, inputs)
    assert expected
    assert_close(statistics(found), expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_base_is_recalibrated_and_stays_frozen():
    model = make(surgery_models.base_and_head)
    model.get_layer("base").trainable = False
    inputs = make_inputs(model, 9, scale=100.0)
    found = kerasft.recalibrate_batch_norm(model, inputs, prior=0)
    maps = model.get_layer("base").get_layer("a")(inputs / 255)
    maps = keras.ops.convert_to_numpy(maps).reshape(-1, 4)
    assert_close(statistics(found), [(maps.mean(axis=0), maps.var(axis=0))])
    assert len(found.trainable_weights) == len(model.trainable_weights) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(
            {"synchronized": True}, marks=pytest.mark.tensorflow_only("Keras has it there alone")
        ),
        {"renorm": True},
        {"dtype": "mixed_float16"},
        {"momentum": 0.5},
    ],
)
def test_other_arguments_of_batch_normalization(images, arguments):
    model = network(arguments)
    found = kerasft.recalibrate_batch_norm(model, images)
    tolerance = 2e-3 if "dtype" in arguments else 2e-5
    assert_close(statistics(found), _reference(model, images, 16), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("prior", [0, 16])
def test_a_layer_called_twice_has_the_statistics_of_both_calls(images, prior):
    # The second call follows the first, and sees what that makes of its own statistics.
    shared, scale = norm("norm", epsilon=0.0), layers.Rescaling(3.0, offset=1.0)
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, shared(scale(shared(inputs))))
    found = kerasft.recalibrate_batch_norm(model, images, prior=prior, batch_size=16)
    first = images.astype("float64")
    mean, variance = _mixed(first, shared, len(images), prior)
    second = 1 + 3 * (first - mean) / np.sqrt(variance)
    both = np.concatenate([first, second])
    assert_close(statistics(found), [_mixed(both, shared, len(images), prior)])


def test_a_model_called_twice_has_the_statistics_of_both_calls(images):
    inner = keras.Sequential([keras.Input(SHAPE), conv("a"), norm("norm")], name="inner")
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.Add()([inner(inputs), inner(2.0 * inputs)]))
    found = kerasft.recalibrate_batch_norm(model, images, prior=0)
    maps = inner.get_layer("a")(np.concatenate([images, 2 * images]))
    maps = keras.ops.convert_to_numpy(maps).reshape(-1, 4)
    assert_close(statistics(found), [(maps.mean(axis=0), maps.var(axis=0))])


@pytest.mark.parametrize("prior", [0, 16])
def test_a_deep_model_called_twice_has_in_every_layer_what_reaches_it_afterwards(images, prior):
    # The second normalization works behind the statistics of both calls of the first.
    steps = [conv("a"), norm("n1"), layers.ReLU(), conv("b"), norm("n2")]
    inner = keras.Sequential([keras.Input(SHAPE), *steps], name="inner")
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.Add()([inner(inputs), inner(-3.0 * inputs)]))
    found = kerasft.recalibrate_batch_norm(model, images, prior=prior).get_layer("inner")
    x, expected = np.concatenate([images, -3 * images]), []
    for before, after in zip(steps, found.layers, strict=True):
        if isinstance(before, layers.BatchNormalization):
            maps = keras.ops.convert_to_numpy(x).astype("float64")
            expected.append(_mixed(maps, before, len(images), prior))
        x = after(x)
    assert_close(statistics(found), expected)


def test_several_inputs_and_outputs():
    left, right = keras.Input((6, 6, 3), name="left"), keras.Input((6, 6, 3), name="right")
    outputs = {"norm": norm("norm")(layers.Add()([left, right])), "right": right}
    model = keras.Model({"left": left, "right": right}, outputs)
    inputs = make_inputs(model, 7)
    found = kerasft.recalibrate_batch_norm(model, inputs, prior=0, batch_size=3)
    total = (inputs["left"] + inputs["right"]).reshape(-1, 3)
    assert_close(statistics(found), [(total.mean(axis=0), total.var(axis=0))])


def test_datasets_give_what_arrays_give(images):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return images[10 * i : 10 * i + 10], np.zeros(len(images[10 * i : 10 * i + 10]))

    model = network()
    expected = statistics(kerasft.recalibrate_batch_norm(model, images))
    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(37, seed=0).batch(6)
    for data in (dataset, Batches()):
        found = kerasft.recalibrate_batch_norm(model, data, batch_size=16)
        assert_close(statistics(found), expected, rtol=5e-6)


# What it is for.


@pytest.fixture(scope="module")
def classifier():
    images, labels = kerasft.datasets.digits()
    images = images.astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255)])
    for number, filters in enumerate((8, 16), start=1):
        model.add(conv(f"conv{number}", filters, padding="same"))
        model.add(norm(f"norm{number}", momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax", name="head"))
    settings = {"metrics": ["accuracy"], "jit_compile": False}
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", **settings)
    model.fit(images[:1000], labels[:1000], batch_size=50, epochs=8, verbose=0)
    return model, images, labels


def _accuracy(model, images, labels):
    return float((np.argmax(model.predict(images, verbose=0), axis=1) == labels).mean())


def test_it_wins_on_images_of_low_contrast(classifier):
    model, images, labels = classifier
    gray = 0.3 * images + 90
    found = kerasft.recalibrate_batch_norm(model, gray[1000:1200])
    test = slice(1200, None)
    clean = _accuracy(model, images[test], labels[test])
    before = _accuracy(model, gray[test], labels[test])
    after = _accuracy(found, gray[test], labels[test])
    assert before < clean - 0.3
    assert after > before + 0.25


@pytest.mark.parametrize("prior", [0, 16, 1000])
def test_it_does_nothing_on_the_images_whose_statistics_the_model_has(classifier, prior):
    model, images, _ = classifier
    source = kerasft.recalibrate_batch_norm(model, images[:300], prior=0)
    found = kerasft.recalibrate_batch_norm(source, images[:300], prior=prior)
    assert_close(statistics(found), statistics(source))


def test_it_does_next_to_nothing_on_more_images_of_the_same_kind(classifier):
    model, images, labels = classifier
    # The averages that Keras keeps in training are of the last few batches.
    model = kerasft.recalibrate_batch_norm(model, images[:1000], prior=0)
    found = kerasft.recalibrate_batch_norm(model, images[1000:1400])
    test = slice(1400, None)
    change = _accuracy(found, images[test], labels[test]) - _accuracy(
        model, images[test], labels[test]
    )
    assert abs(change) < 0.05


def test_a_list_of_one_input_as_files_of_keras_2_have_it(images):
    # What is called with a bare array warns, and warnings are errors here.
    model = network()
    listed = keras.Model([model.input], model.output)
    assert isinstance(listed.input, list)
    ours = kerasft.recalibrate_batch_norm(listed, images)
    assert_close(statistics(ours), statistics(kerasft.recalibrate_batch_norm(model, images)), 0, 0)
