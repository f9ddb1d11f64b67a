"""The filters of a convolution of any kind, and what they weigh."""

import math


def count_filters(layer):
    """The number of feature maps that a convolution layer of Keras makes."""
    if hasattr(layer, "filters"):
        return layer.filters
    # Depthwise: so many for each input channel.
    return math.prod(layer.kernel.shape[-2:])


def parameters_per_filter(layer):
    """The number of weights that one filter of a `Conv1D`, `Conv2D` or `Conv3D` has."""
    return math.prod(layer.kernel.shape[:-1]) + bool(layer.use_bias)
