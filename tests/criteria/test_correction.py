"""DeepCorrect's criterion agrees with feature maps replaced one by one, by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import kerasft
from kerasft.criteria import CRITERIA

correction = CRITERIA["correction"]


def naive(lower, upper, data):
    """Images gained and decrease of the mean loss for each filter, channels last.

    `lower` leads from images to the maps, `upper` from maps and images on.
    """
    clean = lower.predict(data.clean, verbose=0)
    distorted = lower.predict(data.distorted, verbose=0)

    def right_and_loss(maps):
        outputs = upper.predict([maps, data.distorted], verbose=0).astype("float64")
        own = outputs[np.arange(len(outputs)), data.labels]
        return (outputs.argmax(axis=1) == data.labels).sum(), -np.log(own).mean()

    right, loss = right_and_loss(distorted)
    gained, decrease = [], []
    for filter_ in range(maps_of(distorted)):
        maps = distorted.copy()
        maps[..., filter_] = clean[..., filter_]
        now = right_and_loss(maps)
        gained.append(now[0] - right)
        decrease.append(loss - now[1])
    return np.array(gained), np.array(decrease)


def maps_of(x):
    return x.shape[-1]


def check(model, lower, upper, data, layer):
    gained, decrease = naive(lower, upper, data)
    scores = correction(model, data, layer) * len(data.labels)
    np.testing.assert_array_equal(np.round(scores), gained)
    np.testing.assert_allclose(
        scores, gained + decrease / (1 + abs(decrease)) / 2, atol=1e-4, rtol=1e-5
    )
    assert np.argsort(-scores, kind="stable").tolist() == np.lexsort((-decrease, -gained)).tolist()
    return scores


@pytest.fixture(scope="module")
def trained(digits):
    """A network with a skip connection that knows its digits, and loses them in noise."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 255)(image)
    first = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(x)
    second = layers.Conv2D(6, 3, padding="same", activation="relu", name="second")(first)
    x = layers.Dropout(0.2)(layers.BatchNormalization()(layers.Add()([first, second])))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(digits.clean, digits.labels, epochs=15, verbose=0, batch_size=16)
    return model


def lower_part(model, name):
    return keras.Model(model.input, model.get_layer(name).output)


def upper_part(model, name):
    maps, image = keras.Input(model.get_layer(name).output.shape[1:]), keras.Input((8, 8, 1))
    first = maps if name == "first" else lower_part(model, "first")(image)
    second = maps if name == "second" else model.get_layer("second")(first)
    x = first + second
    for layer in model.layers[model.layers.index(model.get_layer("head")) - 4 :]:
        x = layer(x)
    return keras.Model([maps, image], x)


@pytest.mark.parametrize("name", ["first", "second"])
def test_scores_are_images_gained_and_loss_where_these_are_equal(trained, digits, name):
    scores = check(trained, lower_part(trained, name), upper_part(trained, name), digits, name)
    # The case is one in which filters do differ.
    assert np.round(scores).max() > 0
    assert len(set(scores)) == 6


def test_scores_do_not_depend_on_the_batch_size(trained, digits, monkeypatch):
    expected = correction(trained, digits, "second")
    monkeypatch.setattr("kerasft.criteria.correction._BATCH_SIZE", 30)
    np.testing.assert_allclose(correction(trained, digits, "second"), expected, atol=1e-6)


def test_the_spoiled_filter_wins_and_clean_images_leave_nothing_to_choose(channels):
    model, data = channels
    scores = correction(model, data, "conv")
    wrong = (data.labels != 2).sum()
    assert np.round(scores * 70).astype(int).tolist() == [0, 0, wrong, 0]
    same = kerasft.RankingData(data.clean, data.clean, data.labels)
    np.testing.assert_allclose(correction(model, same, "conv"), 0, atol=1e-8)


def test_the_loss_decides_between_filters_that_gain_nothing(channels):
    model, data = channels
    first = data.labels == 0
    distorted = data.clean[first]
    # Both must be mended before any image is right again.
    distorted[..., 1] += 9
    distorted[..., 2] += 12
    data = kerasft.RankingData(data.clean[first], distorted, data.labels[first])
    scores = correction(model, data, "conv") * len(distorted)
    assert 0.5 > scores[2] > 0.3
    assert scores[2] > scores[1] > 1e-3
    assert abs(scores[[0, 3]]).max() < 1e-3


def variants(model):
    """The same network in other clothes, and the name of the layer in it."""
    conv, head = model.get_layer("conv"), model.get_layer("head")
    pool = layers.GlobalAveragePooling2D()
    yield keras.Sequential([keras.Input((3, 3, 4)), conv, pool, head]), "conv"
    image = keras.Input((3, 3, 4))
    inner = keras.Model(image, conv(image), name="inner")
    image = keras.Input((3, 3, 4))
    yield keras.Model(image, head(pool(inner(image)))), "inner/conv"
    image = keras.Input((3, 3, 4))
    # The identity, once more: each call is corrected.
    yield keras.Model(image, head(pool(conv(conv(image))))), "conv"
    partial = kerasft.make_partially_trainable(model, {"conv": [0]})
    yield partial, "conv"


def test_models_of_other_shapes_are_scored_alike(channels):
    model, data = channels
    expected = correction(model, data, "conv")
    for other, name in variants(model):
        np.testing.assert_allclose(correction(other, data, name), expected, atol=1e-6)


def test_other_convolutions_are_scored_too(channels):
    model, data = channels
    expected = correction(model, data, "conv")
    depthwise = keras.Sequential(
        [
            keras.Input((3, 3, 4)),
            layers.DepthwiseConv2D(1, name="conv"),
            layers.GlobalAveragePooling2D(),
            model.get_layer("head"),
        ]
    )
    depthwise.layers[0].set_weights([np.ones((1, 1, 4, 1)), np.zeros(4)])
    np.testing.assert_allclose(correction(depthwise, data, "conv"), expected, atol=1e-6)
    first = keras.Sequential(
        [
            keras.Input((4, 3, 3)),
            layers.Conv2D(4, 1, data_format="channels_first", name="conv"),
            layers.GlobalAveragePooling2D(data_format="channels_first"),
            model.get_layer("head"),
        ]
    )
    first.layers[0].set_weights(model.get_layer("conv").get_weights())
    moved = kerasft.RankingData(
        *(x.transpose(0, 3, 1, 2) for x in (data.clean, data.distorted)), data.labels
    )
    np.testing.assert_allclose(correction(first, moved, "conv"), expected, atol=1e-6)


def test_one_hot_labels_are_the_same_labels(channels):
    model, data = channels
    one_hot = kerasft.RankingData(data.clean, data.distorted, np.eye(4)[data.labels])
    np.testing.assert_allclose(
        correction(model, one_hot, "conv"), correction(model, data, "conv"), atol=1e-6
    )


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_two_classes_of_one_output(channels, activation):
    model, data = channels
    conv = model.get_layer("conv")
    head = layers.Dense(1, activation=activation)
    stack = [keras.Input((3, 3, 4)), conv, layers.GlobalAveragePooling2D(), head]
    binary = keras.Sequential(stack)
    head.set_weights([np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.zeros(1)])
    labels = (data.labels < 2).astype(int)
    data = kerasft.RankingData(data.clean, data.distorted, labels)
    scores = correction(binary, data, "conv")
    assert np.round(scores * 70).astype(int).tolist() == [0, 0, labels.sum(), 0]
