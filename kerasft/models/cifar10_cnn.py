import keras
from keras import layers


def cifar10_cnn(input_shape=(32, 32, 3), classes=10):
    """The paper's small CIFAR-10 baseline: two convolutions and a dense layer.

    Convolution 3×3×32 – max pooling – convolution 3×3×64 – max pooling –
    dense 512 – softmax, with ReLU and dropout. The two convolution layers are
    named `conv1` and `conv2`. The paper draws the network without giving its
    numbers; the ones used here, and why, are listed in `docs/choices.md`.

    Args:
        input_shape: Height, width and channels of one image, each at least
            4, 4 and 1.
        classes: Number of classes, at least 2.

    Returns:
        An uncompiled functional `keras.Model`. Input: float images
        `(batch, height, width, channels)` with pixels from 0 to 255 (scaled
        inside the model). Output: class probabilities `(batch, classes)`.

    Example:

    >>> import kerasft
    >>> model = kerasft.models.cifar10_cnn()
    >>> model.output_shape
    (None, 10)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 4.3 and Figure 3.
    """
    inputs = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Dropout(0.25, name="dropout1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Dropout(0.25, name="dropout2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dropout3")(x)
    outputs = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cifar10_cnn")
