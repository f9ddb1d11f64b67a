import keras
import numpy as np
import pytest

import kerasft
from kerasft.susceptibility.activation import is_activation

layers = keras.layers


def conv(name="conv", filters=5, **arguments):
    return layers.Conv2D(filters, 3, padding="same", name=name, **arguments)


def norm(name="norm", axis=-1):
    """A batch normalization that changes its input; a new one would not."""
    uniform = keras.initializers.RandomUniform(0.5, 1.5)
    return layers.BatchNormalization(
        name=name,
        axis=axis,
        gamma_initializer=uniform,
        moving_mean_initializer=uniform,
        moving_variance_initializer=uniform,
    )


def named(x):
    """Gives the output of an operation, whose name Keras chooses, the name `end`."""
    return layers.Identity(name="end")(x)


# Of each model: how it is built, and the layer whose output counts for `conv`.
def normalized(x):
    return layers.ReLU(name="relu")(norm()(conv()(x)))


def activated(x):
    return layers.Activation("tanh", name="tanh")(conv()(x))


def normalized_only(x):
    return layers.MaxPooling2D()(norm()(conv()(x)))


def two_activations(x):
    x = layers.ReLU(name="relu")(conv()(x))
    return layers.LeakyReLU(name="leaky")(x)


def activated_then_normalized(x):
    return norm()(layers.ReLU(name="relu")(conv()(x)))


def pooled(x):
    return layers.ReLU()(layers.MaxPooling2D()(conv()(x)))


def feeding_two(x):
    x = conv()(x)
    return layers.Add()([layers.ReLU()(x), x])


def feeding_an_operation(x):
    return conv()(x) + 1.0


def normalized_feeding_two(x):
    x = norm()(conv()(x))
    return layers.Add()([layers.ReLU()(x), x])


def last(x):
    return conv(activation="relu")(x)


def activated_by_a_function(x):
    return named(keras.activations.relu(norm()(conv()(x))))


def activated_by_an_operation(x):
    return named(keras.ops.leaky_relu(conv()(x), 0.3))


def operation_feeding_two(x):
    x = norm()(conv()(x))
    return layers.Add()([keras.ops.relu(x), x])


def activated_by_softmax(x):
    return named(layers.Softmax()(conv()(x)))


def gated(x):
    # Half of the filters would be left.
    return layers.Activation("glu")(conv(filters=6)(x))


def activated_after_a_model(x):
    block = keras.Sequential([keras.Input((8, 8, 3)), conv()], name="block")
    return named(keras.ops.relu(norm()(block(x))))


def activated_in_a_model(x):
    inside = keras.Input((8, 8, 5))
    block = keras.Model(inside, keras.ops.relu(norm()(inside)), name="block")
    return named(block(conv()(x)))


def activated_beyond_two_models(x):
    a = keras.Input((8, 8, 3))
    inner = keras.Model(a, conv()(a), name="inner")
    b = keras.Input((8, 8, 3))
    # The second output of the middle one, for which Keras counts calls in another way.
    middle = keras.Model(b, [layers.MaxPooling2D()(b), inner(b)], name="middle")
    return named(layers.ReLU()(middle(x)[1]))


def feeding_a_model_of_two_inputs(x):
    left, right = keras.Input((8, 8, 5)), keras.Input((8, 8, 3))
    block = keras.Model([left, right], [layers.ReLU()(left), right])
    return block([conv()(x), x])[0]


CASES = [
    (normalized, "relu"),
    (activated, "tanh"),
    (normalized_only, "norm"),
    (two_activations, "relu"),
    (activated_then_normalized, "relu"),
    (pooled, "conv"),
    (feeding_two, "conv"),
    (feeding_an_operation, "conv"),
    (normalized_feeding_two, "norm"),
    (last, "conv"),
    (activated_by_a_function, "end"),
    (activated_by_an_operation, "end"),
    (operation_feeding_two, "norm"),
    (activated_by_softmax, "end"),
    (gated, "conv"),
    (activated_after_a_model, "end"),
    (activated_in_a_model, "end"),
    (activated_beyond_two_models, "end"),
    (feeding_a_model_of_two_inputs, "conv"),
]


def expect(ranking, source, clean, distorted, slow_ranking):
    """`ranking` is what the outputs of the model `source` give."""
    maps = [source.predict(images, verbose=0) for images in (clean, distorted)]
    order, points, distances = slow_ranking(*maps)
    assert ranking.borda_counts.tolist() == points
    assert ranking.order.tolist() == order
    np.testing.assert_allclose(ranking.mean_distance, distances.mean(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("build", "counts"), CASES, ids=[case[0].__name__ for case in CASES])
def test_maps_are_taken_after_normalization_and_activation(
    build, counts, clean, distorted, slow_ranking
):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, build(layers.Rescaling(1 / 255)(inputs)))
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True, batch_size=4)
    source = keras.Model(inputs, model.get_layer(counts).output)
    expect(ranking["conv"], source, clean, distorted, slow_ranking)


def test_layers_of_a_sequential_inside_a_model_are_followed(clean, distorted, slow_ranking):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((8, 8, 3)), conv(), norm(), layers.ReLU()])
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), inner])
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["conv"], model, clean, distorted, slow_ranking)


def test_convolutions_that_share_an_activation_keep_their_own_maps(clean, distorted, slow_ranking):
    keras.utils.set_random_seed(0)
    relu = layers.ReLU(name="relu")
    inputs = keras.Input((8, 8, 3))
    first = relu(conv("first")(layers.Rescaling(1 / 255)(inputs)))
    second = relu(conv("second")(first))
    model = keras.Model(inputs, second)
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["first"], keras.Model(inputs, first), clean, distorted, slow_ranking)
    expect(ranking["second"], model, clean, distorted, slow_ranking)


def test_channels_first_maps_are_ranked_by_channel(clean, distorted, slow_ranking):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 8, 8))
    x = conv(data_format="channels_first")(layers.Rescaling(1 / 255)(inputs))
    outputs = layers.ReLU()(norm(axis=1)(x))
    images = [x.transpose(0, 3, 1, 2) for x in (clean, distorted)]
    ranking = kerasft.rank_filters(keras.Model(inputs, outputs), *images, after_activation=True)
    source = keras.Model(inputs, layers.Permute((2, 3, 1))(outputs))
    expect(ranking["conv"], source, *images, slow_ranking)


def called_twice(first, second, shared):
    """A convolution called on images and on their negatives, and what follows each call."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    ends = [first(shared(x)), second(shared(layers.Rescaling(-1.0)(x)))]
    model = keras.Model(inputs, ends)
    # The values of both calls are one map.
    return model, keras.Model(inputs, layers.Concatenate(axis=1)(ends))


NORM, RELU, SHARED_NORM = norm("first"), layers.ReLU(), norm("shared")
BLOCK = keras.Sequential([keras.Input((8, 8, 3)), conv(), norm("within")], name="block")

ALIKE = {
    "one series": [lambda x: RELU(NORM(x))] * 2,
    "a new layer in each call": [lambda x: layers.ReLU()(NORM(x))] * 2,
    "a new operation in each call": [lambda x: keras.ops.leaky_relu(NORM(x), 0.1)] * 2,
    "one function": [layers.Activation(lambda x: x * x)] * 2,
}

UNLIKE = {
    "two normalizations": [norm("one"), norm("other")],
    "one activation": [layers.ReLU(), layers.Identity()],
    "one normalization": [lambda x: RELU(SHARED_NORM(x)), RELU],
    "two slopes": [lambda x: keras.ops.leaky_relu(x, 0.1), lambda x: keras.ops.leaky_relu(x, 0.2)],
    "two functions": [layers.Activation(lambda x: x * x), layers.Activation(lambda x: -x)],
    "two trained activations": [layers.PReLU(), layers.PReLU()],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_what_follows_every_call_of_a_shared_layer_is_taken(kind, clean, distorted, slow_ranking):
    model, source = called_twice(*ALIKE[kind], conv())
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["conv"], source, clean, distorted, slow_ranking)


@pytest.mark.parametrize("kind", UNLIKE)
def test_calls_of_a_shared_layer_that_are_followed_by_others_are_refused(kind, clean, distorted):
    model, _ = called_twice(*UNLIKE[kind], conv())
    with pytest.raises(
        ValueError, match=r"^Expected .* normalization and activation .* Received: 'conv', foll"
    ):
        kerasft.rank_filters(model, clean, distorted, after_activation=True)


def test_calls_of_a_shared_model_are_followed_out_of_it(clean, distorted, slow_ranking):
    model, source = called_twice(RELU, RELU, BLOCK)
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["conv"], source, clean, distorted, slow_ranking)
    model, _ = called_twice(RELU, layers.Identity(), BLOCK)
    with pytest.raises(ValueError, match=r"followed by \['within', 're_lu\w*'\] and \['within'\]"):
        kerasft.rank_filters(model, clean, distorted, after_activation=True)


def elementwise(name):
    """What a function of Keras becomes in a model; `None` where it becomes no single operation."""
    function = getattr(keras.ops, name, None) or getattr(keras.activations, name)
    x = keras.Input((2, 2, 4))
    try:
        outputs = function(x, 0.1, 0.2) if name == "threshold" else function(x)
        operations = keras.Model(x, outputs).operations[1:]
    except Exception:
        return None
    return operations[0] if len(operations) == 1 and outputs.shape == x.shape else None


def test_every_activation_of_keras_is_known_as_one():
    names = {*dir(keras.activations), *(x for x in dir(keras.ops) if x.startswith("hard_"))}
    found = {name: elementwise(name) for name in names if name[0] != "_"}
    operations = {name: operation for name, operation in found.items() if operation is not None}
    assert {"relu", "hard_silu", "leaky_relu", "tanh", "threshold"} < set(operations)
    assert [name for name, x in operations.items() if not is_activation(x)] == []


@pytest.mark.parametrize("name", ["absolute", "negative", "square", "sin", "round", "normalize"])
def test_other_operations_are_no_activations(name):
    assert not is_activation(elementwise(name))


def test_a_class_with_a_configuration_of_its_own_is_followed(clean, distorted, slow_ranking):
    class Net(keras.Model):
        def __init__(self, filters):
            inputs = keras.Input((8, 8, 3))
            x = layers.Rescaling(1 / 255)(inputs)
            super().__init__(inputs, keras.ops.relu(conv(filters=filters)(x)))
            self.filters = filters

        def get_config(self):
            return {"filters": self.filters}

    model = Net(5)
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["conv"], model, clean, distorted, slow_ranking)


def holder(block):
    class Holder(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.block = block

        def call(self, images):
            return self.block(images)

    model = Holder()
    model(np.zeros((1, 8, 8, 3)))
    return model


def test_a_model_inside_one_of_unknown_wiring_is_followed_while_it_is_not_left(
    clean, distorted, slow_ranking
):
    keras.utils.set_random_seed(0)
    model = holder(keras.Sequential([keras.Input((8, 8, 3)), conv(), norm(), layers.ReLU()]))
    ranking = kerasft.rank_filters(model, clean, distorted, after_activation=True)
    expect(ranking["conv"], model, clean, distorted, slow_ranking)
    model = holder(keras.Sequential([keras.Input((8, 8, 3)), conv(), norm()]))
    with pytest.raises(ValueError, match=r"^Expected a Functional .*Received: 'mine', a Holder"):
        kerasft.rank_filters(model, clean, distorted, after_activation=True)


def test_model_without_known_wiring_is_refused(clean, distorted):
    class Subclassed(keras.Model):
        def __init__(self, filters):
            super().__init__(name="mine")
            self.conv = conv(filters=filters)

        def call(self, images):
            return self.conv(images)

    model = Subclassed(4)
    model(clean[:1])
    with pytest.raises(ValueError, match=r"^Expected a Functional .*Received: 'mine', a Subclas"):
        kerasft.rank_filters(model, clean, distorted, after_activation=True)
