import keras
from keras import layers

# (filters, kernel size, strides) of All-CNN-C up to the class layer.
_CONVOLUTIONS = (
    (96, 3, 1),
    (96, 3, 1),
    (96, 3, 2),
    (192, 3, 1),
    (192, 3, 1),
    (192, 3, 2),
    (192, 3, 1),
    (192, 1, 1),
)


def all_conv_net(classes=100, input_shape=(32, 32, 3)):
    """All-CNN-C with batch normalization after each convolution.

    The convolutions are named `conv1` … `conv9`; the paper tunes the first
    three, of 96 filters each.

    Args:
        classes: Number of classes, at least 2.
        input_shape: Height, width and channels of one image.

    Returns:
        An uncompiled functional `keras.Model`. Input: float images
        `(batch, height, width, channels)` with pixels from 0 to 255 (scaled
        inside the model). Output: class probabilities `(batch, classes)`.

    Example:

    >>> import kerasft
    >>> model = kerasft.models.all_conv_net(classes=10)
    >>> model.get_layer("conv1").filters
    96

    References:
        Springenberg et al., *Striving for Simplicity: The All Convolutional
        Net*, ICLR workshop 2015, Table 1, model C; Bianchi et al., arXiv
        1904.03949, Section 4.3.
    """
    inputs = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for number, (filters, size, strides) in enumerate((*_CONVOLUTIONS, (classes, 1, 1)), start=1):
        # A bias before batch normalization would be cancelled by it.
        x = layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    outputs = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, outputs, name="all_conv_net")
