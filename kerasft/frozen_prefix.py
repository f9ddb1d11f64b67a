"""The layers below those that are tuned, computed once for all epochs."""

import dataclasses
import os
import pathlib
import re

import keras
import numpy as np

from kerasft.backend import predict_batch, predict_without_slow_jit
from kerasft.layers import PartiallyTrainable
from kerasft.sublayers import sublayers

_ASSUMED_MEMORY = 4 * 2**30

# Layers that run code of others, change a state though they are frozen, or send
# a mask along with their output, which would be lost at the cut.
_OPAQUE = (
    keras.layers.Lambda,
    keras.layers.TFSMLayer,
    keras.layers.JaxLayer,
    keras.layers.FlaxLayer,
    keras.layers.TorchModuleWrapper,
    keras.layers.SpectralNormalization,
    keras.layers.RNN,
    keras.layers.Masking,
    keras.layers.Embedding,
)


@dataclasses.dataclass(frozen=True)
class SplitModel:
    """A model in two halves that share its layers.

    Attributes:
        prefix: From the model's inputs to the list of tensors at the cut.
        suffix: From the list of tensors at the cut to the model's outputs.
        cut: Names of the layers whose outputs are the tensors at the cut.
    """

    prefix: keras.Model
    suffix: keras.Model
    cut: tuple[str, ...]


def cache_frozen_prefix(model, train, validation, batch_size):
    """Compute once what training cannot change, where that is possible and fits.

    Only arrays are looked at: a dataset may yield other images in each epoch.

    Args:
        model: A model with frozen layers, not compiled.
        train: Images, labels and what else `fit` takes.
        validation: The same.
        batch_size: Images in a step.

    Returns:
        What is to be fit in place of the model, on which training and
        validation data, and the names of the layers whose outputs stand in
        for the images. It shares its layers with `model`. Without a frozen
        prefix: the arguments as they are and no names.
    """
    unchanged = model, train, validation, ()
    both = (train, validation)
    if not all(isinstance(data, tuple) and _are_arrays(data[0]) for data in both):
        return unchanged
    split = split_at_frozen_prefix(model)
    if split is None:
        return unchanged
    predict_without_slow_jit(split.prefix)
    rows = [_row_at_cut(split, data[0], batch_size) for data in both]
    if None in rows:
        return unchanged
    needed = sum(
        _count(x) * sum(y.nbytes for y in row) for (x, *_), row in zip(both, rows, strict=True)
    )
    # TensorFlow copies an array into a tensor, and both exist for a while.
    if 2 * needed > free_memory():
        return unchanged
    train, validation = (
        (_cache(split, data[0], row, batch_size), *data[1:])
        for data, row in zip(both, rows, strict=True)
    )
    return split.suffix, train, validation, split.cut


def split_at_frozen_prefix(model):
    """Split a model below the first layers that differ from step to step.

    Below the cut are operations of Keras itself that depend on no trainable
    weight, neither draw random numbers nor update statistics in training, and
    add nothing to the loss. A nested model is on one side as a whole.

    Args:
        model: A Functional or Sequential `keras.Model`; it is not changed.

    Returns:
        A `SplitModel`, or `None` where nothing worth keeping is below a cut or
        the model cannot be cut.
    """
    if not _is_of_keras(model):
        # It may have a training step of its own.
        return None
    if isinstance(model, keras.Sequential):
        # Not in a list where it is one tensor, as `fit` hands it over: on PyTorch Keras
        # warns of the difference.
        inputs, outputs = (x[0] if len(x) == 1 else x for x in (model.inputs, model.outputs))
        model = keras.Model(inputs, outputs, name=model.name)
    producers, cut, above = {}, {}, {}

    def call(operation, *args, **kwargs):
        outputs = operation(*args, **kwargs)
        changes = any(id(x) in above for x in keras.tree.flatten((args, kwargs)))
        if not changes and is_constant_in_training(operation):
            producers.update((id(x), operation) for x in keras.tree.flatten(outputs))
            return outputs

        def above_cut(x):
            if not isinstance(x, keras.KerasTensor):
                return x
            if id(x) not in above and id(x) not in cut:
                # A name that no layer of the model has.
                name = f"kerasft_cut_{len(cut)}"
                cut[id(x)] = x, keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)
            return above[id(x)] if id(x) in above else cut[id(x)][1]

        args, kwargs = keras.tree.map_structure(above_cut, (args, kwargs))
        pairs = zip(
            keras.tree.flatten(outputs), keras.tree.flatten(operation(*args, **kwargs)), strict=True
        )
        above.update((id(x), y) for x, y in pairs)
        return outputs

    # The copy shares the layers. It is made for `call`, which meets every
    # operation of the graph in order.
    walked = keras.models.clone_model(model, clone_function=lambda x: x, call_function=call)
    names = [producers[key].name for key in cut if key in producers]
    tensors = [x for x, _ in cut.values()]
    if not names or not all(map(_is_storable, tensors)):
        return None
    if not all(id(x) in above for x in walked.outputs):
        return None
    prefix = keras.Model(walked.input, tensors)
    if not any(len(w.shape) > 1 for w in prefix.weights):
        # No kernel: less work than reading the result.
        return None
    outputs = keras.tree.map_structure(lambda x: above[id(x)], walked.output)
    suffix = keras.Model([x for _, x in cut.values()], outputs, name=model.name)
    return SplitModel(prefix, suffix, tuple(dict.fromkeys(names)))


def is_constant_in_training(operation):
    """Whether an operation makes the same of an image in every step of training."""
    if not isinstance(operation, keras.Layer):
        return _is_of_keras(operation) and not isinstance(operation, keras.Function)
    if operation.trainable_weights or len(operation.variables) > len(operation.weights):
        # The variables that are no weights are the states of random generators.
        return False
    return all(map(_is_plain, (operation, *sublayers(operation))))


def _is_plain(layer):
    model = isinstance(layer, keras.Model) and _is_of_keras(layer)
    # Not every layer of Keras's application models says that it is random.
    public = type(layer) is getattr(keras.layers, type(layer).__name__, None)
    activation = getattr(layer, "activation", None)
    return (
        (model or public or isinstance(layer, PartiallyTrainable))
        and not isinstance(layer, _OPAQUE)
        and not (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable)
        and layer.activity_regularizer is None
        and (activation is None or _is_of_keras(activation))
    )


def _is_of_keras(thing):
    """Whether Keras defines this function or the class of this object."""
    return (getattr(thing, "__module__", None) or "").startswith("keras.")


def _is_storable(tensor):
    """Whether `fit` leaves the values of this tensor as they are: it casts to `floatx`."""
    if tensor.sparse or tensor.dtype == "string":
        return False
    floatx = keras.config.floatx()
    if not keras.backend.is_float_dtype(tensor.dtype):
        return True
    if "float64" in (tensor.dtype, floatx):
        # Not left to `result_type`, for which on PyTorch all doubles are singles.
        return floatx == "float64"
    return keras.backend.result_type(tensor.dtype, floatx) == floatx


def _are_arrays(images):
    return all(
        isinstance(x, np.ndarray) or (keras.ops.is_tensor(x) and hasattr(x, "__array__"))
        for x in keras.tree.flatten(images)
    )


def _count(images):
    return len(keras.tree.flatten(images)[0])


def _batch_at_cut(split, images, start, batch_size):
    batch = keras.tree.map_structure(lambda x: x[start : start + batch_size], images)
    # `predict` would keep a second copy of all outputs.
    return keras.tree.flatten(predict_batch(split.prefix, batch))


def _row_at_cut(split, images, batch_size):
    """Arrays for one image, or `None` where the tensors at the cut are not rows of images."""
    size = min(batch_size, _count(images))
    outputs = _batch_at_cut(split, images, 0, size)
    if size < 2 or any(x.shape[:1] != (size,) for x in outputs):
        return None
    # In every epoch `fit` puts other images together; what an operation makes of
    # one must not depend on which.
    halves = _batch_at_cut(split, images, 0, size // 2)
    if not all(map(_is_start_of, halves, outputs)):
        return None
    # Narrower floats, of mixed precision, are stored as what `fit` casts them
    # to; it would do so in a further copy.
    return [
        np.empty(
            x.shape[1:],
            keras.config.floatx() if keras.backend.is_float_dtype(str(x.dtype)) else x.dtype,
        )
        for x in outputs
    ]


def _is_start_of(part, whole):
    """Whether these are the first rows of others, but for rounding."""
    part, whole = (np.asarray(x, "float64") for x in (part, whole))
    whole = whole[: len(part)]
    scale = np.abs(whole).max(initial=0)
    return part.shape == whole.shape and np.allclose(part, whole, rtol=0, atol=1e-2 * scale)


def _cache(split, images, row, batch_size):
    arrays = [np.empty((_count(images), *x.shape), x.dtype) for x in row]
    for start in range(0, _count(images), batch_size):
        outputs = _batch_at_cut(split, images, start, batch_size)
        for array, output in zip(arrays, outputs, strict=True):
            array[start : start + batch_size] = output
    # Of an array, `fit` under TensorFlow makes two more copies, of a tensor none.
    with keras.device("cpu:0"):
        return [keras.ops.convert_to_tensor(array) for array in arrays]


def free_memory():
    """Bytes that can be allocated here, within the limit of a container."""
    try:
        # Not `SC_AVPHYS_PAGES`: it leaves out what the system gives back when asked.
        text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
        free = int(re.findall(r"MemAvailable: *(\d+) kB", text)[0]) * 1024
    except (OSError, IndexError):
        return _half_of_all_memory()
    try:
        group = pathlib.Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        # Pages of files count as used, but are given back when asked.
        statistics = (group / "memory.stat").read_text(encoding="ascii")
        used -= int(re.findall(r"^inactive_file (\d+)$", statistics, re.MULTILINE)[0])
    except (OSError, ValueError, IndexError):
        return free
    return min(free, limit - used)


def _half_of_all_memory():
    """What may be free where the system does not say: macOS, Windows."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = _ASSUMED_MEMORY
    return total // 2
