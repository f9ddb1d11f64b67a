"""Layers are found by path, or by bare name while that is unique."""

import re

import keras
import pytest

from kerasft.layer_lookup import find_convolution, find_layer, named_layers, short_name


@pytest.fixture(scope="module")
def layers():
    shared = keras.layers.Conv2D(2, 1, name="shared")
    innermost = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(2, 1, name="edges"),
            keras.layers.Conv2D(2, 1, name="deep"),
        ],
        name="innermost",
    )
    inputs = keras.Input((4, 4, 2))
    x = innermost(keras.layers.Conv2D(2, 1, name="edges")(inputs))
    inner = keras.Model(inputs, keras.layers.Conv2D(2, 1, name="conv")(shared(x)), name="inner")
    image = keras.Input((4, 4, 2), name="image")
    x = shared(keras.layers.Conv2D(2, 1, name="conv")(shared(image)))
    outputs = keras.layers.Dense(1, name="head")(inner(innermost(x)))
    return named_layers(keras.Model(image, outputs))


def test_every_layer_stands_once_under_its_first_path(layers):
    convolutions = [p for p, layer in layers.items() if isinstance(layer, keras.layers.Conv2D)]
    assert sorted(convolutions) == sorted(
        ["shared", "conv", "innermost/edges", "innermost/deep", "inner/edges", "inner/conv"]
    )
    assert len({id(layer) for layer in layers.values()}) == len(layers)
    assert all(path.rpartition("/")[2] == layer.name for path, layer in layers.items())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("shared", "shared"),
        ("deep", "innermost/deep"),
        ("inner/edges", "inner/edges"),
        ("innermost/edges", "innermost/edges"),
        ("inner/conv", "inner/conv"),
        # The layer of the model itself has no other name.
        ("conv", "conv"),
        ("head", "head"),
    ],
)
def test_a_path_or_a_unique_name_finds_the_layer(layers, name, path):
    assert find_layer(name, layers) == path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("innermost/deep", "deep"),
        ("innermost/edges", "innermost/edges"),
        ("inner/conv", "inner/conv"),
        ("conv", "conv"),
        ("shared", "shared"),
    ],
)
def test_the_short_name_of_a_layer_finds_it(layers, path, name):
    assert short_name(path, layers) == name
    assert find_layer(name, layers) == path


def test_an_ambiguous_name_is_refused_with_its_candidates(layers):
    with pytest.raises(ValueError, match=r"^Expected the name of one layer\. Received: ") as caught:
        find_layer("edges", layers)
    assert "inner/edges" in str(caught.value)
    assert "innermost/edges" in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "inner/missing", "deep/", "", 3, None])
def test_an_unknown_name_is_refused_with_the_convolutions(layers, name):
    message = rf"^Expected the name of a layer in the model\. Received: {name!r}\. "
    with pytest.raises(ValueError, match=message) as caught:
        find_layer(name, layers)
    for known in ("shared", "deep", "inner/edges", "innermost/edges"):
        assert repr(known) in str(caught.value)
    assert "head" not in str(caught.value)


@pytest.mark.parametrize("find", [find_layer, find_convolution])
@pytest.mark.parametrize("names", [["conv"], ("conv",), {"conv": [0]}])
def test_a_list_is_no_name(layers, find, names):
    message = rf"^Expected the name of a layer\. Received: {re.escape(repr(names))}\.$"
    with pytest.raises(TypeError, match=message):
        find(names, layers)


@pytest.mark.parametrize(
    ("name", "kind"), [("head", "Dense"), ("inner", "Functional"), ("image", "InputLayer")]
)
def test_a_layer_of_another_kind_is_no_convolution(layers, name, kind):
    message = rf"^Expected a Conv2D or another convolution layer\. Received: '{name}', a {kind}\.$"
    with pytest.raises(ValueError, match=message):
        find_convolution(name, layers)


def test_a_convolution_is_found(layers):
    assert find_convolution("deep", layers) == "innermost/deep"


class Block(keras.layers.Layer):
    """Holds a convolution inside, and one that it wraps."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.inside = keras.layers.Conv2D(2, 1, name="inside")
        self.wrapped = keras.layers.TimeDistributed(keras.layers.Conv1D(2, 1, name="deeper"))

    def build(self, input_shape):
        self.inside.build(input_shape)
        self.wrapped.build(input_shape)

    def call(self, inputs):
        return self.inside(self.wrapped(inputs))


@pytest.mark.parametrize("name", ["inside", "block/inside", "deeper"])
def test_a_layer_inside_one_that_is_no_model_is_refused_with_the_way_out(name):
    model = keras.Sequential([keras.Input((4, 4, 2)), Block(name="block")])
    message = rf"'{name}', inside 'block' of class Block, which is no model; make .*keras\.Model"
    with pytest.raises(ValueError, match=f"^Expected the name of a layer .* Received: {message}"):
        find_layer(name, named_layers(model))


def test_convolutions_of_every_kind_are_found_and_shown():
    kinds = {
        "plain": keras.layers.Conv2D(2, 1, name="plain"),
        "depthwise": keras.layers.DepthwiseConv2D(1, name="depthwise"),
        "separable": keras.layers.SeparableConv2D(2, 1, name="separable"),
        "transposed": keras.layers.Conv2DTranspose(2, 1, name="transposed"),
        "flat": keras.layers.Reshape((16, 2), name="flat"),
        "signal": keras.layers.Conv1D(2, 1, name="signal"),
    }
    layers = named_layers(keras.Sequential([keras.Input((4, 4, 2)), *kinds.values()]))
    convolutions = [name for name in kinds if name != "flat"]
    assert [find_convolution(name, layers) for name in convolutions] == convolutions
    with pytest.raises(
        ValueError, match=r"Its Conv2D layers are \['plain'\], its other "
    ) as caught:
        find_layer("missing", layers)
    assert str(caught.value).endswith("['depthwise', 'separable', 'transposed', 'signal'].")
