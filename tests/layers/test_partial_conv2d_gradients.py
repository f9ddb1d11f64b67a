"""PartiallyTrainableConv2D computes what Conv2D computes, forwards and backwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from differentiation import MODES, differentiate

from kerasft import PartiallyTrainableConv2D

FILTERS = 6


def halved(x):
    return 0.5 * x * x


def over_channels_first(x):
    return keras.ops.softmax(x, axis=1)


CASES = {
    "plain": ([1, 4], {}),
    "unsorted filters": ([5, 0, 3], {}),
    "one filter": ([2], {}),
    "no filter": ([], {}),
    "all filters": (range(FILTERS), {}),
    "strides": ([1, 4], {"strides": 2}),
    "uneven strides and kernel": ([1, 4], {"strides": (2, 1), "kernel_size": (2, 3)}),
    "padding same": ([1, 4], {"padding": "same"}),
    "padding same and strides": ([0, 5], {"padding": "same", "strides": 2}),
    "dilation": ([1, 4], {"dilation_rate": 2}),
    "dilation and padding same": ([3, 4], {"dilation_rate": (1, 2), "padding": "same"}),
    "1x1 kernel": ([3], {"kernel_size": 1}),
    "no bias": ([1, 4], {"use_bias": False}),
    "no bias, no filter": ([], {"use_bias": False}),
    "groups": ([0, 4], {"groups": 2}),
    "groups, all filters of one": ([0, 1, 2], {"groups": 2}),
    "groups, unevenly spread": ([5, 0, 1], {"groups": 2, "padding": "same", "strides": 2}),
    "groups, no bias": ([1, 2, 3], {"groups": 2, "use_bias": False}),
    "groups of one channel": ([1, 4, 5], {"groups": 4, "filters": 8}),
    "channels first": ([1, 4], {"data_format": "channels_first"}),
    "channels first, groups": ([0, 1, 5], {"data_format": "channels_first", "groups": 2}),
    "channels first, no bias": ([2], {"data_format": "channels_first", "use_bias": False}),
    "channels first, softmax": (
        [1, 4],
        {"data_format": "channels_first", "activation": over_channels_first},
    ),
    "relu": ([1, 4], {"activation": "relu"}),
    "softmax over channels": ([1, 4], {"activation": "softmax"}),
    "activation of the user's": ([1, 4], {"activation": halved}),
    "lambda activation": ([1, 4], {"activation": lambda x: x * x}),
    "layer as activation": ([1, 4], {"activation": keras.layers.LeakyReLU(0.3)}),
}
table = pytest.mark.parametrize(("filters", "arguments"), CASES.values(), ids=CASES)


def make_pair(filters, arguments, channels=4, **more):
    """A Conv2D with random weights, its partially trainable copy and an input."""
    arguments = {"filters": FILTERS, "kernel_size": 3, **arguments, **more}
    conv = keras.layers.Conv2D(
        bias_initializer=keras.initializers.RandomNormal(seed=2), **arguments
    )
    inputs = np.random.default_rng(1).normal(size=(2, 6, 7, channels))
    if conv.data_format == "channels_first":
        inputs = np.moveaxis(inputs, -1, 1)
    inputs = keras.ops.convert_to_tensor(inputs, conv.compute_dtype)
    try:
        conv(inputs)
    except tf.errors.UnimplementedError as error:
        pytest.skip(f"TensorFlow has no such convolution on this device: {error.message[:80]}")
    return conv, PartiallyTrainableConv2D.from_conv2d(conv, filters), inputs


def assert_same_gradients(filters, expected, received, **tolerance):
    assert sorted(received) == (sorted(expected) if len(list(filters)) else [])
    for name, gradient in received.items():
        np.testing.assert_allclose(gradient, expected[name][..., sorted(filters)], **tolerance)


@table
@pytest.mark.parametrize("mode", MODES)
def test_output_and_gradients_are_those_of_conv2d(mode, filters, arguments):
    conv, layer, inputs = make_pair(filters, arguments)
    outputs, input_gradient, gradients = differentiate(conv, inputs)
    same_outputs, same_input_gradient, same_gradients = differentiate(layer, inputs, mode=mode)
    np.testing.assert_allclose(same_outputs, outputs, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(same_input_gradient, input_gradient, atol=1e-5, rtol=1e-5)
    assert_same_gradients(filters, gradients, same_gradients, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["plain", "groups, unevenly spread", "no bias", "no filter"])
def test_gradients_are_right_where_the_input_needs_none(mode, name):
    filters, arguments = CASES[name]
    conv, layer, inputs = make_pair(filters, arguments)
    _, _, gradients = differentiate(conv, inputs)
    _, _, same_gradients = differentiate(layer, inputs, mode=mode, watch=False)
    assert_same_gradients(filters, gradients, same_gradients, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_float16", 0.01), ("mixed_bfloat16", 0.06)]
)
@pytest.mark.parametrize("name", ["plain", "relu", "no bias"])
@pytest.mark.parametrize("mode", MODES)
def test_mixed_precision_gradients_are_those_of_conv2d(mode, name, policy, tolerance):
    filters, arguments = CASES[name]
    conv, layer, inputs = make_pair(filters, arguments, dtype=policy)
    outputs, input_gradient, gradients = differentiate(conv, inputs)
    same_outputs, same_input_gradient, same_gradients = differentiate(layer, inputs, mode=mode)
    assert same_outputs.dtype == outputs.dtype == layer.compute_dtype
    scale = {"atol": 10 * tolerance, "rtol": tolerance}
    np.testing.assert_allclose(same_outputs.astype(float), outputs.astype(float), **scale)
    np.testing.assert_allclose(
        same_input_gradient.astype(float), input_gradient.astype(float), **scale
    )
    assert all(gradient.dtype == "float32" for gradient in same_gradients.values())
    assert_same_gradients(filters, gradients, same_gradients, **scale)


def reference(inputs, kernel, bias, upstream, *, strides, padding, dilation_rate, groups):
    """Convolution, gradient for the input, for the kernel and for the bias, by loops."""
    size = kernel.shape[:2]
    extent = [(size[i] - 1) * dilation_rate[i] + 1 for i in range(2)]
    before = after = (0, 0)
    if padding == "same":
        missing = [
            max((-(-n // strides[i]) - 1) * strides[i] + extent[i] - n, 0)
            for i, n in enumerate(inputs.shape[1:3])
        ]
        before = [n // 2 for n in missing]
        after = [n - n // 2 for n in missing]
    padded = np.pad(inputs, [(0, 0), *zip(before, after, strict=True), (0, 0)])
    input_gradient = np.zeros_like(padded)
    outputs = np.zeros_like(upstream)
    kernel_gradient = np.zeros_like(kernel)
    per_group = kernel.shape[2]
    for row, column, filter_ in np.ndindex(*upstream.shape[1:]):
        top, left = row * strides[0], column * strides[1]
        first = filter_ // (kernel.shape[-1] // groups) * per_group
        patch = (
            slice(None),
            slice(top, top + extent[0], dilation_rate[0]),
            slice(left, left + extent[1], dilation_rate[1]),
            slice(first, first + per_group),
        )
        for image, pixel in enumerate(upstream[:, row, column, filter_]):
            window = padded[patch][image]
            outputs[image, row, column, filter_] = np.sum(window * kernel[..., filter_])
            kernel_gradient[..., filter_] += pixel * window
            input_gradient[patch][image] += pixel * kernel[..., filter_]
    height, width = inputs.shape[1:3]
    input_gradient = input_gradient[
        :, before[0] : before[0] + height, before[1] : before[1] + width
    ]
    return outputs + bias, input_gradient, kernel_gradient, upstream.sum(axis=(0, 1, 2))


@pytest.mark.not_on("jax", "float64 is off")
@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "one filter",
        "uneven strides and kernel",
        "padding same and strides",
        "dilation and padding same",
        "groups, unevenly spread",
    ],
)
def test_output_and_gradients_are_those_of_the_textbook(name):
    filters, arguments = CASES[name]
    conv, layer, inputs = make_pair(filters, arguments, dtype="float64")
    outputs, input_gradient, gradients = differentiate(layer, inputs)
    upstream = np.random.default_rng(3).normal(size=outputs.shape)
    expected = reference(
        *map(keras.ops.convert_to_numpy, (inputs, conv.kernel, conv.bias)),
        upstream,
        strides=conv.strides,
        padding=conv.padding,
        dilation_rate=conv.dilation_rate,
        groups=conv.groups,
    )
    np.testing.assert_allclose(outputs, expected[0], atol=1e-10)
    np.testing.assert_allclose(input_gradient, expected[1], atol=1e-10)
    chosen = sorted(filters)
    np.testing.assert_allclose(gradients["kernel"], expected[2][..., chosen], atol=1e-10)
    np.testing.assert_allclose(gradients["bias"], expected[3][chosen], atol=1e-10)


def traced_operations(layer, inputs, watch):
    @tf.function
    def run(inputs):
        with tf.GradientTape() as tape:
            if watch:
                tape.watch(inputs)
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, [v.value for v in layer.trainable_variables] + [inputs] * watch)

    graph = run.get_concrete_function(inputs).graph
    # Grappler drops what nothing uses; so does this.
    needed, pending = set(), [output.op for output in graph.outputs]
    while pending:
        operation = pending.pop()
        if operation not in needed:
            needed.add(operation)
            pending += [tensor.op for tensor in operation.inputs]
    return needed


@pytest.mark.tensorflow_only("looks into a graph of TensorFlow")
@pytest.mark.parametrize("watch", [True, False])
def test_the_kernel_gradient_is_computed_for_the_trainable_slice_alone(watch):
    _, layer, inputs = make_pair([1, 4], {})
    operations = traced_operations(layer, inputs, watch)
    of_kernel = [o for o in operations if o.type == "Conv2DBackpropFilter"]
    of_input = [o for o in operations if o.type == "Conv2DBackpropInput"]
    assert [o.inputs[2].shape[-1] for o in of_kernel] == [2]
    assert len(of_input) == watch


@pytest.mark.tensorflow_only("shapes are always known elsewhere")
def test_a_batch_of_unknown_size_can_be_traced():
    _, layer, inputs = make_pair([1, 4], {"padding": "same"})

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 4])])
    def run(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs))
        return tape.gradient(loss, layer.trainable_variables[0].value)

    assert run(inputs).shape == (3, 3, 4, 2)
