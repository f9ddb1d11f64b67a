import keras
from keras import ops

from kerasft.layers.partially_trainable import PartiallyTrainable


@keras.saving.register_keras_serializable(package="kerasft")
class PartiallyTrainableConv1D(PartiallyTrainable, keras.layers.Conv1D):
    """1D convolution in which some filters are trained and the rest cannot change.

    For signals what `PartiallyTrainableConv2D` is for images; what is said
    there of weights, gradients, regularizers and constraints holds here.

    Args:
        filters: Number of filters.
        kernel_size: An integer.
        trainable_filters: Indices of the filters to train, each from 0 to
            `filters - 1`, without repetition, in any order. Default: none.
        **conv_arguments: Every other argument of `keras.layers.Conv1D`, by
            name, `padding="causal"` included.

    Attributes:
        trainable_filters: Sorted tuple of integers.
        kernel: The assembled kernel, `(kernel_size, channels / groups,
            filters)`, in the original filter order.
        bias: The assembled bias, `(filters,)`, or `None`.

    Input and output shape: those of `keras.layers.Conv1D`.

    Raises:
        ValueError: An index out of range or repeated.
        TypeError: An index that is not an integer.

    Example:

    >>> import kerasft
    >>> import numpy as np
    >>> layer = kerasft.PartiallyTrainableConv1D(8, 3, trainable_filters=[5, 2])
    >>> layer(np.zeros((1, 6, 3), "float32")).shape[-1]
    8
    >>> [tuple(w.shape) for w in layer.trainable_weights]
    [(3, 3, 2), (2,)]

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.3.
    """

    conv_class = keras.layers.Conv1D

    def convolution_op(self, inputs, kernel):
        if self.padding != "causal":
            return super().convolution_op(inputs, kernel)
        # Conv1D pads in its `call`, which is replaced by another.
        before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        padding = [[0, 0], [0, 0], [0, 0]]
        # Channels on axis 2 leave the steps on axis 1, and the other way round.
        padding[3 - self._channel_axis] = [before, 0]
        return ops.conv(
            ops.pad(inputs, padding),
            kernel,
            strides=list(self.strides),
            padding="valid",
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
