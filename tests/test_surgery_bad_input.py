"""What cannot be converted or merged is refused in one sentence, and nothing changes."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery_models import predictions

import kerasft


class Subclass(layers.Conv2D):
    pass


class Wired(keras.Model):
    def __init__(self, inner=layers.Conv2D, **arguments):
        super().__init__(**arguments)
        self.inner = inner(3, 1, name="wired_inner")

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {"name": self.name}


class Forgetful(layers.Layer):
    """Has no get_config."""

    def __init__(self, table):
        super().__init__(name="forgetful")
        self.table = table

    def call(self, inputs):
        return inputs


def block(name):
    return keras.Sequential([keras.Input((6, 6, 3)), layers.Conv2D(3, 1, name="twin")], name=name)


@pytest.fixture(scope="module")
def model():
    image = keras.Input((6, 6, 3), name="image")
    x = block("left")(block("right")(Wired(name="wired")(image)))
    x = layers.Conv2D(6, 3, name="conv")(x)
    x = layers.DepthwiseConv2D(1, name="depthwise")(x)
    x = Subclass(2, 1, name="subclass")(x)
    lora = layers.Conv2D(2, 1, name="lora")
    x = lora(x)
    lora.enable_lora(1)
    x = layers.TimeDistributed(layers.Conv1D(2, 1), name="wrapper")(x)
    return keras.Model(image, layers.Dense(2, name="head")(x), name="source")


def assert_is_one_clear_message(error):
    message = str(error)
    assert message.count("Expected") == message.count("Received") == 1
    assert message.index("Expected") < message.index("Received")
    assert "\n" not in message
    assert len(message) < 300


NAMES_OF_CONVOLUTIONS = r"\['wired_inner', 'right/twin', 'left/twin', 'conv', 'subclass', 'lora'\]"
SELECTIONS = {
    "unknown": (
        {"cnv": [0]},
        rf"a layer in the model\. Received: 'cnv'\. .*{NAMES_OF_CONVOLUTIONS}",
    ),
    "not a name": ({3: [0]}, r"a layer in the model\. Received: 3\."),
    "ambiguous": ({"twin": [0]}, r"one layer\. Received: 'twin'.*\['right/twin', 'left/twin'\]"),
    "Dense": ({"head": [0]}, r"Expected a Conv1D, Conv2D or .* Received: 'head', a Dense\.$"),
    "model": ({"left": [0]}, r"Expected a Conv1D, Conv2D or .* Received: 'left', a Sequential\.$"),
    "wrapper": ({"wrapper": [0]}, r"Received: 'wrapper', a TimeDistributed"),
    "subclass": (
        {"subclass": [0]},
        r"plain Conv2D .*Received: 'subclass' of class Subclass, .*trainable=\['subclass'\]",
    ),
    "LoRA": ({"lora": [0]}, r"'lora' cannot.*without LoRA.*Received: layer 'lora'.*plain model"),
    "inside a wired model": (
        {"wired_inner": [0]},
        r"Received: \['wired/wired_inner'\], inside 'wired' of class Wired, .*keras\.Model\(inp",
    ),
    "too large": ({"conv": [1, 6]}, r"'conv' cannot.*indices from 0 to 5\. Received: 6"),
    "negative": ({"conv": [-1]}, r"'conv' cannot.*indices from 0 to 5\. Received: -1"),
    "repeated": ({"conv": [1, 1]}, r"'conv' cannot.*index once\. Received: 1 more than once"),
    "float": ({"conv": [1.0]}, r"'conv' cannot.*as integers\. Received: 1\.0"),
    "numpy float": ({"conv": np.array([0.5])}, r"'conv' cannot.*as integers\. Received: .*0\.5"),
    "bool": ({"conv": [True]}, r"'conv' cannot.*as integers\. Received: True"),
    "mask": ({"conv": np.ones(6, bool)}, r"'conv' cannot.*as integers\. Received: .*True"),
    "text": ({"conv": "0"}, r"'conv' cannot.*as integers\. Received: '0'"),
    "number": ({"conv": 1}, r"'conv' cannot.*as a list of integers\. Received: 1"),
    "nothing": ({"conv": None}, r"'conv' cannot.*as a list of integers\. Received: None"),
    "empty": ({}, r"at least one filter\. Received: none"),
    "no filter": ({"conv": []}, r"at least one filter\. Received: none"),
}


@pytest.mark.parametrize(("selection", "message"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_that_does_not_fit_is_refused(model, selection, message):
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(ValueError, match=message) as caught:
        kerasft.make_partially_trainable(model, selection)
    assert_is_one_clear_message(caught.value)
    assert [w.tobytes() for w in model.get_weights()] == before
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize("selection", [None, [("conv", [0])], "conv", ["conv"], 3])
def test_a_selection_that_is_no_mapping_is_refused(model, selection):
    with pytest.raises(
        TypeError, match=r"^Expected selection as a mapping .* Received: "
    ) as caught:
        kerasft.make_partially_trainable(model, selection)
    assert_is_one_clear_message(caught.value)


def test_a_layer_named_twice_is_refused():
    inner = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(3, 1, name="only")], name="inner"
    )
    model = keras.Sequential([keras.Input((6, 6, 3)), inner])
    with pytest.raises(ValueError, match=r"each layer once .*Received: 'inner/only'") as caught:
        kerasft.make_partially_trainable(model, {"only": [0], "inner/only": [1]})
    assert_is_one_clear_message(caught.value)


@pytest.mark.parametrize(
    ("trainable", "error", "message"),
    [
        (["hed"], ValueError, r"a layer in the model\. Received: 'hed'"),
        (["twin"], ValueError, r"one layer\. Received: 'twin'"),
        (["wired_inner"], ValueError, r"Received: 'wired_inner'.*name that model as a whole"),
        (["head", "conv"], ValueError, r"in selection or in trainable\. Received: 'conv' in both"),
        ("head", TypeError, r"trainable as a list of layer names\. Received: 'head'"),
        (None, TypeError, r"trainable as a list of layer names\. Received: None"),
        ([["head"]], TypeError, r"^Expected the name of a layer\. Received: \['head'\]\.$"),
    ],
)
def test_names_in_trainable_that_do_not_fit_are_refused(model, trainable, error, message):
    with pytest.raises(error, match=message) as caught:
        kerasft.make_partially_trainable(model, {"conv": [0]}, trainable=trainable)
    assert_is_one_clear_message(caught.value)


def test_a_model_that_is_partially_trainable_already_is_refused(model):
    partial = kerasft.make_partially_trainable(model, {"conv": [0]})
    with pytest.raises(ValueError, match=r"Received: 'conv', .* kerasft\.merge") as caught:
        kerasft.make_partially_trainable(partial, {"conv": [1]})
    assert_is_one_clear_message(caught.value)


def called(model):
    model(np.zeros((1, 6, 6, 3)))
    return model


NO_MODELS = {
    "nothing": (lambda: None, TypeError, r"^Expected a keras\.Model\. Received: NoneType"),
    "layer": (lambda: layers.Dense(1), TypeError, r"^Expected a keras\.Model\. Received: Dense"),
    "not built": (
        lambda: keras.Sequential([layers.Conv2D(2, 3, name="conv")]),
        ValueError,
        r"^Expected a built model\. Received: 'sequential.*Input layer",
    ),
    "wired, not built": (Wired, ValueError, r"^Expected a built model\. Received: 'wired"),
    "wired": (
        lambda: called(Wired()),
        ValueError,
        r"^Expected .* Received: .*(of class Wired|another kind)",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_built_model_of_keras_wiring_is_refused(make, error, message):
    with pytest.raises(error, match=message) as caught:
        kerasft.make_partially_trainable(make(), {"wired_inner": [0]})
    assert_is_one_clear_message(caught.value)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        *NO_MODELS.values(),
        (
            lambda: block("plain"),
            ValueError,
            r"^Expected a model with PartiallyTrainableConv2D.*Received: 'plain'",
        ),
    ],
    ids=[*NO_MODELS, "plain"],
)
def test_what_cannot_be_merged_is_refused(make, error, message):
    if "another kind" in message:
        message = r"^Expected a model with PartiallyTrainableConv2D.*Received: 'wired"
    with pytest.raises(error, match=message) as caught:
        kerasft.merge(make())
    assert_is_one_clear_message(caught.value)


def test_partial_layers_inside_a_wired_model_cannot_be_merged():
    wired = Wired(kerasft.PartiallyTrainableConv2D, name="wired")
    image = keras.Input((6, 6, 3))
    with pytest.raises(ValueError, match=r"Received: \['wired/wired_inner'\]") as caught:
        kerasft.merge(keras.Model(image, wired(image)))
    assert_is_one_clear_message(caught.value)


@pytest.mark.parametrize("beside", [True, False])
def test_partial_layers_inside_a_wrapper_are_refused(beside):
    def partial(name):
        return kerasft.PartiallyTrainableConv2D(3, 3, trainable_filters=[0], name=name)

    stack = [layers.TimeDistributed(partial("inside"), name="wrapper"), layers.Reshape((8, 4, 3))]
    stack += [layers.Conv2D(2, 1, name="plain"), *([partial("beside")] if beside else [])]
    hidden = keras.Sequential([keras.Input((2, 6, 6, 3)), *stack])
    message = (
        r"^Expected PartiallyTrainableConv2D layers .* Received: 'inside' inside 'wrapper' "
        r"of class TimeDistributed, .* to_conv\(\)"
    )
    for act in (kerasft.merge, lambda x: kerasft.make_partially_trainable(x, {"plain": [0]})):
        with pytest.raises(ValueError, match=message) as caught:
            act(hidden)
        assert_is_one_clear_message(caught.value)


def test_a_layer_that_cannot_be_copied_is_named():
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="conv")(Forgetful(object())(image)))
    with pytest.raises(
        ValueError, match=r"^Expected layers that .* Received: 'forgetful' of class"
    ):
        kerasft.make_partially_trainable(model, {"conv": [0]})


def test_a_model_wired_in_code_is_converted_by_the_way_out():
    wired, image = called(Wired()), keras.Input((6, 6, 3))
    message = r"^Expected a Functional .*'wired.*make it keras\.Model\(inputs, model\.call\(inputs"
    with pytest.raises(ValueError, match=message) as caught:
        kerasft.make_partially_trainable(wired, {"wired_inner": [0]})
    assert_is_one_clear_message(caught.value)
    opened = keras.Model(image, wired.call(image))
    partial = kerasft.make_partially_trainable(opened, {"wired_inner": [0]})
    images = np.ones((1, 6, 6, 3), "float32")
    np.testing.assert_array_equal(predictions(partial, images), predictions(wired, images))


class Tied(layers.Layer):
    """Holds a layer that stands elsewhere too."""

    def __init__(self, inner=None):
        super().__init__(name="tied")
        self.inner = inner or layers.Dense(3, name="inner")

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {}


@pytest.mark.parametrize(
    ("wrap", "shared", "selected"),
    [
        (layers.TimeDistributed, lambda: layers.Dense(3, name="shared"), "other"),
        (Tied, lambda: layers.Conv2D(3, 1, name="shared"), "other"),
        (Tied, lambda: layers.Conv2D(3, 1, name="shared"), "shared"),
    ],
    ids=["wrapper", "layer of the user", "the layer that is selected"],
)
def test_a_layer_inside_another_and_beside_it_is_refused(wrap, shared, selected):
    shared, image = shared(), keras.Input((6, 6, 3))
    around = wrap(shared)
    x = around(shared(layers.Conv2D(3, 1, name="other")(image)))
    message = rf"one by one\. Received: 'shared' and '{around.name}', which share 'shared'"
    with pytest.raises(ValueError, match=message) as caught:
        kerasft.make_partially_trainable(keras.Model(image, x), {selected: [0]})
    assert_is_one_clear_message(caught.value)


@pytest.mark.parametrize("deep", [False, True])
def test_a_layer_that_moves_though_it_is_frozen_is_refused(deep):
    restless = layers.SpectralNormalization(layers.Conv2D(3, 1), name="restless")
    image = keras.Input((6, 6, 3))
    inner = keras.Model(image, restless(image), name="inner") if deep else restless
    model = keras.Model(image, layers.Conv2D(2, 1, name="conv")(inner(image)))
    path = "inner/restless" if deep else "restless"
    message = rf"^Expected layers that can be frozen\. Received: '{path}' .*trainable=\['{path}'\]"
    with pytest.raises(ValueError, match=message) as caught:
        kerasft.make_partially_trainable(model, {"conv": [0]})
    assert_is_one_clear_message(caught.value)
    for kept in {path, "restless", path.partition("/")[0]}:
        partial = kerasft.make_partially_trainable(model, {"conv": [0]}, trainable=[kept])
        # Kernel and bias of both.
        assert len(partial.trainable_weights) == 4
