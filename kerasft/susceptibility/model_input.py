"""What every ranking asks of a model and of the images that go into it."""

import keras
import numpy as np

from kerasft.built_model import validate_built
from kerasft.layer_lookup import named_layers
from kerasft.whole_number import is_whole

# Of images, gray to RGBA.
_CHANNELS = (1, 3, 4)


def validate_model(model, batch_size):
    """Refuse what is not a built Keras model, and batch sizes that are none.

    Args:
        model: A built `keras.Model`; another would be given random weights by its first images.
        batch_size: Images that are run together, at least 1.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: Not built; not a whole number of at least 1.
    """
    validate_built(model)
    validate_batch_size(batch_size)


def validate_batch_size(batch_size):
    """Refuse batch sizes that are none.

    Args:
        batch_size: Images that are run together, at least 1.

    Raises:
        ValueError: Not a whole number of at least 1.
    """
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(
            f"Expected batch_size as a whole number of at least 1. Received: {batch_size!r}."
        )


def validate_one_input(model):
    """Refuse a model with several inputs where one array of images is all there is.

    Args:
        model: A `keras.Model`.

    Raises:
        ValueError: Several inputs.
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ValueError(
            f"Expected a model with one input. Received: {model.name!r} with {len(inputs)}."
        )


def validate_numbers(images, name):
    """Refuse arrays of texts, complex numbers or objects.

    Args:
        images: A structure of arrays.
        name: What they are, for the error.

    Raises:
        ValueError: Such an array.
    """
    for array in keras.tree.flatten(images):
        # Of bfloat16 NumPy says only that it is some void.
        kind = getattr(array, "dtype", None)
        if isinstance(kind, np.dtype) and (kind.kind not in "biufV" or kind.names):
            raise ValueError(f"Expected {name} of numbers. Received: dtype {kind}.")


def validate_model_input(model, images, name):
    """Refuse arrays that are no numbers, or that a model cannot take.

    Args:
        model: A `keras.Model`.
        images: An array `(images, height, width, channels)`, without the last axis
            for a model that takes one channel, or a structure of arrays for a
            model with several inputs.
        name: What they are, for the error.

    Raises:
        ValueError: Another shape or number of arrays, or texts, complex
            numbers or objects.
    """
    validate_numbers(images, f"{name} images")
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        _validate_several(model, images, name)
    if len(inputs) != 1:
        return
    expected = tuple(inputs[0].shape)
    arrays = keras.tree.flatten(images)
    if len(arrays) != 1:
        raise ValueError(
            f"Expected {name} images as one array of shape {expected} as the model "
            f"{model.name!r} takes. Received: {len(arrays)} arrays."
        )
    shape = tuple(arrays[0].shape)
    if len(shape) == len(expected) - 1 > 0:
        # Keras adds a last axis of one channel by itself.
        shape = (*shape, 1)
    if len(shape) != len(expected) or not _may_fit(shape, expected):
        raise ValueError(
            f"Expected {name} images of shape {expected} as the model {model.name!r} takes. "
            f"Received: {tuple(arrays[0].shape)}."
        )


def refuse_single_images(model, data, name):
    """Refuse a `tf.data.Dataset` of images one by one, whose rows would pass for images.

    Args:
        model: A `keras.Model`.
        data: Images, whatever holds them.
        name: What they are, for the error.

    Raises:
        ValueError: Such a dataset, for a model with one input.
    """
    inputs = getattr(model, "inputs", None) or []
    spec = getattr(data, "element_spec", None)
    spec = spec[0] if isinstance(spec, tuple) and spec else spec
    known = getattr(spec, "shape", None)
    # The shape of TensorFlow that has no number of axes has no length either.
    if len(inputs) != 1 or known is None or getattr(known, "rank", None) is None:
        return
    expected, shape = tuple(inputs[0].shape)[1:], tuple(known)
    # Batches of gray images without their last axis have as many axes.
    alike = len(shape) == len(expected) and None not in shape and expected[-1] is not None
    if alike and _fits(shape, expected):
        raise ValueError(
            f"Expected {name} images as a dataset of batches. Received: a dataset of single "
            f"images {shape}; call its method batch."
        )


def refuse_channels_first(model, distortion):
    """Refuse a distortion of the package for a model whose images have channels first.

    Args:
        model: A `keras.Model`.
        distortion: A distortion, which takes the last axis for that of channels.

    Raises:
        ValueError: Such a model.
    """
    inputs = getattr(model, "inputs", None) or []
    shapes = [tuple(x.shape) for x in inputs if len(x.shape) == 4]
    first = any(shape[1] in _CHANNELS and shape[3] not in _CHANNELS for shape in shapes)
    # Which of two axes of one size it is, layers tell.
    if first and any(
        getattr(layer, "data_format", None) == "channels_first"
        for layer in named_layers(model).values()
    ):
        raise ValueError(
            f"Expected a function for images with channels first, as {model.name!r} takes them. "
            f"Received: {distortion!r}, for channels last; give lambda x: np.moveaxis("
            "distortion(np.moveaxis(x, 1, -1)), -1, 1)."
        )


def validate_one_tensor_out(model, name):
    """Refuse a model that gives its single output in a dictionary.

    Args:
        model: A `keras.Model` with one output.
        name: What it is called in the error.

    Raises:
        ValueError: Such a model.
    """
    # A Sequential model gives what its last layer does.
    if not isinstance(model, keras.Sequential) and isinstance(model.output, dict):
        raise ValueError(
            f"Expected a model whose output is one tensor. Received: {name} with a dictionary of "
            "one; make it keras.Model(model.inputs, model.outputs[0])."
        )


def _validate_several(model, images, name):
    # By their names Keras takes of a dictionary what it needs.
    if isinstance(images, dict):
        return
    arrays = keras.tree.flatten(images)
    expected = [tuple(x.shape) for x in model.inputs]
    shapes = [tuple(x.shape) for x in arrays]
    fits = len(shapes) == len(expected) and all(map(_may_fit, shapes, expected))
    if not fits:
        received = f"one array of shape {shapes[0]}" if len(shapes) == 1 else shapes
        raise ValueError(
            f"Expected {name} images as {len(expected)} arrays, one for each input of the model "
            f"{model.name!r}, of shapes {expected}. Received: {received}."
        )


def _may_fit(shape, expected):
    # Keras adds and takes away a last axis of one by itself.
    return len(shape) != len(expected) or _fits(shape[1:], expected[1:])


def _fits(shape, expected):
    return all(wanted is None or wanted == got for wanted, got in zip(expected, shape, strict=True))
