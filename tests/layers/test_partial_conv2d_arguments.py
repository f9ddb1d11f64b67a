"""Arguments, attributes, conversion and refusals of PartiallyTrainableConv2D."""

import json

import keras
import numpy as np
import pytest

from kerasft import PartiallyTrainableConv2D


def shapes(weights):
    return [tuple(weight.shape) for weight in weights]


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def same_bytes(*tensors):
    return len({numpy(tensor).tobytes() for tensor in tensors}) == 1


def double(x):
    return 2 * x


class Ball(keras.constraints.Constraint):
    def __call__(self, w):
        return w


@pytest.mark.parametrize(
    ("filters", "trainable", "frozen"),
    [
        ([3, 1], [(2, 3, 4, 2), (2,)], [(2, 3, 4, 4), (4,)]),
        ([], [], [(2, 3, 4, 6), (6,)]),
        (range(6), [(2, 3, 4, 6), (6,)], []),
    ],
)
def test_weights_are_split_by_filter(filters, trainable, frozen):
    layer = PartiallyTrainableConv2D(6, (2, 3), filters, groups=2)
    layer.build((None, 5, 5, 8))
    assert layer.trainable_filters == tuple(sorted(filters))
    assert shapes(layer.trainable_weights) == trainable
    assert shapes(layer.non_trainable_weights) == frozen
    assert shapes([layer.kernel, layer.bias]) == [(2, 3, 4, 6), (6,)]


@pytest.mark.parametrize(
    "filters", [{4, 2}, np.array([4, 2], "int64"), (i for i in (4, 2)), (2, 4)]
)
def test_filters_may_come_in_any_iterable(filters):
    layer = PartiallyTrainableConv2D(6, 3, filters)
    assert layer.trainable_filters == (2, 4)
    assert all(type(index) is int for index in layer.trainable_filters)


@pytest.mark.parametrize(
    "initializer",
    [keras.initializers.HeNormal(seed=3), keras.initializers.Orthogonal(seed=3), "ones"],
)
def test_a_seed_gives_every_filter_the_values_it_has_in_conv2d(initializer):
    arguments = {"kernel_initializer": initializer, "bias_initializer": "random_normal"}
    conv = keras.layers.Conv2D(6, 3, **arguments)
    layer = PartiallyTrainableConv2D(6, 3, [4, 1], **arguments)
    for each in (conv, layer):
        each.build((None, 5, 5, 2))
    assert same_bytes(conv.kernel, layer.kernel)


def test_no_initializer_means_the_default_one():
    layer = PartiallyTrainableConv2D(6, 3, [1], kernel_initializer=None, bias_initializer=None)
    layer.build((None, 5, 5, 2))
    assert numpy(layer.kernel).std() > 0


def test_without_bias_there_is_none():
    layer = PartiallyTrainableConv2D(6, 3, [1], use_bias=False)
    layer.build((None, 5, 5, 2))
    assert layer.bias is None
    assert shapes(layer.weights) == [(3, 3, 2, 1), (3, 3, 2, 5)]


@pytest.mark.parametrize("attribute", ["kernel", "bias"])
def test_weights_of_a_layer_that_is_not_built_are_refused(attribute):
    # On PyTorch, where a layer is a `torch.nn.Module`, that puts its own words in their place.
    message = attribute if keras.backend.backend() == "torch" else "build the layer"
    with pytest.raises(AttributeError, match=message):
        getattr(PartiallyTrainableConv2D(6, 3, [1]), attribute)


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ([6], ValueError, r"Expected filter indices from 0 to 5\. Received: 6\."),
        ([-1], ValueError, r"Expected filter indices from 0 to 5\. Received: -1\."),
        ([1, 2, 1], ValueError, r"Expected each filter index once\. Received: 1 more than once\."),
        ([1.0], TypeError, r"Expected filter indices as integers\. Received: 1\.0\."),
        ([True], TypeError, r"Expected filter indices as integers\. Received: True\."),
        ("12", TypeError, r"Expected filter indices as integers\. Received: '1'\."),
        ([None], TypeError, r"Expected filter indices as integers\. Received: None\."),
        (3, TypeError, r"Expected filter indices as a list of integers\. Received: 3\."),
    ],
)
def test_bad_filters_are_refused(filters, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        PartiallyTrainableConv2D(6, 3, filters)
    conv = keras.layers.Conv2D(6, 3)
    with pytest.raises(error, match=f"^{message}$"):
        PartiallyTrainableConv2D.from_conv2d(conv, filters)


def test_lora_is_refused():
    with pytest.raises(ValueError, match=r"Expected .* without LoRA\. Received: lora_rank=2"):
        PartiallyTrainableConv2D(6, 3, [1], lora_rank=2)
    layer = PartiallyTrainableConv2D(6, 3, [1])
    layer.build((None, 5, 5, 2))
    with pytest.raises(ValueError, match=r"Expected a plain Conv2D .* Received: .*merge"):
        layer.enable_lora(2)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"groups": 2}, (None, 5, 5, 3)),
        ({}, (None, 5, 5, None)),
        ({"data_format": "channels_first"}, (None, None, 5, 5)),
    ],
)
def test_channels_that_do_not_fit_are_refused(arguments, shape):
    with pytest.raises(ValueError, match=r"Expected a defined number of input channels.*Received"):
        PartiallyTrainableConv2D(6, 3, [1], **arguments).build(shape)


@pytest.mark.parametrize(("filters", "arguments"), [([], {}), ([2], {"strides": 2}), ([0, 5], {})])
def test_output_shape_is_that_of_conv2d(filters, arguments):
    conv = keras.layers.Conv2D(6, 3, **arguments)
    layer = PartiallyTrainableConv2D(6, 3, filters, **arguments)
    shape = (None, 9, 8, 2)
    assert layer.compute_output_shape(shape) == conv.compute_output_shape(shape)
    assert layer(keras.Input(shape[1:])).shape == conv(keras.Input(shape[1:])).shape


CONVERSIONS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "every argument": {
        "strides": (2, 1),
        "padding": "same",
        "groups": 2,
        "activation": "relu",
        "kernel_initializer": "he_normal",
        "bias_initializer": keras.initializers.Constant(0.3),
        "kernel_regularizer": keras.regularizers.L1L2(0.1, 0.2),
        "bias_regularizer": "l2",
        "activity_regularizer": "l1",
        "kernel_constraint": keras.constraints.MaxNorm(2.0),
        "bias_constraint": "non_neg",
    },
    "dilation": {"dilation_rate": 2},
    "channels first": {"data_format": "channels_first"},
    "mixed_float16": {"dtype": "mixed_float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "float64": pytest.param(
        {"dtype": "float64"}, marks=pytest.mark.not_on("jax", "float64 is off")
    ),
    "layer as activation": {"activation": keras.layers.LeakyReLU(0.3)},
    "frozen": {"trainable": False},
}


@pytest.mark.parametrize("arguments", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("filters", [(), (4, 1), range(6)], ids=["none", "some", "all"])
def test_there_and_back_keeps_configuration_and_weights(arguments, filters):
    conv = keras.layers.Conv2D(6, 3, name="edges", **arguments)
    conv.build((None, 8, 8, 8))
    conv.set_weights(
        [np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(conv.weights)]
    )
    weights = [w.tobytes() for w in conv.get_weights()]
    layer = PartiallyTrainableConv2D.from_conv2d(conv, filters)
    assert layer.name == "edges"
    assert layer.dtype_policy == conv.dtype_policy
    assert same_bytes(layer.kernel, conv.kernel)
    assert layer.bias is None if conv.bias is None else same_bytes(layer.bias, conv.bias)
    back = layer.to_conv2d()
    assert type(back) is keras.layers.Conv2D
    assert back.get_config() == conv.get_config()
    assert back.get_build_config() == conv.get_build_config()
    assert [w.tobytes() for w in back.get_weights()] == weights
    assert [w.dtype for w in back.weights] == [w.dtype for w in conv.weights]
    assert [w.tobytes() for w in conv.get_weights()] == weights


@pytest.mark.parametrize(
    "arguments",
    [
        {"activation": double},
        {"activation": lambda x: 3 * x},
        {"kernel_constraint": Ball()},
        {"kernel_initializer": lambda shape, dtype: keras.ops.ones(shape, dtype)},
    ],
    ids=["function", "lambda", "constraint", "initializer"],
)
def test_there_and_back_keeps_objects_that_keras_does_not_know_by_name(arguments):
    conv = keras.layers.Conv2D(6, 3, **arguments)
    conv.build((None, 5, 5, 2))
    layer = PartiallyTrainableConv2D.from_conv2d(conv, [1])
    for copy in (layer, layer.to_conv2d()):
        assert all(getattr(copy, key) is value for key, value in arguments.items())


def test_a_layer_that_is_not_built_gives_one_that_is_not_built():
    layer = PartiallyTrainableConv2D.from_conv2d(keras.layers.Conv2D(6, 3), [1])
    assert not layer.built
    assert not layer.to_conv2d().built


class Subclass(keras.layers.Conv2D):
    pass


@pytest.mark.parametrize(
    "layer",
    [
        Subclass(6, 3),
        keras.layers.Dense(6),
        keras.layers.DepthwiseConv2D(3),
        PartiallyTrainableConv2D(6, 3, [1]),
        None,
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_from_conv2d_refuses_other_layers(layer):
    name = type(layer).__name__
    with pytest.raises(TypeError, match=rf"^Expected a keras\.layers\.Conv2D\. Received: .*{name}"):
        PartiallyTrainableConv2D.from_conv2d(layer, [1])


def test_from_conv2d_refuses_lora():
    conv = keras.layers.Conv2D(6, 3)
    conv.build((None, 5, 5, 2))
    conv.enable_lora(2)
    with pytest.raises(ValueError, match=r"Expected a Conv2D without LoRA .*Received"):
        PartiallyTrainableConv2D.from_conv2d(conv, [1])


def test_configuration_is_plain_json_and_makes_the_same_layer():
    layer = PartiallyTrainableConv2D(
        6, 3, np.array([4, 1]), activation="relu", kernel_regularizer="l2", name="edges"
    )
    config = json.loads(json.dumps(layer.get_config()))
    assert config["trainable_filters"] == [1, 4]
    same = PartiallyTrainableConv2D.from_config(config)
    assert same.get_config() == layer.get_config()
    assert same.trainable_filters == (1, 4)


def test_keras_finds_the_layer_by_its_registered_name():
    layer = PartiallyTrainableConv2D(6, 3, [4, 1])
    described = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert described["registered_name"] == "kerasft>PartiallyTrainableConv2D"
    same = keras.saving.deserialize_keras_object(described)
    assert type(same) is PartiallyTrainableConv2D
    assert same.get_config() == layer.get_config()
