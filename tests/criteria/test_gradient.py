"""The gradient criteria agree with gradients taken one image, or one weight, at a time."""

import keras
import numpy as np
import pytest
from keras import layers

import kerasft
from kerasft.criteria import CRITERIA, loss_gradients, relative_gradient_norms

gradient, emd_gradient = CRITERIA["gradient"], CRITERIA["emd_gradient"]


def loss_of(model, images, labels):
    probabilities = model.predict_on_batch(images).astype("float64")
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def finite_differences(model, name, data):
    """Squared gradient of each filter, weight by weight."""
    layer = model.get_layer(name)
    weights = layer.get_weights()
    slopes = [np.zeros_like(w) for w in weights]
    for slope, weight in zip(slopes, weights, strict=True):
        for place in np.ndindex(weight.shape):
            value, sides = weight[place], []
            for step in (0.01, -0.01):
                weight[place] = value + step
                layer.set_weights(weights)
                sides.append(loss_of(model, data.distorted, data.labels))
            weight[place] = value
            slope[place] = (sides[0] - sides[1]) / 0.02
    layer.set_weights(weights)
    return sum(np.square(slope).reshape(-1, slope.shape[-1]).sum(axis=0) for slope in slopes)


def tiny(kind, **arguments):
    """A small network with a convolution of some kind, and data for it."""
    generator = np.random.default_rng(0)
    rank = {"Conv1D": 1, "Conv2D": 2, "Conv3D": 3}[kind]
    image = keras.Input((4,) * rank + (2,))
    conv = getattr(layers, kind)(4, 2, activation="tanh", name="conv", **arguments)
    x = layers.Flatten()(conv(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    model.set_weights([generator.normal(0, 0.5, w.shape) for w in model.get_weights()])
    images = generator.normal(size=(9, *image.shape[1:])).astype("float32")
    return model, kerasft.RankingData(distorted=images, labels=np.arange(9) % 3)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("Conv2D", {}), ("Conv2D", {"groups": 2}), ("Conv1D", {}), ("Conv3D", {"use_bias": False})],
)
def test_the_gradient_is_what_finite_differences_say(kind, arguments):
    keras.utils.set_random_seed(0)
    model, data = tiny(kind, **arguments)
    expected = finite_differences(model, "conv", data)
    np.testing.assert_allclose(gradient(model, data, "conv"), expected, rtol=5e-3)


@pytest.mark.tensorflow_only("the reference is a GradientTape")
def test_the_gradient_is_that_of_single_images_averaged(network, digits):
    import tensorflow as tf

    wanted = [w for name in ("a", "b") for w in network.get_layer(name).trainable_weights]
    mean = [np.zeros(w.shape) for w in wanted]
    for image, label in zip(digits.distorted, digits.labels, strict=True):
        with tf.GradientTape() as tape:
            probabilities = network(image[None], training=False)
            loss = -tf.math.log(probabilities[0, int(label)])
        for total, slope in zip(mean, tape.gradient(loss, [w.value for w in wanted]), strict=True):
            total += slope.numpy() / len(digits.labels)
    a_kernel, a_bias, b_kernel = (np.square(x).reshape(-1, x.shape[-1]).sum(axis=0) for x in mean)
    np.testing.assert_allclose(gradient(network, digits, "a"), a_kernel + a_bias, rtol=1e-3)
    np.testing.assert_allclose(gradient(network, digits, "b"), b_kernel, rtol=1e-3)


def test_all_layers_at_once_are_scored_as_one_by_one(network, digits):
    together = gradient.score_layers(network, digits, ["b", "a"])
    assert list(together) == ["b", "a"]
    for name, scores in together.items():
        np.testing.assert_allclose(scores, gradient(network, digits, name), rtol=1e-5)


def test_the_gradient_does_not_depend_on_the_batch_size(network, digits, monkeypatch):
    expected = gradient(network, digits, "a")
    assert expected.min() > 0
    for size in (1, 30, 200):
        monkeypatch.setattr("kerasft.criteria.loss_gradients._BATCH_SIZE", size)
        np.testing.assert_allclose(gradient(network, digits, "a"), expected, rtol=1e-4)


def test_one_hot_labels_logits_and_frozen_layers_make_no_difference(network, digits):
    expected = gradient(network, digits, "a")
    one_hot = kerasft.RankingData(None, digits.distorted, np.eye(10)[digits.labels])
    np.testing.assert_allclose(gradient(network, one_hot, "a"), expected, rtol=1e-4)
    logits = keras.models.clone_model(network)
    logits.set_weights(network.get_weights())
    logits.layers[-1].activation = keras.activations.linear
    logits.trainable = False
    np.testing.assert_allclose(gradient(logits, digits, "a"), expected, rtol=1e-3)
    partial = kerasft.make_partially_trainable(network, {"a": [1]})
    np.testing.assert_allclose(gradient(partial, digits, "a"), expected, rtol=1e-4)


def test_two_classes_of_one_output():
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(9, 4, 4, 1)).astype("float32")
    image = keras.Input((4, 4, 1))
    x = layers.Flatten()(layers.Conv2D(3, 2, name="conv")(image))
    one = keras.Model(image, layers.Dense(1, activation="sigmoid", name="one")(x))
    two = keras.Model(image, layers.Dense(2, name="two")(x))
    kernel, bias = one.get_layer("one").get_weights()
    two.get_layer("two").set_weights([np.hstack([0 * kernel, kernel]), np.array([0, bias[0]])])
    data = kerasft.RankingData(distorted=images, labels=np.arange(9) % 2)
    np.testing.assert_allclose(gradient(one, data, "conv"), gradient(two, data, "conv"), rtol=1e-4)


@pytest.mark.parametrize("criterion", [gradient, CRITERIA["correction"]])
def test_labels_that_are_no_probabilities_are_refused(channels, criterion):
    model, data = channels
    wrong = kerasft.RankingData(data.clean, data.distorted, np.eye(4)[data.labels] * 5 - 1)
    with pytest.raises(ValueError, match="Expected one-hot or soft labels in labels, each from 0"):
        criterion(model, wrong, "conv")


def test_the_spoiled_filter_wins_and_a_deaf_head_leaves_nothing_to_choose(channels):
    model, data = channels
    for criterion in (gradient, emd_gradient):
        assert criterion(model, data, "conv").argmax() == 2
    model.get_layer("head").set_weights([np.zeros((4, 4)), np.zeros(4)])
    for criterion in (gradient, emd_gradient):
        assert criterion(model, data, "conv").tolist() == [0] * 4
    same = kerasft.RankingData(data.clean, data.clean, data.labels)
    assert emd_gradient(model, same, "conv").tolist() == [0] * 4


def test_emd_gradient_is_the_product_of_shares(network, digits):
    parts = [CRITERIA[name](network, digits, "b") for name in ("emd", "gradient")]
    expected = parts[0] / parts[0].sum() * parts[1] / parts[1].sum()
    np.testing.assert_allclose(emd_gradient(network, digits, "b"), expected, rtol=1e-4)


def test_relative_norms_are_norms_of_gradients_over_norms_of_weights(network, digits):
    parts = loss_gradients.loss_gradients(network, digits, ["a", "b"])
    expected = {}
    for name, slopes in parts.items():
        weights = network.get_layer(name).get_weights()
        norms = [np.sqrt(sum((x**2).sum() for x in arrays)) for arrays in (slopes, weights)]
        expected[name] = norms[0] / norms[1]
    norms = relative_gradient_norms(network, digits)
    assert list(norms) == ["a", "b"]
    assert norms == pytest.approx(expected, rel=1e-5)
    assert [type(x) for x in norms.values()] == [float, float]
    assert norms == pytest.approx(relative_gradient_norms(network, digits, ["b", "a"]), rel=1e-5)


def test_layers_are_chosen_by_relative_norm(network, digits):
    norms = relative_gradient_norms(network, digits)
    best = max(norms, key=norms.get)
    assert kerasft.choose_layers(network, digits, 1) == [best]
    assert set(kerasft.choose_layers(network, digits, 2)) == {"a", "b"}
    assert kerasft.choose_layers(network, digits, 2)[0] == best
    for count in (0, 3, True, 1.0):
        with pytest.raises(ValueError, match=f"^Expected a count from 1 to 2. Received: {count}"):
            kerasft.choose_layers(network, digits, count)


def test_a_layer_without_weight_wants_all_and_one_without_gradient_nothing(channels):
    model, data = channels
    model.get_layer("conv").set_weights([np.zeros((1, 1, 4, 4)), np.zeros(4)])
    assert relative_gradient_norms(model, data) == {"conv": np.inf}
    model.get_layer("head").set_weights([np.zeros((4, 4)), np.zeros(4)])
    assert relative_gradient_norms(model, data) == {"conv": 0.0}


def test_gradients_that_are_not_finite_choose_no_layer(channels):
    model, data = channels
    # Finite weights, of which the outputs are not.
    model.set_weights([w * np.float32(1e20) for w in model.get_weights()])
    message = r"^Expected finite gradients .* of layer 'conv'\. Received: NaN"
    with pytest.raises(ValueError, match=message):
        relative_gradient_norms(model, data)
    with pytest.raises(ValueError, match=message):
        kerasft.choose_layers(model, data, 1)


def test_a_layer_that_leads_to_no_output_has_no_gradient(channels):
    model, data = channels
    image = keras.Input((3, 3, 4))
    conv, idle = model.get_layer("conv"), layers.Conv2D(4, 1, name="idle")
    pooled = layers.GlobalAveragePooling2D()(conv(image))
    inner = keras.Model(image, [model.get_layer("head")(pooled), idle(image)], name="inner")
    whole = keras.Model(image, inner(image)[0])
    scores = gradient.score_layers(whole, data, ["inner/conv", "inner/idle"])
    assert scores["inner/idle"].tolist() == [0] * 4
    np.testing.assert_allclose(scores["inner/conv"], gradient(model, data, "conv"), rtol=1e-5)
