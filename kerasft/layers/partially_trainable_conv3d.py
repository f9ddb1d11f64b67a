import keras

from kerasft.layers.partially_trainable import PartiallyTrainable


@keras.saving.register_keras_serializable(package="kerasft")
class PartiallyTrainableConv3D(PartiallyTrainable, keras.layers.Conv3D):
    """3D convolution in which some filters are trained and the rest cannot change.

    For volumes what `PartiallyTrainableConv2D` is for images; what is said
    there of weights, gradients, regularizers and constraints holds here.

    Args:
        filters: Number of filters.
        kernel_size: One or three integers.
        trainable_filters: Indices of the filters to train, each from 0 to
            `filters - 1`, without repetition, in any order. Default: none.
        **conv_arguments: Every other argument of `keras.layers.Conv3D`, by
            name.

    Attributes:
        trainable_filters: Sorted tuple of integers.
        kernel: The assembled kernel, `(kernel_depth, kernel_height,
            kernel_width, channels / groups, filters)`, in the original filter
            order.
        bias: The assembled bias, `(filters,)`, or `None`.

    Input and output shape: those of `keras.layers.Conv3D`.

    Raises:
        ValueError: An index out of range or repeated.
        TypeError: An index that is not an integer.

    Example:

    >>> import kerasft
    >>> import numpy as np
    >>> layer = kerasft.PartiallyTrainableConv3D(8, 3, trainable_filters=[5, 2])
    >>> layer(np.zeros((1, 6, 6, 6, 3), "float32")).shape[-1]
    8
    >>> [tuple(w.shape) for w in layer.trainable_weights]
    [(3, 3, 3, 3, 2), (2,)]

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.3.
    """

    conv_class = keras.layers.Conv3D
