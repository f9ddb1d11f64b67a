"""Whatever the network: the merge is the inverse, and what is frozen stays."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, optimizers
from surgery_models import assert_same_predictions, frozen_slices, make_inputs, randomize, weights

import kerasft
from kerasft.layer_lookup import named_layers

# All of them with weight decay, which would move whatever it reaches.
OPTIMIZERS = {
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "AdamW": lambda: optimizers.AdamW(0.05, weight_decay=0.3),
    "EMA": lambda: optimizers.SGD(
        0.05, weight_decay=0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=1
    ),
    "clipnorm": lambda: optimizers.AdamW(0.05, weight_decay=0.3, clipnorm=0.01),
    "global clipnorm": lambda: optimizers.SGD(0.05, weight_decay=0.1, global_clipnorm=0.01),
    "clipvalue": lambda: optimizers.RMSprop(0.05, momentum=0.9, weight_decay=0.1, clipvalue=0.01),
}


@st.composite
def convolutions(draw, channels, filters=None):
    """Arguments of a convolution; with `filters` given, one that keeps the size."""
    groups = draw(st.sampled_from([n for n in (1, 2, 3) if channels % n == 0]))
    if filters is not None and filters % groups:
        groups = 1
    step = {} if filters is not None else draw(st.sampled_from([{}, {}, {"strides": 2}]))
    if not step and draw(st.booleans()):
        step = {"dilation_rate": draw(st.sampled_from([2, (1, 2)]))}
    return {
        "filters": filters or groups * draw(st.integers(1, 3)),
        "kernel_size": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "groups": groups,
        "padding": "same",
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "tanh", "elu"])),
        **step,
    }


@st.composite
def networks(draw, channels, depth=0):
    """A list of blocks, each `(kind, content)`, and the number of channels at its end."""
    blocks = []
    for number in range(draw(st.integers(1, 3))):
        kinds = ["conv", "conv", "skip", "twice"] + ["nested"] * (depth < 2)
        # So that each has something to be tuned.
        kind = "conv" if number == 0 and depth == 0 else draw(st.sampled_from(kinds))
        if kind == "conv":
            content = draw(convolutions(channels))
            channels = content["filters"]
        elif kind == "nested":
            content, channels = draw(networks(channels, depth + 1))
        else:
            content = draw(convolutions(channels, channels))
        blocks.append((kind, content))
        if draw(st.booleans()):
            blocks.append((draw(st.sampled_from(["norm", "leaky"])), None))
    return blocks, channels


PLAIN = {"norm": layers.BatchNormalization, "leaky": lambda: layers.LeakyReLU(0.3)}


def build(blocks, image, name=None):
    """A Sequential model where that is possible, else a Functional one.

    Layers have the same names in every model, so that it takes paths to tell them apart.
    """
    inputs, outputs, stack = image, image, []
    for number, (kind, content) in enumerate(blocks):
        if kind == "nested":
            layer = build(content, keras.Input(outputs.shape[1:]), name=f"model{number}")
        elif kind in PLAIN:
            layer = PLAIN[kind]()
        else:
            layer = layers.Conv2D(name=f"conv{number}", bias_initializer="random_normal", **content)
        if kind == "skip":
            outputs = layers.Add()([outputs, layer(outputs)])
        elif kind == "twice":
            outputs = layer(layers.ReLU()(layer(outputs)))
        else:
            outputs = layer(outputs)
            stack.append(layer)
    if len(stack) == len(blocks):
        return keras.Sequential([keras.Input(image.shape[1:]), *stack], name=name)
    return keras.Model(inputs, outputs, name=name)


@settings(max_examples=20)
@given(data=st.data())
def test_merge_is_the_inverse_and_frozen_bytes_never_move(data):
    blocks, _ = data.draw(networks(channels=2), label="blocks")
    keras.utils.set_random_seed(0)
    model = build(blocks, keras.Input((5, 4, 2)))
    randomize(model)
    convs = {p: x for p, x in named_layers(model).items() if isinstance(x, layers.Conv2D)}
    selection = {}
    for number, (path, conv) in enumerate(convs.items()):
        filters = st.sets(st.integers(0, conv.filters - 1), min_size=number == 0)
        if number == 0 or data.draw(st.booleans(), label=f"{path} is selected"):
            selection[path] = list(data.draw(filters, label=path))
    optimizer = data.draw(st.sampled_from(sorted(OPTIMIZERS)), label="optimizer")

    partial = kerasft.make_partially_trainable(model, selection)
    merged = kerasft.merge(partial)
    assert type(merged) is type(model)
    assert merged.get_config() == model.get_config()
    assert weights(merged) == weights(model)
    images = make_inputs(model)
    assert_same_predictions(partial, model, images)
    chosen = {path: filters for path, filters in selection.items() if filters}
    assert len(partial.trainable_weights) == sum(1 + convs[path].use_bias for path in chosen)

    before, trained = frozen_slices(partial), [w.numpy() for w in partial.trainable_weights]
    partial.compile(OPTIMIZERS[optimizer](), "mse", run_eagerly=True)
    for _ in range(2):
        partial.train_on_batch(images, np.ones((2, *partial.output_shape[1:])))
    assert frozen_slices(partial) == before
    for old, new in zip(trained, partial.trainable_weights, strict=True):
        assert (old != new.numpy()).any()
