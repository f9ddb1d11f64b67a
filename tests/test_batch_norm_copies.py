"""Copies that recalibrate_batch_norm makes, and what it refuses."""

import keras
import numpy as np
import pytest
import surgery_models
import tensorflow as tf
from batch_norm_models import (
    SHAPE,
    assert_close,
    make_images,
    network,
    norm,
    statistics,
    trained_statistics,
)
from keras import layers
from surgery_models import make, make_inputs, weights
from test_stand_in import Classifier, Net
from test_surgery_files import BLOCK, PREDICT, run

import kerasft
from kerasft.batch_norm import batch_normalizations
from kerasft.layer_lookup import named_layers
from kerasft.sublayers import sublayers


@pytest.fixture(scope="module")
def images():
    return make_images()


# Copies.


def test_a_partially_trainable_model_stays_one(images):
    model = network()
    partial = kerasft.make_partially_trainable(model, {"conv2": [1, 3]}, trainable=["norm2"])
    found = kerasft.recalibrate_batch_norm(partial, images)
    assert [w.path for w in found.trainable_weights] == [w.path for w in partial.trainable_weights]
    whole = kerasft.recalibrate_batch_norm(model, images)
    assert weights(kerasft.merge(found)) == weights(whole)


def test_what_is_frozen_inside_layers_stays_frozen():
    model = make(surgery_models.layers_of_the_user_around_convolutions)
    partial = kerasft.make_partially_trainable(model, {"a": [0]})
    inputs = make_inputs(model, 5)
    found = kerasft.recalibrate_batch_norm(partial, inputs)
    before = statistics(found)
    found(inputs, training=True)
    assert_close(statistics(found), before, rtol=0, atol=0)
    assert len(found.trainable_weights) == len(partial.trainable_weights)


@pytest.mark.parametrize("wrapped", [False, True])
def test_classes_with_a_constructor_of_their_own_are_kept(wrapped):
    keras.utils.set_random_seed(0)
    model = Net(4, name="net")
    model = Classifier(model, name="classifier") if wrapped else model
    layer = next(x for x in sublayers(model) if isinstance(x, layers.BatchNormalization))
    layer.trainable = False
    inputs = make_inputs(model, 5)
    found = kerasft.recalibrate_batch_norm(model, inputs, prior=0)
    assert [type(x) for x in (found, *sublayers(found))] == [
        type(x) for x in (model, *sublayers(model))
    ]
    assert len(found.trainable_weights) == len(model.trainable_weights)
    layer.trainable = True
    assert_close(statistics(found), trained_statistics(model, inputs))


def test_the_file_opens_where_kerasft_cannot_be_imported(tmp_path, images):
    found = kerasft.recalibrate_batch_norm(network(), images)
    found.save(tmp_path / "found.keras")
    np.save(tmp_path / "images.npy", images)
    run(BLOCK + PREDICT, tmp_path / "images.npy", tmp_path / "found.keras")
    predicted = np.load(tmp_path / "found.keras.npy")
    expected = keras.ops.convert_to_numpy(found(images))
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_batch_normalizations_are_named_by_path():
    model = make(surgery_models.nested_two_deep)
    assert list(batch_normalizations(model)) == ["inner/innermost/norm"]
    assert batch_normalizations(kerasft.models.cifar10_cnn(SHAPE)) == {}


# What is refused, before anything is measured.


@pytest.mark.parametrize("prior", [-1, float("nan"), float("inf"), None, "16", True])
def test_the_prior_is_a_number_of_at_least_zero(images, prior):
    with pytest.raises(ValueError, match=r"Expected prior .* Received"):
        kerasft.recalibrate_batch_norm(network(), images, prior=prior)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, *SHAPE), "float32"), "at least one image. Received: none"),
        ([], "at least one image. Received: none"),
        (np.zeros((3, 9, 8, 1), "float32"), r"images of shape \(None, 8, 8, 1\)"),
        (np.full((3, *SHAPE), np.nan, "float32"), "finite pixels in images"),
        (np.full((3, *SHAPE), "a"), "images of numbers"),
        (tf.data.Dataset.from_tensor_slices(np.zeros((3, *SHAPE))).batch(2).repeat(), "that ends"),
    ],
)
def test_bad_images(data, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        kerasft.recalibrate_batch_norm(network(), data)


def test_images_that_can_be_read_only_once_are_refused(images):
    with pytest.raises(TypeError, match=r"more than once\. Received: generator"):
        kerasft.recalibrate_batch_norm(network(), (x for x in [images]))


def test_nan_among_later_images_is_refused(images):
    broken = np.concatenate([images, np.full((1, *SHAPE), np.inf, "float32")])
    with pytest.raises(ValueError, match="finite pixels"):
        kerasft.recalibrate_batch_norm(network(), broken, batch_size=10)


def test_maps_that_overflow_are_refused():
    with pytest.raises(ValueError, match=r"finite inputs .* at 'norm1'"):
        kerasft.recalibrate_batch_norm(network(), np.full((3, *SHAPE), 3e38, "float32"))


def test_models_that_cannot_be_recalibrated(images):
    with pytest.raises(ValueError, match=r"batch normalization\. Received: 'cifar10_cnn'"):
        kerasft.recalibrate_batch_norm(kerasft.models.cifar10_cnn(SHAPE), images)
    with pytest.raises(TypeError, match=r"keras\.Model\. Received: str"):
        kerasft.recalibrate_batch_norm("model.keras", images)
    with pytest.raises(ValueError, match="built model"):
        kerasft.recalibrate_batch_norm(keras.Sequential([norm("norm")]), images)
    with pytest.raises(ValueError, match="batch_size"):
        kerasft.recalibrate_batch_norm(network(), images, batch_size=0)

    class WiredInCode(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = norm("norm")

        def call(self, inputs):
            return self.norm(inputs)

    wired = WiredInCode()
    wired(images)
    with pytest.raises(ValueError, match="wired in code"):
        kerasft.recalibrate_batch_norm(wired, images)


def test_a_model_wired_in_code_inside_another_is_recalibrated():
    @keras.saving.register_keras_serializable("tests")
    class WiredNorm(keras.Model):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.norm = norm("norm")

        def call(self, inputs, training=False):
            return self.norm(inputs, training=training)

        def get_config(self):
            return {"name": self.name}

    image = keras.Input((6, 6, 3))
    wired = WiredNorm(name="wired")
    model = keras.Model(image, layers.Flatten()(wired(surgery_models.conv("a")(image))))
    inputs = make_inputs(model, 6)
    found = kerasft.recalibrate_batch_norm(model, inputs, prior=0)
    assert list(named_layers(found)) == list(named_layers(model))
    assert_close(statistics(found), trained_statistics(model, inputs))
