import keras
import numpy as np
import pytest
from keras import layers

import kerasft


@pytest.fixture
def channels():
    """Four classes, each bright in its own channel; what spoils the images spoils channel 2.

    One filter sees each channel, so there is no doubt which filter is hit.
    """
    image = keras.Input((3, 3, 4))
    x = layers.Conv2D(4, 1, name="conv")(image)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="head")(x))
    model.get_layer("conv").set_weights([np.eye(4).reshape(1, 1, 4, 4), np.zeros(4)])
    model.get_layer("head").set_weights([np.eye(4), np.zeros(4)])
    generator = np.random.default_rng(0)
    labels = np.arange(70) % 4
    clean = generator.uniform(0, 0.5, (70, 3, 3, 4)).astype("float32")
    clean[np.arange(70), :, :, labels] += 3
    distorted = clean.copy()
    distorted[..., 2] += 9
    return model, kerasft.RankingData(clean, distorted, labels)


@pytest.fixture(scope="session")
def digits():
    """Digits, a number of them that no batch size divides, and their noisy versions."""
    images, labels = kerasft.datasets.digits()
    noisy = kerasft.additive_white_gaussian_noise(images[:71], 60, seed=0)
    return kerasft.RankingData(images[:71], noisy, labels[:71])


@pytest.fixture(scope="session")
def network():
    """Two convolutions among all that must not matter while filters are scored."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(5, 3, kernel_regularizer="l2", kernel_constraint="unit_norm", name="a")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5)(layers.ReLU()(x))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, activity_regularizer="l1", name="b")(x)
    x = layers.Flatten()(layers.GaussianNoise(1.0)(x))
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x))
    generator = np.random.default_rng(2)
    model.set_weights([w + generator.uniform(0, 0.3, w.shape) for w in model.get_weights()])
    # Of probabilities near 0, losses are clipped on some backends.
    head = model.get_layer("head")
    head.set_weights([0.05 * w for w in head.get_weights()])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def untouched():
    """What must be as it was once a model has been looked at."""

    def state(model):
        every = model._flatten_layers()
        flags = [(layer.name, layer.trainable, "call" in vars(layer)) for layer in every]
        return [w.tobytes() for w in model.get_weights()], flags, model.compiled, model.optimizer

    return state
