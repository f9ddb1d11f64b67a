from kerasft.medoids import euclidean_medoid, hamming_medoid
from kerasft.susceptibility.exemplar_features import (
    collapsed_feature_maps,
    validate_exemplar_options,
    validate_images,
    validate_memory,
)
from kerasft.susceptibility.model_input import (
    validate_model,
    validate_model_input,
    validate_one_input,
)


def find_exemplar(
    images,
    *,
    features="pixels",
    metric="euclidean",
    model=None,
    layer=None,
    batch_size=64,
    memory=2**30,
):
    """The exemplar of a set of images: its exact 1-medoid.

    The member with the smallest summed distance to all others. Under the
    Euclidean distance k-medoids of scikit-learn-extra finds it while the
    matrix of all distances fits into `memory`, and a computation by blocks
    beyond; under the Hamming distance it follows from counts of set bits,
    without distances between pairs. All give the same index, the lowest where
    several images share the smallest sum.

    Args:
        images: `(images, height, width, channels)`, integers or floats.
        features: What distances are taken between: `"pixels"`, or
            `"feature_maps"`: the feature maps of `layer`, as one vector.
        metric: `"euclidean"`, or `"hamming"` for feature maps made binary: 1
            where the activation is over 0.
        model: The `keras.Model`, for feature maps; pixels in its range.
        layer: Name of a `Conv2D` layer of it.
        batch_size: Images that are run together.
        memory: Bytes to use for distances.

    Returns:
        Index of the exemplar.

    Raises:
        TypeError: Feature maps without a model or layer; not a `keras.Model`.
        ValueError: No images, NaN or infinity, an unknown layer, Hamming on
            pixels, images that the model does not take, a model with several
            inputs, no bytes to use.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> index = kerasft.find_exemplar(images)
    >>> images[index].shape
    (8, 8, 1)

    Reference:
        Bianchi et al., arXiv 1904.03949, Sections 3.4 and 4.4.
    """
    validate_exemplar_options(features, metric)
    validate_memory(memory)
    images = validate_images(images)
    if features == "pixels":
        return euclidean_medoid(images.reshape(len(images), -1), memory)
    if model is None or layer is None:
        raise TypeError("Expected a model and a layer for features='feature_maps'. Received: none.")
    validate_model(model, batch_size)
    validate_one_input(model)
    validate_model_input(model, images, "clean")
    rows = collapsed_feature_maps(model, layer, images, metric, batch_size)
    return hamming_medoid(rows) if metric == "hamming" else euclidean_medoid(rows, memory)
