"""Which convolutions can be trained filter by filter, and why the others cannot."""

import keras

from kerasft.layer_lookup import find_layer
from kerasft.layers import (
    PartiallyTrainableConv1D,
    PartiallyTrainableConv2D,
    PartiallyTrainableConv3D,
)

_CLASSES = (PartiallyTrainableConv2D, PartiallyTrainableConv1D, PartiallyTrainableConv3D)

_REASONS = {
    (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D): (
        "whose kernel is kept by input channel, not by filter"
    ),
    (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D): (
        "all of whose filters share one depthwise kernel"
    ),
    (
        keras.layers.Conv1DTranspose,
        keras.layers.Conv2DTranspose,
        keras.layers.Conv3DTranspose,
    ): "whose kernel has its filters on another axis",
}


def find_tunable(name, layers, way_out=True):
    """Find a convolution whose filters can be trained one by one.

    That takes one slice of the kernel for each filter, so that one can change
    while the others stand: `Conv1D`, `Conv2D` and `Conv3D`.

    Args:
        name: `layer` or `nested_model/layer`.
        layers: What `kerasft.layer_lookup.named_layers` returns.
        way_out: Whether an error says to train the whole layer by
            `trainable=`; not for who has no such argument.

    Returns:
        The path, and the class that makes the layer partially trainable.

    Raises:
        TypeError: A list or another collection.
        ValueError: No such layer, several, or a layer of another kind; says
            why.
    """
    path = find_layer(name, layers)
    layer = layers[path]
    advice = f"; train all of it by trainable=[{name!r}]" if way_out else ""
    for partial_class in _CLASSES:
        if type(layer) in (partial_class, partial_class.conv_class):
            return path, partial_class
        if isinstance(layer, partial_class.conv_class):
            raise ValueError(
                f"Expected a plain {partial_class.conv_class.__name__} layer. Received: {name!r} "
                f"of class {type(layer).__name__}, whose own code a copy would lose{advice}."
            )
    received = f"{name!r}, a {type(layer).__name__}"
    for classes, reason in _REASONS.items():
        if isinstance(layer, classes):
            received += f", {reason}{advice}"
    raise ValueError(f"Expected a Conv1D, Conv2D or Conv3D layer. Received: {received}.")
