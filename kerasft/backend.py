"""What depends on the Keras backend that is in use."""

import os

import joblib
import keras


def default_jit_compile():
    """The value of `jit_compile` that a model should be compiled with here.

    Keras compiles with XLA where it can. On a CPU under TensorFlow that makes
    convolutions several times slower, so there it is turned off.

    Returns:
        `False` under TensorFlow without an accelerator, else `"auto"`.
    """
    if keras.backend.backend() == "tensorflow" and not has_accelerator():
        return False
    return "auto"


def has_accelerator():
    """Whether the backend computes on something else than the CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    if backend == "torch":
        import torch

        # Where Keras puts a tensor unless told otherwise.
        return torch.as_tensor(keras.ops.zeros(())).device.type != "cpu"
    return False


def lives_on_host(x):
    """Whether the values of an array are in the memory of the CPU, to be read at once.

    Args:
        x: Array, or anything that NumPy makes one of, or a tensor of the
            backend.

    Returns:
        `False` for a tensor on an accelerator and for one that has no values
        yet, inside a compiled function.
    """
    if not keras.ops.is_tensor(x):
        return True
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.is_tensor(x) and hasattr(x, "numpy") and "CPU" in x.device
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer) and all(d.platform == "cpu" for d in x.devices())
    return x.device.type == "cpu"


def available_threads():
    """How many threads this process should use: its cores, or its share as a worker."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(threads)) if threads.isdigit() else joblib.cpu_count()


def predict_without_slow_jit(model):
    """Let a model that is not compiled predict without XLA where that is slow.

    Args:
        model: A `keras.Model` whose `predict` will be called.
    """
    jit_compile = default_jit_compile()
    if not model.compiled and jit_compile != "auto":
        model.jit_compile = jit_compile


def predict_batch(model, inputs):
    """What a model makes of one batch, computed once, by this process.

    Under a `tf.distribute` strategy `predict_on_batch` gives the whole batch to
    every device and returns the results of all of them, one after the other.

    Args:
        model: A `keras.Model`.
        inputs: A batch of what it takes.

    Returns:
        The structure of the model's outputs, of NumPy arrays.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return model.predict_on_batch(inputs)
    outputs = model(inputs, training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


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
