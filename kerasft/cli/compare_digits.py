import keras

from kerasft.backend import default_jit_compile
from kerasft.cli.compare_inputs import CompareInputs
from kerasft.datasets import digits, stratified_split
from kerasft.distortions import GaussianBlur

# Strong for images of 8 by 8 pixels.
_DISTORTION = GaussianBlur(1.2)


def digits_to_compare():
    """A small network with batch normalization, trained on clean digits, and blurred digits.

    Returns:
        A `CompareInputs`.
    """
    images, labels = digits()
    blurred = _DISTORTION(images)
    rest, test = stratified_split(labels, 597, seed=0)
    model = _train(images[rest], labels[rest])
    return CompareInputs(
        model=model,
        model_name="small network trained on clean digits",
        distortion=str(_DISTORTION),
        images={
            "distorted": (blurred[rest], labels[rest]),
            "distorted_test": (blurred[test], labels[test]),
            "clean": (images[rest], labels[rest]),
            "clean_test": (images[test], labels[test]),
            "paired": True,
        },
        notes=(
            "The digits are the 1,797 real scans of 8 by 8 pixels that scikit-learn ships; "
            f"{len(test)} of them were kept for the test.",
        ),
    )


def _train(images, labels):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            *_block("conv1", 16),
            *_block("conv2", 32),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    model.fit(images, labels, batch_size=64, epochs=12, verbose=0)
    return model


def _block(name, filters):
    yield keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)
    yield keras.layers.BatchNormalization(name=f"{name}_normalization")
    yield keras.layers.ReLU(name=f"{name}_relu")
