"""What depends on the Keras backend that is in use."""

import os

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


def limit_threads():
    """Keep a worker process to its share of the machine's threads.

    joblib and Dask tell their workers by `OMP_NUM_THREADS`. PyTorch obeys it
    by itself, TensorFlow only when told, before it starts; where the variable
    is not set or TensorFlow runs already, nothing changes.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if not threads.isdigit() or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(int(threads))
        tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    except RuntimeError:  # It runs already.
        return
