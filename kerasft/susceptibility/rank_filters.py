from contextlib import closing

import keras
import numpy as np

from kerasft.layer_lookup import find_convolution, named_layers, short_name
from kerasft.progress import track
from kerasft.susceptibility.activation import following_layers
from kerasft.susceptibility.borda import borda_count
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.layer_ranking import LayerRanking
from kerasft.susceptibility.model_input import validate_model, validate_model_input
from kerasft.susceptibility.pairs import count_batches, stream_pairs
from kerasft.susceptibility.ranking import FilterRanking
from kerasft.susceptibility.wasserstein import validate_method, wasserstein_distances


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
        layers: Names of `Conv2D` layers (`nested_model/layer` where a bare
            name is not unique). Default: all.
        batch_size: Pairs that are run together; the result does not depend
            on it.
        after_activation: Take the maps after the batch normalization and
            activation that follow the convolution instead of its own output
            (which holds its fused activation).
        method: `"sorted"`, or `"scipy"` for the slow reference
            `scipy.stats.wasserstein_distance`.
        keep_distances: Keep the `(pairs, filters)` distance matrix of each
            layer in the result.

    Returns:
        A `FilterRanking`.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: Different numbers or shapes of clean and distorted images,
            no images, NaN or infinity in images or feature maps, different
            value ranges, channels that do not fit the model, a layer that is
            unknown or not a `Conv2D`.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> blur = kerasft.GaussianBlur(1.0)
    >>> ranking = kerasft.rank_filters(model, images[:20], blur, layers=["conv1"])
    >>> len(ranking.select(fraction=0.25)["conv1"])
    8

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2 and Algorithm 1.
    """
    ranker = Ranker(model, layers, batch_size, after_activation, method, keep_distances)
    return ranker.rank(clean, distorted)


def convolution_chains(model, layers=None, after_activation=False):
    """The convolution layers whose feature maps are wanted, for `FeatureMaps`.

    Args:
        model: A built `keras.Model`.
        layers: Names of `Conv2D` layers of it. Default: all.
        after_activation: Add the batch normalization and activation that
            follow each convolution.

    Returns:
        Dictionary from the shortest unique name to a list: the convolution,
        then the layers that finish it; in the order asked for.

    Raises:
        TypeError: One name instead of a list.
        ValueError: No layers, an unknown layer or not a `Conv2D`, or with
            `after_activation` a model whose wiring is not known.
    """
    found = named_layers(model)
    if layers is None:
        paths = [p for p, layer in found.items() if isinstance(layer, keras.layers.Conv2D)]
        if not paths:
            raise ValueError(f"Expected a model with Conv2D layers. Received: {model.name!r}.")
    else:
        if isinstance(layers, str):
            raise TypeError(f"Expected a list of layer names. Received: {layers!r}.")
        paths = list(dict.fromkeys(find_convolution(name, found) for name in layers))
        if not paths:
            raise ValueError("Expected the name of at least one layer. Received: none.")
    return {
        short_name(path, found): [
            found[path],
            *(following_layers(model, path) if after_activation else ()),
        ]
        for path in paths
    }


class Ranker:
    """Ranks the filters of one model, any number of times.

    Keeps the compiled function between calls; arguments as `rank_filters`.
    """

    def __init__(
        self,
        model,
        layers=None,
        batch_size=64,
        after_activation=False,
        method="sorted",
        keep_distances=False,
    ):
        validate_model(model, batch_size)
        validate_method(method)
        self.model = model
        self.batch_size = int(batch_size)
        self.method = method
        self.keep_distances = keep_distances
        chains = convolution_chains(model, layers, after_activation)
        self.layers = list(chains)
        self._feature_maps = FeatureMaps(model, chains)

    def rank(self, clean, distorted):
        """Rank on pairs of images; see `rank_filters`."""
        total = count_batches(self.model, clean, distorted, self.batch_size)
        sums, counts, kept, pairs = {}, {}, {}, 0
        batches = stream_pairs(clean, distorted, self.batch_size)
        with closing(track(batches, total, "Ranking filters")) as tracked:
            for clean_batch, distorted_batch in tracked:
                for name, distances in self._distances(clean_batch, distorted_batch).items():
                    counts[name] = counts.get(name, 0) + borda_count(distances)
                    # Row by row from the running sum, so that rounding does
                    # not depend on where a batch ends.
                    before = sums.get(name, np.zeros(distances.shape[1]))
                    sums[name] = np.add.accumulate(np.vstack([before, distances]))[-1]
                    if self.keep_distances:
                        kept.setdefault(name, []).append(distances)
                pairs += len(distances)
        return FilterRanking(
            {
                name: LayerRanking.from_votes(
                    counts[name],
                    sums[name] / pairs,
                    pairs,
                    np.concatenate(kept[name]) if self.keep_distances else None,
                )
                for name in counts
            }
        )

    def _distances(self, clean, distorted):
        """Distances of one batch, for each layer `(pairs, filters)`."""
        # Here for datasets, whose images are not known before.
        for name, images in (("clean", clean), ("distorted", distorted)):
            validate_model_input(self.model, images, name)
        clean_maps = self._feature_maps.compute(clean)
        distorted_maps = self._feature_maps.compute(distorted)
        result = {}
        for name, maps in clean_maps.items():
            result[name] = wasserstein_distances(maps, distorted_maps[name], self.method)
            finite = np.isfinite(result[name]).all(axis=0)
            if not finite.all():
                raise ValueError(
                    "Expected finite feature maps. Received: NaN or infinity from layer "
                    f"{name!r}, filters {np.flatnonzero(~finite).tolist()[:10]}."
                )
        return result
