"""Logits and probabilities are told apart by the model where it can be, else by values."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasft.cross_entropy import cross_entropy
from kerasft.evaluation import predict_classes
from kerasft.outputs import choose_classes, gives_logits

# Logits that might be probabilities, with classes 1 at 0 and at 0.5 in different places.
LOGITS = np.array([[0.1], [0.3], [0.6], [0.9]], "float32")
SPREAD = np.array([[-3.0], [-0.1], [0.2], [0.4], [4.0]], "float32")


def same(activation=None, **arguments):
    """A layer that gives its one input to an activation."""
    return layers.Dense(1, activation, kernel_initializer="ones", **arguments)


def functional(*stack, size=1):
    image = x = keras.Input((size,))
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def sequential(*stack, size=1):
    return keras.Sequential([keras.Input((size,)), *stack])


@pytest.mark.parametrize("wire", [functional, sequential])
@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (lambda: [same()], True),
        (lambda: [same("sigmoid")], False),
        (lambda: [same("hard_sigmoid")], False),
        (lambda: [same(keras.ops.sigmoid)], False),
        (lambda: [same(), layers.Activation("sigmoid", dtype="float32")], False),
        (lambda: [same("sigmoid"), layers.Activation("linear", dtype="float32")], False),
        (lambda: [same(), layers.Activation("linear", dtype="float32")], True),
        (lambda: [same(), layers.Dropout(0.5), layers.Reshape((1,))], True),
        (lambda: [layers.Reshape((1, 1)), layers.Conv1D(1, 1), layers.Flatten()], True),
        (
            lambda: [
                layers.Reshape((1, 1)),
                layers.Conv1D(1, 1, activation="sigmoid"),
                layers.GlobalAveragePooling1D(),
            ],
            False,
        ),
    ],
)
def test_the_last_activation_tells(wire, stack, expected):
    # Values speak for the opposite.
    outputs = LOGITS if expected else SPREAD
    assert gives_logits(wire(*stack()), outputs) is expected


@pytest.mark.parametrize("outer", [functional, sequential])
@pytest.mark.parametrize("inner", [functional, sequential])
def test_the_last_activation_of_nested_models_tells(outer, inner):
    assert gives_logits(outer(same("sigmoid"), inner(inner(same()))), LOGITS)
    assert not gives_logits(outer(same(), inner(inner(same("sigmoid")))), SPREAD)


@pytest.mark.parametrize("wire", [functional, sequential])
def test_several_classes(wire):
    uniform = np.full((3, 4), 0.25, "float32")
    assert gives_logits(wire(layers.Dense(4)), uniform)
    assert not gives_logits(wire(layers.Dense(4, "softmax")), -uniform)
    assert not gives_logits(wire(layers.Dense(4), layers.Softmax()), -uniform)
    # Sigmoids of several classes are no distribution.
    assert gives_logits(wire(layers.Dense(4, "sigmoid")), 2 * uniform)


class Twice(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


class Squashed(keras.Model):
    def call(self, inputs):
        return keras.ops.sigmoid(super().call(inputs))


def unseen():
    """Models that do not show what they end in."""
    image = keras.Input((1,))
    hidden = same()(image)
    return {
        "lambda": sequential(same("sigmoid"), layers.Lambda(lambda x: 8 * x - 4)),
        "operation": keras.Model(image, keras.ops.sigmoid(hidden)),
        "merged": keras.Model(image, layers.Add()([hidden, hidden])),
        "own layer": sequential(Twice(1, "sigmoid")),
        "own call": Squashed(image, hidden),
    }


@pytest.mark.parametrize("name", unseen())
def test_values_tell_where_the_model_does_not(name):
    model = unseen()[name]
    assert gives_logits(model, SPREAD)
    assert not gives_logits(model, LOGITS)
    assert not gives_logits(model, np.array([[0.1, 0.9], [1, 0]]))
    assert gives_logits(model, np.array([[0.1, 0.8], [1, 0]]))
    assert gives_logits(model, np.array([[-0.1, 1.1], [1, 0]]))


@pytest.mark.parametrize("values", [LOGITS, SPREAD])
def test_one_logit_is_scored_at_0_and_one_probability_at_a_half(values):
    expected = (values[:, 0] > 0).astype(int)
    probabilities = 1 / (1 + np.exp(-values))
    np.testing.assert_array_equal(predict_classes(sequential(same()), values), expected)
    sigmoid = functional(same(), functional(same("sigmoid")))
    np.testing.assert_array_equal(predict_classes(sigmoid, values), expected)
    hidden = functional(layers.Lambda(keras.ops.sigmoid))
    np.testing.assert_array_equal(predict_classes(hidden, values), expected)
    np.testing.assert_allclose(hidden.predict(values, verbose=0), probabilities, rtol=1e-5)


def test_all_values_count_not_those_of_the_first_batch():
    values = np.array([[0.2]] * 8 + [[-5.0]], "float32")
    model = sequential(layers.Lambda(lambda x: x))
    assert predict_classes(model, values, batch_size=4).tolist() == [1] * 8 + [0]


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_the_loss_takes_a_single_output_for_what_it_is(activation):
    model = sequential(same(activation))
    labels = np.array([0, 1, 1, 0])
    logits = LOGITS[:, 0].astype("float64")
    expected = (np.log1p(np.exp(logits)) - labels * logits).mean()
    loss = cross_entropy(model, LOGITS, labels, "train")
    result = loss(labels[:, None], model.predict(LOGITS, verbose=0))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result), expected, rtol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_several_classes_are_chosen_by_the_largest(from_logits):
    outputs = np.random.default_rng(0).normal(size=(20, 5))
    expected = [max(range(5), key=row.__getitem__) for row in outputs]
    assert choose_classes(outputs, from_logits).tolist() == expected
