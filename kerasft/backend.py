"""What depends on the Keras backend that is in use."""

import keras


def default_jit_compile():
    """The value of `jit_compile` that a model should be compiled with here.

    Keras compiles with XLA where it can. On a CPU under TensorFlow that makes
    convolutions several times slower, so there it is turned off.

    Returns:
        `False` under TensorFlow without an accelerator, else `"auto"`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if all(device.device_type == "CPU" for device in tf.config.list_logical_devices()):
            return False
    return "auto"


def predict_without_slow_jit(model):
    """Let a model that is not compiled predict without XLA where that is slow.

    Args:
        model: A `keras.Model` whose `predict` will be called.
    """
    jit_compile = default_jit_compile()
    if not model.compiled and jit_compile != "auto":
        model.jit_compile = jit_compile
