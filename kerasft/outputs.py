"""What the outputs of a classifier mean: logits or probabilities, and so which class."""

import keras
import numpy as np

from kerasft.layer_lookup import CONVOLUTIONS

_ACTIVATED = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Activation, *CONVOLUTIONS)

# They leave logits logits and probabilities probabilities.
_NEUTRAL = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.Identity,
    keras.layers.Reshape,
)

_SIGMOIDS = (
    keras.activations.sigmoid,
    keras.activations.hard_sigmoid,
    keras.ops.sigmoid,
    keras.ops.hard_sigmoid,
)
_SOFTMAXES = (keras.activations.softmax, keras.ops.softmax)


def gives_logits(model, outputs):
    """Whether a classifier gives logits, not probabilities.

    Its last activation tells, where Keras shows which that is: logits may all
    be between 0 and 1 by chance. Otherwise, and for sigmoids of several
    classes, which are no distribution, the values do.

    Args:
        model: A `keras.Model` with one output.
        outputs: What it gives some images, the more the better,
            `(images, classes)` or `(images, 1)` for two classes.

    Returns:
        `False` where a single output is the probability of class 1, or where
        those of each image are probabilities of all classes.
    """
    single = outputs.shape[-1] == 1
    activation = _last_activation(model)
    if activation is keras.activations.linear:
        return True
    if activation in _SOFTMAXES or (single and activation in _SIGMOIDS):
        return False
    bounded = bool((outputs >= 0).all() and (outputs <= 1).all())
    return not (bounded and (single or np.allclose(outputs.sum(axis=-1), 1, atol=1e-2)))


def choose_classes(outputs, from_logits):
    """The class that each row of outputs speaks for.

    Args:
        outputs: `(images, classes)`, or `(images, 1)` for two classes.
        from_logits: What `gives_logits` returns; of no account for several
            classes.

    Returns:
        `(images,)`, int64.
    """
    if outputs.shape[-1] == 1:
        return (outputs[:, 0] > (0 if from_logits else 0.5)).astype("int64")
    return np.argmax(outputs, axis=-1)


def _last_activation(model):
    """The function that the outputs come from, `None` where that cannot be seen."""
    if not _is_called_as_by_keras(model):
        return None
    for layer in _layers_from_the_end(model):
        if isinstance(layer, keras.Model):
            return _last_activation(layer)
        if not _is_called_as_by_keras(layer):
            return None
        if isinstance(layer, keras.layers.Softmax):
            return keras.activations.softmax
        if isinstance(layer, _ACTIVATED):
            # Mixed precision often ends in a linear activation that only casts.
            casts = isinstance(layer, keras.layers.Activation)
            if not (casts and layer.activation is keras.activations.linear):
                return layer.activation
        elif not isinstance(layer, _NEUTRAL):
            return None
    return None


def _is_called_as_by_keras(layer):
    """Whether no class of others does more in `call` than Keras shows."""
    return type(layer).call.__module__.startswith(("keras.", "kerasft.layers."))


def _layers_from_the_end(model):
    if isinstance(model, keras.Sequential):
        yield from reversed(model.layers)
        return
    names = getattr(model, "output_names", ())
    # Where an operation that is no layer comes last, no layer has its name.
    layers = [layer for layer in model.layers if [layer.name] == list(names)]
    while layers:
        yield layers[0]
        below = _tensor(layers[0], "input")
        layers = [x for x in model.layers if below is not None and _tensor(x, "output") is below]


def _tensor(layer, which):
    try:
        return getattr(layer, which)
    except (AttributeError, ValueError):
        # It has not been called by itself.
        return None
