import keras

from kerasft.layers.partially_trainable import PartiallyTrainable


@keras.saving.register_keras_serializable(package="kerasft")
class PartiallyTrainableConv2D(PartiallyTrainable, keras.layers.Conv2D):
    """2D convolution in which some filters are trained and the rest cannot change.

    The kernel is kept in two parts. The slices of `trainable_filters` are
    ordinary trainable weights; all other slices are non-trainable weights,
    which no optimizer, weight decay, momentum, moving average, gradient
    clipping or constraint ever touches. The output is that of `Conv2D` with
    the assembled kernel. The weight gradient is computed for the trainable
    slices only. It holds for losses of the layer's output; a loss of a gradient
    (a gradient penalty) does not reach the weights as it would in `Conv2D`.

    A kernel or bias regularizer or constraint acts on the trainable slices
    alone. `trainable = False` freezes all of the layer; setting it back to
    `True` does not unfreeze the frozen filters.

    Args:
        filters: Number of filters.
        kernel_size: One or two integers.
        trainable_filters: Indices of the filters to train, each from 0 to
            `filters - 1`, without repetition, in any order. Default: none.
        **conv_arguments: Every other argument of `keras.layers.Conv2D`,
            by name.

    Attributes:
        trainable_filters: Sorted tuple of integers.
        kernel: The assembled kernel, `(kernel_height, kernel_width,
            channels / groups, filters)`, in the original filter order.
        bias: The assembled bias, `(filters,)`, or `None`.

    Trainable weights:
        `(kernel_height, kernel_width, channels / groups, k)` and, with a
        bias, `(k,)` for `k` trainable filters, ascending; none for `k = 0`.

    Input and output shape: those of `keras.layers.Conv2D`.

    Raises:
        ValueError: An index out of range or repeated.
        TypeError: An index that is not an integer.

    Example:

    >>> import kerasft
    >>> import numpy as np
    >>> layer = kerasft.PartiallyTrainableConv2D(8, 3, trainable_filters=[5, 2])
    >>> layer(np.zeros((1, 6, 6, 3), "float32")).shape[-1]
    8
    >>> [tuple(w.shape) for w in layer.trainable_weights]
    [(3, 3, 3, 2), (2,)]
    >>> layer.trainable_filters
    (2, 5)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.3.
    """

    conv_class = keras.layers.Conv2D

    @classmethod
    def from_conv2d(cls, conv, trainable_filters):
        """Make a partially trainable copy of a built `keras.layers.Conv2D`.

        Args:
            conv: The layer; it is not changed. If it is not built, neither is
                the copy.
            trainable_filters: Indices of the filters to train.

        Returns:
            A `PartiallyTrainableConv2D` of the same name, weights and dtype
            policy.

        Raises:
            TypeError: `conv` is not exactly a `keras.layers.Conv2D`.
            ValueError: LoRA or quantization is enabled on it; an index out of
                range or repeated.
        """
        return cls.from_conv(conv, trainable_filters)

    def to_conv2d(self):
        """Make a plain `keras.layers.Conv2D` of the same name, weights and dtype policy.

        Returns:
            A new `keras.layers.Conv2D`, built if this layer is.
        """
        return self.to_conv()
