"""Whatever the network: the merge is the inverse, and what is frozen stays."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import kerasft


@st.composite
def networks(draw):
    """Layers of a small network as arguments, and filters to train in some of them."""
    stack, selection = [], {}
    channels = draw(st.sampled_from([1, 2]))
    for number in range(draw(st.integers(1, 3))):
        groups = draw(st.sampled_from([n for n in (1, 2, 3) if channels % n == 0]))
        filters = groups * draw(st.integers(1, 3))
        stack.append(
            {
                "filters": filters,
                "groups": groups,
                "kernel_size": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
                "strides": draw(st.sampled_from([1, 2])),
                "padding": "same",
                "use_bias": draw(st.booleans()),
                "bias_initializer": "random_normal",
                "activation": draw(st.sampled_from([None, "tanh", "elu"])),
                "name": f"conv{number}",
            }
        )
        chosen = draw(st.sets(st.integers(0, filters - 1), min_size=number == 0))
        if chosen or draw(st.booleans()):
            selection[f"conv{number}"] = list(chosen)
        channels = filters
    return stack, selection, draw(st.booleans())


def build(stack, normalized):
    channels = stack[0]["groups"] * (2 if stack[0]["groups"] == 1 else 1)
    x = image = keras.Input((5, 4, channels))
    for arguments in stack:
        x = keras.layers.Conv2D(**arguments)(x)
        if normalized:
            x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, x)


def frozen_bytes(partial, selection):
    kept = []
    for layer in partial.layers:
        parts = layer.get_weights()
        if isinstance(layer, kerasft.PartiallyTrainableConv2D):
            chosen = selection[layer.name]
            whole = [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]
            parts = [np.delete(part.numpy(), chosen, axis=-1) for part in whole]
        kept.append([part.tobytes() for part in parts])
    return kept


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(networks())
def test_merge_is_the_inverse_and_frozen_bytes_never_move(network):
    stack, selection, normalized = network
    model = build(stack, normalized)
    partial = kerasft.make_partially_trainable(model, selection)
    merged = kerasft.merge(partial)
    assert merged.get_config() == model.get_config()
    assert [w.tobytes() for w in merged.get_weights()] == [w.tobytes() for w in model.get_weights()]

    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(partial(images), model(images), atol=1e-6)
    before = frozen_bytes(partial, selection)
    partial.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "mse", run_eagerly=True)
    for _ in range(2):
        partial.train_on_batch(images, rng.normal(size=(2, *partial.output_shape[1:])))
    assert frozen_bytes(partial, selection) == before
