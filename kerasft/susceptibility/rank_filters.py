from contextlib import closing

import keras
import numpy as np

from kerasft.backend import has_accelerator, predict_batch
from kerasft.layer_lookup import find_convolution, named_layers, short_name
from kerasft.layer_names import layer_names
from kerasft.progress import track
from kerasft.susceptibility.activation import following_layers
from kerasft.susceptibility.feature_distances import FeatureDistances
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.model_input import (
    validate_batch_size,
    validate_model,
    validate_model_input,
)
from kerasft.susceptibility.pairs import count_batches, count_pairs, random_order, stream_pairs
from kerasft.susceptibility.settled import SettlingTally, validate_confidence
from kerasft.susceptibility.tally import Tally
from kerasft.susceptibility.wasserstein import validate_method, wasserstein_distances
from kerasft.susceptibility.wiring import Wiring


def rank_filters(
    model,
    clean,
    distorted,
    *,
    layers=None,
    batch_size=64,
    after_activation=False,
    method="sorted",
    keep_distances=False,
    confidence=None,
):
    """Rank the filters of convolution layers by what a distortion does to them.

    For each pair of a clean and a distorted version of the same image, the
    earth mover's distance between the two feature maps of each filter is
    taken; in each layer the images vote by Borda count. Pairs are streamed:
    memory does not grow with their number.

    Args:
        model: A built `keras.Model`. It is not changed.
        clean: Clean images, anything that `model.predict` takes: an array
            `(images, height, width, channels)`, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a PyTorch `DataLoader`. Pixels in the
            range that the model takes.
        distorted: The distorted versions in the same order, or a function
            from a batch of clean images to their distorted versions, such as
            `kerasft.GaussianBlur(1.0)`.
        layers: Names of convolutions, of any kind that Keras has
            (`nested_model/layer` where a bare name is not unique). Default:
            every `Conv2D`.
        batch_size: Pairs that are run together; the result does not depend
            on it.
        after_activation: Take the maps after the batch normalization and
            activation that directly follow the convolution, within nested
            models or beyond them, instead of its own output (which holds its
            fused activation). Activations are Keras's layers of them and
            functions such as `keras.activations.relu` or `keras.ops.relu`;
            `Lambda`, layers of others and arithmetic are not followed, nor is
            an output that goes to several layers.
        method: `"sorted"`, or `"scipy"` for the slow reference
            `scipy.stats.wasserstein_distance`. On an accelerator `"sorted"`
            computes there, in single precision.
        keep_distances: Keep the `(pairs, filters)` distance matrix of each
            layer in the result, a row for each pair in the order in which
            they were visited.
        confidence: Over 0 and under 1. Stop as soon as the most affected
            quarter of each layer's filters (the default of
            `FilterRanking.select`) is settled: the ranking of all pairs is
            expected to share at least this part of its places, such as
            `0.95`. The confidence reached and the number of pairs used are in
            each `LayerRanking`. Arrays are then visited in a random order,
            always the same: `np.random.default_rng(0).permutation(pairs)`.
            Where clean or distorted images come from a dataset, pairs are
            taken as they come: *shuffle them before*, both alike. Of two
            datasets the number of pairs is not known beforehand, and “all
            pairs” are endlessly many. Default: use all pairs.

    Returns:
        A `FilterRanking`. Where distorted images are no other than clean ones
        (a Keras noise layer does nothing in inference), all distances are 0
        and the order is that of the indices.

    Raises:
        TypeError: `model` is not a `keras.Model`, `layers` no list of names.
        ValueError: A model that is not built, different numbers or shapes of
            clean and distorted images, no images, NaN or infinity in images
            or feature maps, different value ranges, channels that do not fit
            the model, a distortion of the package for images with channels
            first, a layer that is unknown or not a convolution, `confidence`
            out of range. With `after_activation` a model whose wiring is not
            known, or a layer that is called several times and followed by
            different ones.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> blur = kerasft.GaussianBlur(1.0)
    >>> ranking = kerasft.rank_filters(model, images[:20], blur, layers=["conv1"])
    >>> len(ranking.select(fraction=0.25)["conv1"])
    8

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2 and Algorithm 1;
        `confidence` is ours.
    """
    validate_model(model, batch_size)
    ranker = Ranker(model, layers, batch_size, after_activation, method, keep_distances, confidence)
    return ranker.rank(clean, distorted)


def convolution_chains(model, layers=None, after_activation=False):
    """The convolution layers whose feature maps are wanted, for `FeatureMaps`.

    Args:
        model: A built `keras.Model`.
        layers: Names of convolutions of it. Default: every `Conv2D`.
        after_activation: Add the batch normalization and activation that
            follow each convolution.

    Returns:
        Dictionary from the shortest unique name to a list: the convolution,
        then the layers and operations that finish it; in the order asked for.

    Raises:
        TypeError: One name instead of a list, or no sequence.
        ValueError: No layers, an unknown layer or not a convolution, or with
            `after_activation` a model whose wiring is not known, or a layer
            that is followed by different ones in several calls.
    """
    found = named_layers(model)
    if layers is None:
        paths = [p for p, layer in found.items() if isinstance(layer, keras.layers.Conv2D)]
        if not paths:
            raise ValueError(
                "Expected a model with Conv2D layers, or layers= to name other convolutions. "
                f"Received: {model.name!r}."
            )
    else:
        names = layer_names(layers, "layers")
        paths = list(dict.fromkeys(find_convolution(name, found) for name in names))
        if not paths:
            raise ValueError("Expected the name of at least one layer. Received: none.")
    wiring = Wiring(model)
    return {
        short_name(path, found): [
            found[path],
            *(following_layers(wiring, found[path]) if after_activation else ()),
        ]
        for path in paths
    }


class Ranker:
    """Ranks the filters of one model, any number of times.

    Keeps the compiled function between calls; arguments as `rank_filters`. A model that
    is not built yet is built by its first images, as `fit` does where a callback ranks.
    """

    def __init__(
        self,
        model,
        layers=None,
        batch_size=64,
        after_activation=False,
        method="sorted",
        keep_distances=False,
        confidence=None,
    ):
        validate_batch_size(batch_size)
        validate_method(method)
        validate_confidence(confidence)
        self.model = model
        self.batch_size = int(batch_size)
        self.method = method
        self.keep_distances = keep_distances
        self.confidence = confidence
        chains = convolution_chains(model, layers, after_activation)
        self.layers = list(chains)
        self._feature_maps = FeatureMaps(model, chains)
        # On an accelerator maps stay where they are; SciPy wants them on the host.
        on_device = has_accelerator() and method == "sorted"
        self._feature_distances = FeatureDistances(self._feature_maps) if on_device else None

    def rank(self, clean, distorted):
        """Rank on pairs of images; see `rank_filters`."""
        total = count_batches(self.model, clean, distorted, self.batch_size)
        if self.confidence is None:
            tally, order = Tally(self.keep_distances), None
        else:
            pairs = count_pairs(clean, distorted)
            tally = SettlingTally(self.confidence, pairs, self.keep_distances)
            # The first pairs must speak for all, but sets are often sorted by class.
            order = random_order(clean, distorted)
        batches = stream_pairs(clean, distorted, self.batch_size, order)
        with closing(track(batches, total, "Ranking filters")) as tracked:
            for clean_batch, distorted_batch in tracked:
                if tally.add(self._distances(clean_batch, distorted_batch)):
                    break
        return tally.ranking()

    def _distances(self, clean, distorted):
        """Distances of one batch, for each layer `(pairs, filters)`."""
        # Here for datasets, whose images are not known before.
        for name, images in (("clean", clean), ("distorted", distorted)):
            validate_model_input(self.model, images, name)
        if self._feature_distances is not None:
            result = predict_batch(self._feature_distances, (clean, distorted))
            result = {name: result[name].astype("float64") for name in self.layers}
        else:
            clean_maps = self._feature_maps.compute(clean)
            distorted_maps = self._feature_maps.compute(distorted)
            result = {
                name: wasserstein_distances(maps, distorted_maps[name], self.method)
                for name, maps in clean_maps.items()
            }
        for name, matrix in result.items():
            finite = np.isfinite(matrix).all(axis=0)
            if not finite.all():
                raise ValueError(
                    "Expected finite feature maps. Received: NaN or infinity from layer "
                    f"{name!r}, filters {np.flatnonzero(~finite).tolist()[:10]}."
                )
        return result
