import keras
import numpy as np
import pytest

import kerasft

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
