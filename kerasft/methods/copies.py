"""Copies of a model, to be trained as a whole or in part."""

import keras

from kerasft.layer_lookup import named_layers
from kerasft.rebuild import rebuild


def copy_model(model, convert=lambda layer: None, give_back=False):
    """Copy a model so that all of it can be trained.

    Args:
        model: A Functional or Sequential `keras.Model`; it is not changed.
        convert: Function from a layer to the one that is to stand in its
            place, or to `None` where a copy is.
        give_back: Make a model of the source's own class of a copy that only
            stands in for it; what is to be trained further must not be.

    Returns:
        A new `keras.Model`, not compiled.
    """
    clone, _ = rebuild(model, convert, give_back)
    # Setting what is set already would not reach the layers below.
    clone.trainable = False
    clone.trainable = True
    return clone


def train_only(model, paths):
    """Freeze all layers of a copy but some.

    Args:
        model: What `copy_model` returned.
        paths: Paths of layers as `kerasft.layer_lookup.named_layers` gives
            them.
    """
    kept = set(paths)
    for path, layer in named_layers(model).items():
        if not isinstance(layer, keras.Model):
            layer.trainable = path in kept
