"""How far features stay the same when images are distorted (Figure 6)."""

import dataclasses
from contextlib import closing

import numpy as np

from kerasft.progress import track
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.model_input import validate_model, validate_model_input
from kerasft.susceptibility.pairs import count_batches, stream_pairs
from kerasft.susceptibility.rank_filters import convolution_chains


# Not compared by value: the comparison that dataclasses write cannot compare arrays.
@dataclasses.dataclass(frozen=True, eq=False)
class DisparitySummary:
    """The disparity of one layer's feature maps over many pairs of images.

    Attributes:
        mean_map: `(height, width)`, float64, from 0 to `filters`: mean number
            of filters that differ at each location.
        total: Number of differences over all pairs, locations and filters.
            For one pair, the number that Figure 6 prints below a map.
        filters: Number of filters of the layer.
        pairs: Number of pairs of images.
    """

    mean_map: np.ndarray
    total: int
    filters: int
    pairs: int

    @property
    def mean_share(self):
        """Share of all binary features that differ, from 0 to 1.

        Unlike `total` it can be compared between layers.
        """
        return self.total / (self.pairs * self.mean_map.size * self.filters)


def disparity_maps(model, clean, distorted, *, layers=None, batch_size=64):
    """Where a distortion changes the features of a network, image by image.

    At each location of a convolution layer's output the features are made
    binary, 1 where the activation is over 0; the disparity is the Hamming
    distance between those of the clean and those of the distorted image: the
    number of filters that differ. Activations are taken after the batch
    normalization and activation that directly follow the convolution, as
    `rank_filters` finds them for `after_activation=True`.

    The maps of all images are kept; `mean_disparity` sums them up instead.

    Args:
        model: A built Functional or Sequential `keras.Model`. It is not
            changed. A layer whose activation is never 0 or less, as sigmoid,
            has no disparity.
        clean: Clean images, anything that `model.predict` takes: an array
            `(images, height, width, channels)`, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a PyTorch `DataLoader`. Pixels in the
            range that the model takes.
        distorted: The distorted versions in the same order, or a function
            from a batch of clean images to their distorted versions, such as
            `kerasft.GaussianBlur(1.0)`.
        layers: Names of `Conv2D` layers (`nested_model/layer` where a bare
            name is not unique). Default: all.
        batch_size: Pairs that are run together, at least 1; the result does
            not depend on it.

    Returns:
        Dictionary from layer name to the disparity maps of its output, an
        array `(images, height, width)`, int64, from 0 to the layer's number
        of filters.

    Raises:
        TypeError: `model` is not a `keras.Model`, not images.
        ValueError: Different numbers or shapes of clean and distorted images,
            no images, images of several sizes, NaN or infinity in images or
            feature maps, different value ranges, channels that do not fit the
            model, a layer that is unknown, not a `Conv2D`, or called by the
            model more than once.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> blur = kerasft.GaussianBlur(1.0)
    >>> maps = kerasft.disparity_maps(model, images[:20], blur, layers=["conv1"])
    >>> maps["conv1"].shape
    (20, 8, 8)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.2 and Figure 6.
    """
    maps = {}
    for batch in _changed_features(model, clean, distorted, layers, batch_size):
        for name, changed in batch.items():
            maps.setdefault(name, []).append(changed.sum(axis=-1, dtype="int64"))
    return {name: np.concatenate(parts) for name, parts in maps.items()}


def mean_disparity(model, clean, distorted, *, layers=None, batch_size=64):
    """Where a distortion changes the features of a network, over many images.

    The disparity maps of `disparity_maps`, averaged as they come: memory does
    not grow with the number of pairs.

    Args:
        model: A built Functional or Sequential `keras.Model`, as for
            `disparity_maps`.
        clean: Clean images, as for `disparity_maps`.
        distorted: Their distorted versions or a function that makes them, as
            for `disparity_maps`.
        layers: Names of `Conv2D` layers. Default: all.
        batch_size: Pairs that are run together, at least 1; the result does
            not depend on it.

    Returns:
        Dictionary from layer name to `DisparitySummary`.

    Raises:
        TypeError: As `disparity_maps`.
        ValueError: As `disparity_maps`.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> summary = kerasft.mean_disparity(model, images[:20], kerasft.GaussianBlur(1.0))
    >>> list(summary)
    ['conv1', 'conv2']
    >>> 0 < summary["conv1"].mean_share < 1
    True

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.2 and Figure 6.
    """
    sums, filters, pairs = {}, {}, 0
    for batch in _changed_features(model, clean, distorted, layers, batch_size):
        for name, changed in batch.items():
            # Whole numbers, so that the result does not depend on the batches.
            sums[name] = sums.get(name, 0) + changed.sum(axis=(0, -1), dtype="int64")
            filters[name] = changed.shape[-1]
        pairs += len(changed)
    return {
        name: DisparitySummary(total / pairs, int(total.sum()), filters[name], pairs)
        for name, total in sums.items()
    }


def _changed_features(model, clean, distorted, layers, batch_size):
    """Stream which binary features differ, batch by batch.

    Yields:
        Dictionary from layer name to an array `(images, height, width,
        filters)`, bool.
    """
    validate_model(model, batch_size)
    feature_maps = FeatureMaps(model, convolution_chains(model, layers, after_activation=True))
    total = count_batches(model, clean, distorted, batch_size)
    batches = stream_pairs(clean, distorted, int(batch_size))
    shapes = {}
    with closing(track(batches, total, "Comparing features")) as tracked:
        for clean_batch, distorted_batch in tracked:
            for kind, images in (("clean", clean_batch), ("distorted", distorted_batch)):
                validate_model_input(model, images, kind)
            clean_features = _binary_features(feature_maps, clean_batch)
            distorted_features = _binary_features(feature_maps, distorted_batch)
            changed = {
                name: features != distorted_features[name]
                for name, features in clean_features.items()
            }
            for name, features in changed.items():
                shape = features.shape[1:-1]
                # NumPy would stretch a map of height or width 1 to the others.
                if shapes.setdefault(name, shape) != shape:
                    raise ValueError(
                        "Expected images of one size. Received: images that give layer "
                        f"{name!r} outputs of {shapes[name]} and of {shape} locations."
                    )
            yield changed


def _binary_features(feature_maps, images):
    """Of each layer `(images, height, width, filters)`: whether the activation is over 0."""
    features = {}
    for name, calls in feature_maps.compute_calls(images).items():
        if len(calls) != 1:
            raise ValueError(
                "Expected layers that the model calls once, so that each has one map. "
                f"Received: {name!r}, called {len(calls)} times."
            )
        # NaN would pass as an activation that is not over 0.
        if not np.isfinite(calls[0]).all():
            raise ValueError(
                f"Expected finite feature maps. Received: NaN or infinity from layer {name!r}."
            )
        features[name] = calls[0] > 0
    return features
