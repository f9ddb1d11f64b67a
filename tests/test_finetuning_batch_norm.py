"""fine_tune(batch_norm=…): what becomes of the statistics while filters are trained."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasft

SHAPE = (8, 8, 1)
SELECTION = {"conv2": [1, 3]}


@pytest.fixture(scope="module")
def data():
    images, labels = kerasft.datasets.digits()
    images = 0.3 * images.astype("float32") + 90
    return (images[:96], labels[:96]), (images[96:160], labels[96:160])


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(6, 3, name="conv2"),
            layers.BatchNormalization(name="norm2"),
            layers.ReLU(),
        ],
        name="inner",
    )
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(layers.Rescaling(1 / 255)(inputs))
    x = layers.GlobalAveragePooling2D()(inner(layers.BatchNormalization(name="norm1")(x)))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))


def _tune(model, train, validation, **options):
    options = {"selection": SELECTION, "epochs": 2, "verbose": 0, **options}
    return kerasft.fine_tune(model, train, validation, **options)


def _norms(model):
    return [
        [w.numpy() for w in layer.weights]
        for layer in (model.get_layer("norm1"), model.get_layer("inner").get_layer("norm2"))
    ]


def _assert_equal(ours, theirs):
    for a, b in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_norm", ["frozen", "recalibrate"])
def test_statistics_stay_in_a_nested_model_that_is_trained(model, data, batch_norm):
    wanted = model
    if batch_norm == "recalibrate":
        wanted = kerasft.recalibrate_batch_norm(model, data[0][0])
    options = {"selection": {"conv1": [0]}, "batch_norm": batch_norm, "epochs": 1}
    tuned = _tune(model, *data, trainable=["inner"], **options).model
    _assert_equal(_norms(tuned), _norms(wanted))
    kernels = [m.get_layer("inner").get_layer("conv2").get_weights()[0] for m in (model, tuned)]
    assert (kernels[0] != kernels[1]).any(axis=(0, 1, 2)).all()
    # Unless it is named itself.
    tuned = _tune(model, *data, trainable=["inner", "norm2"], **options).model
    assert (_norms(tuned)[1][0] != _norms(wanted)[1][0]).all()
    _assert_equal(_norms(tuned)[0], _norms(wanted)[0])


def test_frozen_is_the_default(model, data):
    frozen = _tune(model, *data, epochs=1)
    _assert_equal(_norms(frozen.model), _norms(model))
    assert inspect.signature(kerasft.fine_tune).parameters["batch_norm"].default == "frozen"


def test_recalibrated_is_what_tuning_the_recalibrated_model_gives(model, data):
    before = [w.tobytes() for w in model.get_weights()]
    found = _tune(model, *data, batch_norm="recalibrate")
    assert [w.tobytes() for w in model.get_weights()] == before
    recalibrated = kerasft.recalibrate_batch_norm(model, data[0][0])
    expected = _tune(recalibrated, *data)
    assert found.selection == expected.selection == SELECTION
    assert found.trained_parameters == expected.trained_parameters
    assert found.cached_prefix == expected.cached_prefix == ("norm1",)
    # Not trained: the statistics stay those of the training images.
    _assert_equal(_norms(found.model), _norms(recalibrated))
    _assert_equal(found.history.history["loss"], expected.history.history["loss"])
    for a, b in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_datasets_are_recalibrated_on_their_images(model, data):
    (images, labels), validation = data
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)
    found = _tune(model, dataset, validation, batch_norm="recalibrate", epochs=1)
    _assert_equal(_norms(found.model), _norms(kerasft.recalibrate_batch_norm(model, images)))


def test_trained_is_what_naming_them_in_trainable_gives(model, data):
    found = _tune(model, *data, batch_norm="train", trainable=["head"])
    expected = _tune(model, *data, trainable=["head", "norm1", "norm2"])
    assert found.trained_parameters == expected.trained_parameters
    assert found.trained_parameters == 2 * (9 * 4 + 1) + 2 * 4 + 2 * 6 + 6 * 10 + 10
    for a, b in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for old, new in zip(_norms(model), _norms(found.model), strict=True):
        assert all((a != b).any() for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("trainable", [None, "head"])
@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_what_is_no_list_of_names_is_refused_whatever_is_trained(model, mode, trainable):
    message = rf"^Expected trainable as a list of layer names\. Received: {trainable!r}\.$"
    with pytest.raises(TypeError, match=message):
        _tune(model, None, None, batch_norm=mode, trainable=trainable)


@pytest.mark.parametrize("mode", ["recalibrate", "train"])
def test_a_model_without_batch_normalization_is_refused(data, mode):
    model = kerasft.models.cifar10_cnn(SHAPE)
    message = f"Expected a model with batch normalization for batch_norm='{mode}'. Received"
    with pytest.raises(ValueError, match=message):
        _tune(model, *data, batch_norm=mode)


def test_batch_normalization_inside_layers_is_recalibrated_but_not_trained(data):
    block = layers.TimeDistributed(layers.BatchNormalization(), name="rows")
    inputs = keras.Input(SHAPE)
    x = layers.Flatten()(block(layers.Conv2D(4, 3, name="conv2")(inputs)))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    found = _tune(model, *data, batch_norm="recalibrate", epochs=1)
    mean = keras.ops.convert_to_numpy(found.model.get_layer("rows").layer.moving_mean)
    expected = kerasft.recalibrate_batch_norm(model, data[0][0]).get_layer("rows").layer.moving_mean
    np.testing.assert_allclose(mean, keras.ops.convert_to_numpy(expected), rtol=1e-5)
    message = r"batch_norm='train'\. Received: .*, where it stands inside layers .* in trainable to"
    with pytest.raises(ValueError, match=message):
        _tune(model, *data, batch_norm="train")
    named = _tune(model, *data, trainable=["rows"], epochs=1)
    assert (named.model.get_layer("rows").layer.moving_mean.numpy() != 0).all()


@pytest.mark.parametrize("mode", ["freeze", None, True, ["train"]])
def test_other_words_are_refused(model, data, mode):
    with pytest.raises(ValueError, match=r"batch_norm as one of .*'recalibrate'.* Received"):
        _tune(model, *data, batch_norm=mode)


def test_nan_in_a_dataset_is_refused_before_training(model, data):
    (images, labels), validation = data
    images = images.copy()
    images[50] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)
    with pytest.raises(ValueError, match="Expected finite pixels"):
        _tune(model, dataset, validation, batch_norm="recalibrate")
