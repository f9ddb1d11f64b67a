"""Small models of every shape, and what the tests of surgery do with them."""

import keras
import numpy as np
from keras import layers

from kerasft.layer_lookup import named_layers
from kerasft.layers import PartiallyTrainable


def conv(name, filters=4, **arguments):
    return layers.Conv2D(filters, 3, padding="same", name=name, **arguments)


def sequential():
    stack = [keras.Input((6, 6, 3)), conv("a", activation="relu"), layers.BatchNormalization()]
    stack += [conv("b", use_bias=False), layers.Flatten(), layers.Dense(2, name="head")]
    return keras.Sequential(stack)


def sequential_built_by_a_call():
    model = keras.Sequential([conv("a"), layers.Dropout(0.5), conv("b")])
    model(np.zeros((1, 6, 6, 3)))
    return model


def functional_with_dictionaries():
    left, right = keras.Input((6, 6, 3), name="left"), keras.Input((6, 6, 3), name="right")
    x = layers.Concatenate()([conv("a")(left), conv("b")(right)])
    outputs = {"score": layers.Dense(1, name="head")(layers.Flatten()(x)), "map": x}
    return keras.Model({"left": left, "right": right}, outputs, name="pair")


def functional_with_lists():
    left, right = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    x, y = conv("a")(left), conv("b", 4)(right)
    return keras.Model([left, right], [x + y, x * y])


def nested_two_deep():
    def block(name, content, channels):
        inputs = keras.Input((6, 6, channels))
        return keras.Model(inputs, content(conv("a")(inputs)), name=name)

    innermost = block("innermost", layers.BatchNormalization(name="norm"), 4)
    inner = block("inner", innermost, 3)
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Dense(2, name="head")(inner(conv("b", 3)(image))))


def base_and_head():
    inputs = keras.Input((6, 6, 3))
    base = keras.Model(inputs, layers.BatchNormalization()(conv("a")(inputs)), name="base")
    image = keras.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(image), training=False))
    return keras.Model(image, layers.Dense(2, name="head")(x))


def sequential_of_models():
    inner = keras.Sequential([keras.Input((6, 6, 3)), conv("a"), conv("b")], name="inner")
    return keras.Sequential([keras.Input((6, 6, 3)), inner, layers.Flatten(), layers.Dense(2)])


def shared_layer_called_twice():
    shared, image = conv("a", 3), keras.Input((6, 6, 3))
    return keras.Model(image, conv("b")(shared(layers.ReLU()(shared(image)))))


def shared_model_called_twice():
    inner = keras.Sequential([keras.Input((6, 6, 3)), conv("a", 3)], name="inner")
    left, right = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    return keras.Model([left, right], layers.Add()([inner(left), inner(right)]))


def shared_by_inner_and_outer_model():
    shared, inputs = conv("a", 3), keras.Input((6, 6, 3))
    inner = keras.Model(inputs, conv("b", 3)(shared(inputs)), name="inner")
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Dense(2, name="head")(inner(shared(image))))


def operations_between_layers():
    image = keras.Input((6, 6, 3))
    x = conv("a")(image / 255.0 - 0.5)
    x = keras.ops.relu(x) + x[..., :1]
    return keras.Model(image, keras.ops.mean(x, axis=(1, 2)))


def adapted_normalization():
    # Its constants are made of its weights when these are set.
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(50, 20, (20, 6, 6, 3)))
    return keras.Sequential([keras.Input((6, 6, 3)), normalization, conv("a")])


def adapted_preprocessing():
    """Whose configuration tells what they adapted to, and not."""
    bins = layers.Discretization(num_bins=4)
    bins.adapt(np.linspace(-2, 2, 50))
    lookup = layers.IntegerLookup()
    lookup.adapt(np.arange(4).repeat(np.arange(1, 5)))
    frequencies = layers.IntegerLookup(output_mode="tf_idf")
    frequencies.adapt(np.array([[0], [0], [1]]))
    image = keras.Input((6, 6, 3))
    binned = bins(image)
    embedded = layers.Embedding(5, 3)(lookup(binned))
    tabled = layers.Dense(2)(frequencies(layers.Flatten()(binned)))
    x = conv("a")(layers.Reshape((6, 6, 9))(embedded))
    return keras.Model(image, layers.Concatenate()([layers.GlobalMaxPooling2D()(x), tabled]))


def lambda_layers():
    scale = 255.0
    image = keras.Input((6, 6, 3))
    x = layers.Lambda(lambda x: x / scale, output_shape=(6, 6, 3), name="scale")(image)
    x = layers.Lambda(lambda x, by: x * by, arguments={"by": 2.0}, name="double")(x)
    return keras.Model(image, conv("a", activation=lambda x: x * x)(x))


def square(x):
    return x * x


def relu(x):
    """Not the one that Keras finds by this name."""
    return -x


class Compares(layers.Layer):
    """Its attribute is a function, its argument and its configuration a word."""

    def __init__(self, activation="relu", **arguments):
        super().__init__(**arguments)
        self.activation = keras.ops.relu if activation == "relu" else keras.ops.tanh

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        word = "relu" if self.activation is keras.ops.relu else "tanh"
        return {**super().get_config(), "activation": word}


class Takes(layers.Layer):
    """Its argument may be a function."""

    def __init__(self, activation, **arguments):
        super().__init__(**arguments)
        self.activation = keras.activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


class Silent(layers.Layer):
    """Has no get_config; Keras writes one, without what goes to Keras."""

    def __init__(self, factor=2.0, **arguments):
        super().__init__(**arguments)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


def layers_of_the_user_with_functions():
    stack = [conv("a"), Compares("relu"), Silent(3.0, name="silent"), Takes(lambda x: x * x)]
    stack += [Takes(relu), Takes("tanh"), Compares("tanh")]
    return keras.Sequential([keras.Input((6, 6, 3)), *stack])


def functions_of_the_user():
    stack = [keras.Input((6, 6, 3)), conv("a", activation=square), layers.Activation(relu)]
    return keras.Sequential([*stack, layers.Dense(2, activation=square, name="head")])


@keras.saving.register_keras_serializable("tests")
class Custom(keras.Model):
    """A class of its own, put together from inputs and outputs."""

    def train_step(self, data):
        return super().train_step(data)


def custom_class():
    image = keras.Input((6, 6, 3))
    return Custom(image, conv("a")(image), name="custom")


@keras.saving.register_keras_serializable("tests")
class Wired(keras.Model):
    """Wired in its own call."""

    def __init__(self, units=3, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.inner = layers.Conv2D(units, 1, name="wired_inner")

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {"name": self.name, "units": self.units}


def with_a_wired_model_inside():
    image = keras.Input((6, 6, 3))
    return keras.Model(image, conv("a")(Wired(name="wired")(image)))


def of_intermediate_tensors():
    whole = sequential()
    return keras.Model(whole.layers[0].output, whole.layers[3 - 1].output)


def four_deep():
    """Of either kind in turn, with a skip connection and the same name at each depth."""

    def stacked(name, *content):
        return keras.Sequential([keras.Input((6, 6, 3)), *content], name=name)

    def skipped(name, content):
        inputs = keras.Input((6, 6, 3))
        return keras.Model(inputs, layers.Add()([inputs, content(conv("a", 3)(inputs))]), name=name)

    third = stacked("third", conv("a", 3), layers.BatchNormalization(), conv("deep", 3))
    return stacked("whole", conv("a", 3), skipped("second", third), layers.ReLU())


def inner_models_with_several_inputs_and_outputs():
    left, right = keras.Input((6, 6, 3), name="left"), keras.Input((6, 6, 3), name="right")
    both = layers.Concatenate()([conv("a")(left), conv("b")(right)])
    inner = keras.Model({"left": left, "right": right}, [both, conv("c", 2)(both)], name="inner")
    images = [keras.Input((6, 6, 3), name=name) for name in ("first", "second")]
    once = inner({"left": images[0], "right": images[1]})
    twice = inner({"left": images[1], "right": images[0]})
    return keras.Model(images, {"sum": once[0] + twice[0], "last": twice[1]})


def convolutions_of_every_kind():
    image = keras.Input((6, 6, 3))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(image)
    x = layers.SeparableConv2D(4, 3, padding="same", name="separable")(conv("a")(x))
    x = layers.Conv2DTranspose(4, 2, name="transposed")(x)
    x = layers.Conv1D(5, 3, padding="causal", name="signal")(layers.Reshape((7 * 7, 4))(x))
    x = layers.Conv3D(4, 2, name="volume")(layers.Reshape((7, 7, 5, 1))(x))
    return keras.Model(image, layers.Dense(2, name="head")(layers.Flatten()(x)))


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """A layer of the user's around plain ones."""

    def __init__(self, filters, **arguments):
        super().__init__(**arguments)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 3, padding="same", name="block_conv")
        self.norm = layers.BatchNormalization(name="block_norm")
        self.shift = None

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build((*input_shape[:-1], self.filters))
        self.shift = self.add_weight(shape=(self.filters,), name="shift")

    def call(self, inputs, training=False):
        return self.norm(self.conv(inputs), training=training) + self.shift

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def layers_of_the_user_around_convolutions():
    inner = keras.Sequential(
        [keras.Input((6, 6, 4)), Block(4, name="block"), conv("b")], name="inner"
    )
    image = keras.Input((6, 6, 3))
    return keras.Model(image, inner(Block(4, name="block")(conv("a", 3)(image))))


def an_activation_that_two_layers_share():
    activation = layers.LeakyReLU(0.3)
    stack = [conv("a", activation=activation), conv("b", activation=activation)]
    return keras.Sequential([keras.Input((6, 6, 3)), *stack])


def wrappers_and_mixed_precision():
    return keras.Sequential(
        [
            keras.Input((2, 6, 6, 3)),
            layers.TimeDistributed(layers.Conv2D(4, 3, name="wrapped")),
            layers.Reshape((8, 4, 4)),
            conv("a", dtype="mixed_float16"),
            layers.Flatten(dtype="float32"),
        ]
    )


MODELS = {
    sequential: {"a": [3, 0], "b": [1]},
    sequential_built_by_a_call: {"b": [2]},
    functional_with_dictionaries: {"a": [1]},
    functional_with_lists: {"a": [0], "b": range(4)},
    nested_two_deep: {"inner/a": [1], "inner/innermost/a": [0, 2]},
    base_and_head: {"a": [3]},
    sequential_of_models: {"inner/a": [2], "b": []},
    shared_layer_called_twice: {"a": [0]},
    shared_model_called_twice: {"a": [1, 2]},
    shared_by_inner_and_outer_model: {"a": [1], "b": [0]},
    operations_between_layers: {"a": [1]},
    custom_class: {"a": [1]},
    with_a_wired_model_inside: {"a": [1]},
    of_intermediate_tensors: {"b": [1]},
    wrappers_and_mixed_precision: {"a": [1]},
    four_deep: {"second/a": [2], "second/third/a": [0, 1], "deep": [1]},
    inner_models_with_several_inputs_and_outputs: {"a": [1], "inner/c": [0]},
    convolutions_of_every_kind: {"a": [0], "signal": [4, 1], "volume": [2]},
    layers_of_the_user_around_convolutions: {"a": [2], "b": [0]},
    an_activation_that_two_layers_share: {"a": [1], "b": [0]},
}
# The configuration of these tells the size of the adapted batch, or functions by address.
MODELS_WITHOUT_CONFIG = {
    adapted_normalization: {"a": [1]},
    adapted_preprocessing: {"a": [1]},
    lambda_layers: {"a": [1]},
    functions_of_the_user: {"a": [1]},
    layers_of_the_user_with_functions: {"a": [1]},
}


def all_layers(model):
    return named_layers(model).items()


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


def randomize(model, seed=0):
    """Other weights than the initial ones; variances stay positive."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        if "variance" in w.path:
            w.assign(rng.uniform(0.5, 2, w.shape))
        elif w.dtype.startswith("float") and "normalization/mean" not in w.path:
            w.assign(rng.normal(0, 0.3, w.shape))
    for _, layer in all_layers(model):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()


def make(build):
    keras.utils.set_random_seed(0)
    model = build()
    randomize(model)
    return model


def make_inputs(model, batch=2, scale=1.0):
    rng = np.random.default_rng(1)
    return keras.tree.map_structure(
        lambda x: (scale * rng.normal(size=(batch, *x.shape[1:]))).astype("float32"),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )


def predictions(model, inputs):
    outputs = keras.tree.flatten(model(inputs, training=False))
    return [keras.ops.convert_to_numpy(x) for x in outputs]


def assert_same_predictions(model, other, inputs):
    for ours, theirs in zip(predictions(model, inputs), predictions(other, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


def frozen_slices(model):
    """Bytes of everything that is not to be trained."""
    kept = {}
    for path, layer in all_layers(model):
        if isinstance(layer, PartiallyTrainable):
            frozen = [i for i in range(layer.filters) if i not in layer.trainable_filters]
            parts = [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]
            kept[path] = [keras.ops.convert_to_numpy(part)[..., frozen].tobytes() for part in parts]
        elif not isinstance(layer, keras.Model):
            kept[path] = [w.numpy().tobytes() for w in layer.weights]
    return kept
