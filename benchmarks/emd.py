"""Earth mover's distances of feature maps: ours, a loop over SciPy, NumPy, TensorFlow.

    python benchmarks/emd.py

96 maps of 1,024 values, clean and distorted, for one image and for 64. ReLU maps are
the outputs of a convolution with ReLU on images like photographs, half of them zeros,
which changes how fast they sort; Gaussian maps have no equal values. Before anything is
timed, our distances are compared with SciPy's, to 12 digits.
"""

import functools

import keras
import numpy as np
import pandas as pd
import scipy.stats
from images import photograph_like
from measuring import Parser, ratios, take_turns, write_table

import kerasft

SIZE, FILTERS = 32, 96


def main(arguments=None):
    parser = Parser(__doc__, "bench-emd.csv")
    parser.add_argument("--turns", default=15, type=int)
    args = parser.parse_args(arguments)
    turns, at_least = (1, 0.0) if args.quick else (args.turns, 0.2)
    rows = []
    for kind, make in (("ReLU", relu_maps), ("Gaussian", gaussian_maps)):
        for images in (1, 4) if args.quick else (1, 64):
            clean, distorted = make(images)
            check(clean, distorted)
            engines = {
                name: lambda engine=engine, c=clean, d=distorted: engine(c, d)
                for name, engine in ENGINES.items()
            }
            seconds = take_turns(engines, turns, at_least)
            for name, (ratio, low, high) in ratios(seconds, "kerasft").items():
                rows.append(
                    {
                        "maps": kind,
                        "images": images,
                        "engine": name,
                        "ms_per_image": round(float(np.median(seconds[name])) / images * 1e3, 4),
                        "ratio": round(ratio, 2),
                        "low": round(low, 2),
                        "high": round(high, 2),
                        "turns": turns,
                    }
                )
    write_table(pd.DataFrame(rows), args.out)


def relu_maps(images):
    """Feature maps of a convolution with ReLU for clean and noisy images."""
    keras.utils.set_random_seed(0)
    convolution = keras.layers.Conv2D(
        FILTERS, 3, padding="same", activation="relu", kernel_initializer="he_normal"
    )
    clean = photograph_like(images, SIZE)
    noisy = kerasft.additive_white_gaussian_noise(clean, 15, seed=0)
    return tuple(
        keras.ops.convert_to_numpy(convolution(version.astype("float32") / 255))
        for version in (clean, noisy)
    )


def gaussian_maps(images):
    """Random maps and the same with noise."""
    generator = np.random.default_rng(0)
    clean = generator.standard_normal((images, SIZE, SIZE, FILTERS), "float32")
    return clean, clean + 0.3 * generator.standard_normal(clean.shape, "float32")


def check(clean, distorted):
    """Ours are SciPy's distances to 12 digits; the rivals compute the same in single precision."""
    expected = scipy_loop(clean.astype("float64"), distorted.astype("float64"))
    ours = kerasft.wasserstein_distances(clean, distorted)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    for engine in (numpy_sort, tensorflow_sort):
        np.testing.assert_allclose(engine(clean, distorted), expected, rtol=1e-4, atol=1e-7)


def scipy_loop(clean, distorted):
    """What the paper's text amounts to: a call for every map of every image."""
    distances = np.empty((len(clean), clean.shape[-1]))
    for image, filter_ in np.ndindex(distances.shape):
        distances[image, filter_] = scipy.stats.wasserstein_distance(
            clean[image, ..., filter_].ravel(), distorted[image, ..., filter_].ravel()
        )
    return distances


def numpy_sort(clean, distorted):
    """The same distance for maps of one size, in one line of NumPy."""
    clean, distorted = (maps.reshape(len(maps), -1, maps.shape[-1]) for maps in (clean, distorted))
    return np.abs(np.sort(clean, axis=1) - np.sort(distorted, axis=1)).mean(axis=1)


def tensorflow_sort(clean, distorted):
    """The same in TensorFlow, compiled, where the feature maps already are."""
    return _tensorflow_sort()(clean, distorted).numpy()


@functools.cache
def _tensorflow_sort():
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def distances(clean, distorted):
        clean, distorted = (
            # Sorting is along the last axis.
            tf.transpose(tf.reshape(maps, (tf.shape(maps)[0], -1, FILTERS)), (0, 2, 1))
            for maps in (clean, distorted)
        )
        return tf.reduce_mean(tf.abs(tf.sort(clean) - tf.sort(distorted)), axis=-1)

    return distances


# Ours by its name in the package, so that what is checked is what is timed.
ENGINES = {
    "kerasft": lambda clean, distorted: kerasft.wasserstein_distances(clean, distorted),
    "loop over scipy.stats.wasserstein_distance": scipy_loop,
    "numpy.sort": numpy_sort,
    "tf.sort": tensorflow_sort,
}


if __name__ == "__main__":
    main()
