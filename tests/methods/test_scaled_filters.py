"""Filters with a scale each: what is trained of them, and what is made of it afterwards."""

import dataclasses

import keras
import numpy as np
import pytest

from kerasft.methods import Problem, scaled_filters, training
from kerasft.methods.scaled_filters import count_scales, train_scaled_filters

layers = keras.layers
CHANNELS, CLASSES = 3, 4


def network(**settings):
    """One convolution, of which each test chooses what it needs."""
    keras.utils.set_random_seed(1)
    settings = {"activation": "tanh", "name": "conv", "bias_initializer": "normal", **settings}
    shape = (
        (CHANNELS, 6, 6) if settings.get("data_format") == "channels_first" else (6, 6, CHANNELS)
    )
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(6, 3, **settings),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def a_problem(model, images=16, **settings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, *model.input_shape[1:])).astype("float32")
    labels = rng.integers(CLASSES, size=images)
    settings = {"epochs": 1, "batch_size": images, "learning_rate": 0.01, **settings}
    return Problem(model, x, labels, validation=(x, labels), **settings)


def test_a_step_is_one_of_adam_on_the_chosen_kernels_all_scales_and_all_biases():
    model = network()
    problem, chosen = a_problem(model), [1, 4]
    found = train_scaled_filters(model, problem, 0, {"conv": chosen})
    kernel, bias, weights, constant = (w.astype("float64") for w in model.get_weights())

    def loss_of(kernel, bias):
        """In loops, and in double precision."""
        total = 0.0
        for image, label in zip(problem.distorted.astype("float64"), problem.labels, strict=True):
            maps = np.empty((4, 4, 6))
            for row, column in np.ndindex(4, 4):
                patch = image[row : row + 3, column : column + 3, :, None]
                maps[row, column] = np.tanh((patch * kernel).sum(axis=(0, 1, 2)) + bias)
            logits = maps.ravel() @ weights + constant
            total += np.log(np.exp(logits).sum()) - logits[label]
        return total / len(problem.labels)

    def slope(change, size=1e-5):
        """The derivative by a number that `change` adds to a copy of kernel and bias."""
        ends = []
        for sign in (-1, 1):
            both = kernel.copy(), bias.copy()
            change(*both, sign * size)
            ends.append(loss_of(*both))
        return (ends[1] - ends[0]) / (2 * size)

    def step(gradient):
        # Adam's first, whose moments are a tenth of the gradient and a thousandth of its
        # square; Keras corrects them after epsilon is added.
        epsilon = 1e-7 / np.sqrt(0.001)
        return problem.learning_rate * gradient / (abs(gradient) + epsilon)

    expected, moved = kernel.copy(), bias.copy()
    for filter_ in range(6):

        def shift(kernel, bias, by, filter_=filter_):
            bias[filter_] += by

        def stretch(kernel, bias, by, filter_=filter_):
            kernel[..., filter_] *= 1 + by

        moved[filter_] -= step(slope(shift))
        if filter_ in chosen:
            for place in np.ndindex(3, 3, CHANNELS):

                def lift(kernel, bias, by, place=(*place, filter_)):
                    kernel[place] += by

                expected[(*place, filter_)] -= step(slope(lift))
        expected[..., filter_] *= 1 - step(slope(stretch))
    np.testing.assert_allclose(found.model.get_weights()[0], expected, atol=2e-5)
    np.testing.assert_allclose(found.model.get_weights()[1], moved, atol=2e-5)
    for before, after in zip(model.get_weights()[2:], found.model.get_weights()[2:], strict=True):
        assert before.tobytes() == after.tobytes()
    assert found.trained_parameters == 2 * 3 * 3 * CHANNELS + 6 + 6
    assert count_scales(model.layers[:1]) == 6 + 6


@pytest.mark.parametrize(
    "settings",
    [
        {"use_bias": False},
        {"padding": "same", "strides": 2, "activation": None},
        {"groups": 3},
        {"dilation_rate": 2},
        {"data_format": "channels_first"},
        {"activation": layers.LeakyReLU(negative_slope=0.3)},
        {"dtype": "mixed_float16", "trainable": False},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_result_is_the_plain_network_that_the_trained_one_was(settings):
    model = network(**settings)
    before = [w.tobytes() for w in model.get_weights()]
    problem = a_problem(model, epochs=20)
    tuned = train_scaled_filters(model, problem, 0, {"conv": [0, 5]}).model
    conv, source = tuned.get_layer("conv"), model.get_layer("conv")
    assert type(conv) is layers.Conv2D
    assert {**conv.get_config(), "trainable": None} == {**source.get_config(), "trainable": None}
    # Kernels that were not chosen keep their form, the others do not.
    old, new = (w.get_weights()[0].reshape(-1, 6) for w in (source, conv))
    stretched = (old * new).sum(axis=0) / (old**2).sum(axis=0)
    kept = np.isclose(new, old * stretched, atol=1e-6).all(axis=0)
    np.testing.assert_array_equal(np.flatnonzero(~kept), [0, 5])
    assert (stretched != 1).all()
    # Training has helped, so the result is not some other network.
    sharper = [x.evaluate(*problem.validation, verbose=0) for x in map(compiled, (model, tuned))]
    assert sharper[1] < sharper[0] - 0.1
    assert [w.tobytes() for w in model.get_weights()] == before
    assert source.trainable == settings.get("trainable", True)


@pytest.mark.parametrize("nested", [False, True], ids=["whole", "nested"])
def test_a_frozen_source_keeps_no_chosen_kernel_frozen(nested):
    model = network()
    path = "conv"
    if nested:
        inner = keras.Sequential([keras.Input((6, 6, 3)), *model.layers[:1]], name="inner")
        model = keras.Sequential([keras.Input((6, 6, 3)), inner, *model.layers[1:]])
        path = "inner/conv"
    model.trainable = False
    outcome = train_scaled_filters(model, a_problem(model), 0, {path: [0, 5]})
    assert outcome.trained_parameters == 2 * 3 * 3 * CHANNELS + 6 + 6
    assert not model.trainable


def test_what_the_source_asks_of_bias_and_output_is_asked_in_training():
    """The losses at the start, and the bias after a step."""
    asked = {
        "bias_regularizer": keras.regularizers.L2(3.0),
        "activity_regularizer": keras.regularizers.L2(0.01),
        "bias_constraint": keras.constraints.NonNeg(),
    }
    model = network(**asked)
    problem = a_problem(model, learning_rate=10.0)
    wanted = compiled(model).evaluate(*problem.validation, batch_size=16, verbose=0)
    seen = []

    original = training.train

    def train(copy, problem, **settings):
        seen.append(compiled(copy).evaluate(*problem.validation, batch_size=16, verbose=0))
        return original(copy, problem, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaled_filters, "train", train)
        tuned = train_scaled_filters(model, problem, 0, {"conv": [0]}).model
    bare = compiled(network()).evaluate(*problem.validation, batch_size=16, verbose=0)
    assert wanted > bare + 0.05
    np.testing.assert_allclose(seen, wanted, rtol=1e-5)
    assert (tuned.get_layer("conv").bias.numpy() >= 0).all()


def test_what_cannot_be_trained_so_is_refused():
    model = network(activation=layers.PReLU())
    # Keras builds the activation with its first call.
    model(a_problem(model).distorted)
    with pytest.raises(ValueError, match="whose activation has no weights"):
        train_scaled_filters(model, a_problem(model), 0, {"conv": [0]})
    inputs = keras.Input((6, 6, CHANNELS))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.Flatten()(layers.SpectralNormalization(layers.Conv2D(4, 3), name="sn")(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    with pytest.raises(ValueError, match="SpectralNormalization"):
        train_scaled_filters(model, a_problem(model), 0, {"conv": [0]})


def test_a_training_that_diverged_is_told():
    model = network(activation=None)
    problem = a_problem(model, learning_rate=1e30, batch_size=4)
    with pytest.raises(ValueError, match="which diverged in training"):
        train_scaled_filters(model, problem, 0, {"conv": [0]})


def compiled(model):
    model.compile(loss="sparse_categorical_crossentropy")
    return model


def test_the_kernel_of_a_constraint_is_not_scaled():
    model = network(kernel_constraint=keras.constraints.UnitNorm(axis=(0, 1, 2)))
    kernel = model.layers[0].kernel
    kernel.assign(model.layers[0].kernel_constraint(kernel))
    tuned = train_scaled_filters(model, a_problem(model, epochs=5), 0, {"conv": [2]}).model
    (old, bias), (new, moved) = (m.get_layer("conv").get_weights() for m in (model, tuned))
    others = [0, 1, 3, 4, 5]
    assert old[..., others].tobytes() == new[..., others].tobytes()
    assert (bias != moved).all()
    np.testing.assert_allclose(np.linalg.norm(new.reshape(-1, 6), axis=0), 1, atol=1e-5)
    assert count_scales(model.layers[:1]) == 6


def test_layers_that_are_not_named_stay_as_they_are():
    inputs = keras.Input((8, 8, CHANNELS))
    x = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(4, 3, name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="head")(x))
    tuned = train_scaled_filters(model, a_problem(model, epochs=3), 0, {"second": ()}).model
    same = {
        name: [w.tobytes() for w in model.get_layer(name).get_weights()]
        == [w.tobytes() for w in tuned.get_layer(name).get_weights()]
        for name in ("first", "norm", "second", "head")
    }
    assert same == {"first": True, "norm": True, "second": False, "head": True}


def test_a_convolution_of_one_dimension():
    inputs = keras.Input((20, 2))
    x = layers.Conv1D(4, 5, name="conv")(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    outcome = train_scaled_filters(model, a_problem(model), 0, {"conv": [3]})
    assert type(outcome.model.get_layer("conv")) is layers.Conv1D
    assert outcome.trained_parameters == 5 * 2 + 4 + 4


def test_without_steps_all_bytes_stay_and_a_shared_layer_stays_shared():
    conv, inputs = layers.Conv2D(CHANNELS, 3, padding="same", name="conv"), keras.Input((6, 6, 3))
    x = layers.Flatten()(conv(conv(inputs)))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    still = dataclasses.replace(a_problem(model), learning_rate=0.0)
    tuned = train_scaled_filters(model, still, 0, {"conv": [0]}).model
    assert [w.tobytes() for w in tuned.get_weights()] == [w.tobytes() for w in model.get_weights()]
    assert len(tuned.weights) == len(model.weights)
