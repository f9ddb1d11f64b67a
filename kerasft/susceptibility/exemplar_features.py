"""What exemplars are chosen by: pixels, or collapsed feature maps of a layer."""

import keras
import numpy as np

from kerasft.layer_lookup import find_convolution, named_layers
from kerasft.progress import track
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.model_input import validate_numbers
from kerasft.whole_number import is_whole


def validate_exemplar_options(features, metric):
    """Refuse unknown features and metrics, and pairs that make no sense.

    Args:
        features: `"pixels"` or `"feature_maps"`.
        metric: `"euclidean"` or `"hamming"`.

    Raises:
        ValueError: Another value, or Hamming on pixels.
    """
    if features not in ("pixels", "feature_maps"):
        raise ValueError(f"Expected features 'pixels' or 'feature_maps'. Received: {features!r}.")
    if metric not in ("euclidean", "hamming"):
        raise ValueError(f"Expected metric 'euclidean' or 'hamming'. Received: {metric!r}.")
    if features == "pixels" and metric == "hamming":
        raise ValueError(
            "Expected metric 'euclidean' for pixels: the Hamming distance is between feature maps "
            "made binary, and nearly every pixel is over 0. Received: 'hamming'."
        )


def validate_memory(memory):
    """Refuse anything but a positive number of bytes.

    Raises:
        ValueError: Zero, negative, or not a whole number.
    """
    if not is_whole(memory) or memory < 1:
        raise ValueError(f"Expected memory as a positive number of bytes. Received: {memory!r}.")


def validate_images(images, name="images"):
    """Images as a NumPy array, or one clear error.

    Args:
        images: `(images, height, width, channels)`.
        name: What they are, for the error.

    Raises:
        ValueError: No numbers, wrong shape, no images, NaN or infinity.
    """
    images = keras.ops.convert_to_numpy(images) if not isinstance(images, np.ndarray) else images
    validate_numbers(images, name)
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"Expected {name} of shape (images, height, width, channels), at least one. "
            f"Received: {images.shape}."
        )
    if np.issubdtype(images.dtype, np.inexact) and not np.isfinite(images).all():
        raise ValueError(f"Expected finite pixels. Received: {name} with NaN or infinity.")
    return images


def collapsed_feature_maps(model, layer, images, metric, batch_size=64):
    """Feature maps of one layer, each image's as one row.

    Args:
        model: A `keras.Model`.
        layer: Name of a `Conv2D` layer of it.
        images: `(images, height, width, channels)`.
        metric: `"euclidean"` gives the values, `"hamming"` packed bits: 1
            where the activation is over 0.
        batch_size: Images that are run together.

    Returns:
        `(images, values)`: float32, or uint8 with eight values in a byte.

    Raises:
        ValueError: An unknown layer or not a `Conv2D`, feature maps with NaN
            or infinity.
    """
    layers = named_layers(model)
    path = find_convolution(layer, layers)
    maps_of = FeatureMaps(model, {path: [layers[path]]})
    starts = range(0, len(images), batch_size)
    rows = None
    for start in track(starts, len(starts), "Computing feature maps"):
        maps = maps_of.compute(images[start : start + batch_size])[path]
        maps = maps.reshape(len(maps), -1)
        if not np.isfinite(maps).all():
            raise ValueError(
                f"Expected finite feature maps. Received: NaN or infinity from layer {layer!r}."
            )
        values = np.packbits(maps > 0, axis=1) if metric == "hamming" else maps
        if rows is None:
            # Filled as it goes: collected and joined, it would be there twice.
            dtype = "uint8" if metric == "hamming" else "float32"
            rows = np.empty((len(images), values.shape[1]), dtype)
        rows[start : start + batch_size] = values
    return rows
