import keras
import numpy as np

from kerasft.layer_lookup import named_layers
from kerasft.tunable import find_tunable


def kernel_norm(model, data, layer):
    """L2 norm of each filter's kernel, the bias not counted.

    Needs no images: what a filter weighs says nothing of a distortion.

    Reference:
        H. Li et al., *Pruning filters for efficient ConvNets*, ICLR 2017
        (arXiv 1608.08710), which takes the L1 norm and prunes the smallest.
    """
    layers = named_layers(model)
    path, _ = find_tunable(layer, layers)
    kernel = keras.ops.convert_to_numpy(layers[path].kernel).astype("float64")
    return np.sqrt(np.square(kernel).sum(axis=tuple(range(kernel.ndim - 1))))
