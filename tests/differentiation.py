"""Outputs and gradients of a layer, by what each backend differentiates with."""

import keras
import numpy as np
import pytest

MODES = ("eager", "graph", "xla")


def differentiate(layer, inputs, *, mode="eager", watch=True):
    """Differentiate the sum of a layer's outputs, each weighted by a fixed random number.

    Args:
        layer: A built layer.
        inputs: Tensor.
        mode: One of `MODES`; a backend that does not have it skips the test.
        watch: Whether the input is differentiated for, too.

    Returns:
        The outputs, the gradient for the input, `None` if it is not watched,
        and a dictionary from the name of a trainable weight to its gradient;
        all of them arrays.
    """
    names = [variable.name for variable in layer.trainable_variables]
    differentiate_with = {
        "jax": _differentiate_with_jax,
        "tensorflow": _differentiate_with_tensorflow,
        "torch": _differentiate_with_torch,
    }[keras.backend.backend()]
    outputs, gradients = differentiate_with(layer, inputs, mode, watch)
    outputs, *gradients = map(keras.ops.convert_to_numpy, (outputs, *gradients))
    input_gradient = gradients.pop() if watch else None
    return outputs, input_gradient, dict(zip(names, gradients, strict=True))


def _upstream(shape):
    return np.random.default_rng(3).normal(size=shape)


def _differentiate_with_tensorflow(layer, inputs, mode, watch):
    import tensorflow as tf

    def run(inputs):
        with tf.GradientTape() as tape:
            if watch:
                tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs * tf.constant(_upstream(outputs.shape), outputs.dtype))
        weights = [variable.value for variable in layer.trainable_variables]
        return outputs, tape.gradient(loss, [*weights, inputs] if watch else weights)

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    return run(inputs)


def _differentiate_with_jax(layer, inputs, mode, watch):
    import jax

    if mode == "graph":
        pytest.skip("JAX knows eager and XLA only")

    def loss(weights, inputs):
        # Not `stateless_call`, which does not cast to the layer's dtype.
        with keras.StatelessScope(zip(layer.trainable_variables, weights, strict=True)):
            outputs = layer(inputs)
        return (outputs * _upstream(outputs.shape).astype(outputs.dtype)).sum(), outputs

    gradient = jax.grad(loss, argnums=(0, 1) if watch else (0,), has_aux=True)
    if mode == "xla":
        gradient = jax.jit(gradient)
    weights = [variable.value for variable in layer.trainable_variables]
    gradients, outputs = gradient(weights, inputs)
    return outputs, [*gradients[0], *gradients[1:]]


def _differentiate_with_torch(layer, inputs, mode, watch):
    import torch

    if mode != "eager":
        pytest.skip("PyTorch runs layers eagerly, and has no XLA")
    inputs = inputs.detach().clone().requires_grad_(watch)
    outputs = layer(inputs)
    upstream = torch.as_tensor(_upstream(tuple(outputs.shape)), dtype=outputs.dtype)
    weights = [variable.value for variable in layer.trainable_variables]
    sources = [*weights, inputs] if watch else weights
    # Without a source there is nothing to go back to, which PyTorch refuses.
    gradients = torch.autograd.grad((outputs * upstream).sum(), sources) if sources else ()
    return outputs, gradients
