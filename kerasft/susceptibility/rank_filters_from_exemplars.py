import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import pairwise_distances

from kerasft.medoids import (
    euclidean_medoid,
    hamming_distances,
    hamming_medoid,
    k_medoids,
)
from kerasft.susceptibility.exemplar_features import (
    collapsed_feature_maps,
    validate_exemplar_options,
    validate_images,
    validate_memory,
)
from kerasft.susceptibility.layer_ranking import LayerRanking
from kerasft.susceptibility.model_input import (
    validate_model,
    validate_model_input,
    validate_one_input,
)
from kerasft.susceptibility.rank_filters import Ranker
from kerasft.susceptibility.ranking import FilterRanking
from kerasft.whole_number import is_whole


def rank_filters_from_exemplars(
    model,
    clean,
    distorted,
    *,
    features="pixels",
    metric="euclidean",
    layers=None,
    exemplars=1,
    batch_size=64,
    memory=2**30,
    seed=0,
):
    """Rank filters from two independent sets of images, without pairs.

    Each set is stood for by its exemplar (see `kerasft.find_exemplar`); in
    each layer filters are ranked by the earth mover's distance between their
    feature maps for the two exemplars. Nobody votes, so the ranking has no
    Borda counts (`borda_counts` is `None`).

    With `exemplars` over 1, which goes beyond the paper, each set is stood for
    by its k medoids; those of the two sets are matched one to one with the
    smallest total distance, and the matched pairs vote by Borda count.

    Args:
        model: A built `keras.Model` with one input; not changed.
        clean: Clean images `(images, height, width, channels)` in the range
            that the model takes.
        distorted: Distorted images of the same shape, in any number; no
            pairs are assumed.
        features: `"pixels"`, or `"feature_maps"`: exemplars are then found
            for each layer by its own feature maps.
        metric: `"euclidean"`, or `"hamming"` for feature maps.
        layers: Names of `Conv2D` layers. Default: all.
        exemplars: Number of exemplars of each set, at most the images in it.
        batch_size: Images that are run together.
        memory: Bytes to use for distances. More than one exemplar needs the
            matrix of all distances, which must fit.
        seed: Seed of k-medoids for more than one exemplar, from 0 to 2³²−1.

    Returns:
        A `FilterRanking`; `pairs` is the number of exemplars.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: An empty set, different image shapes, NaN or infinity, an
            unknown layer, Hamming on pixels, more exemplars than images, a
            set too large for several exemplars, a seed that is none, or a
            model with several inputs.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> blurred = kerasft.gaussian_blur(images[200:350], sigma=1.0)
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> ranking = kerasft.rank_filters_from_exemplars(
    ...     model, images[:200], blurred, layers=["conv1"])
    >>> len(ranking.select(fraction=0.25)["conv1"])
    8

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.4.
    """
    validate_exemplar_options(features, metric)
    validate_memory(memory)
    validate_model(model, batch_size)
    validate_one_input(model)
    clean = validate_images(clean, "clean images")
    distorted = validate_images(distorted, "distorted images")
    if clean.shape[1:] != distorted.shape[1:]:
        raise ValueError(
            "Expected clean and distorted images of one shape. Received: "
            f"{clean.shape[1:]} and {distorted.shape[1:]}."
        )
    _validate_exemplars(exemplars, clean, distorted, memory)
    # What scikit-learn takes.
    if not is_whole(seed) or not 0 <= seed < 2**32:
        raise ValueError(
            f"Expected seed as a whole number from 0 to {2**32 - 1}. Received: {seed!r}."
        )
    ranker = Ranker(model, layers, batch_size)
    validate_model_input(model, clean, "clean")
    if features == "pixels":
        rows = [images.reshape(len(images), -1) for images in (clean, distorted)]
        pairs = _exemplar_pairs(rows, "euclidean", exemplars, memory, seed)
        return _rank(ranker, clean, distorted, pairs)
    ranking = {}
    for name in ranker.layers:
        rows = [
            collapsed_feature_maps(model, name, images, metric, batch_size)
            for images in (clean, distorted)
        ]
        pairs = _exemplar_pairs(rows, metric, exemplars, memory, seed)
        ranking[name] = _rank(Ranker(model, [name], batch_size), clean, distorted, pairs)[name]
    return FilterRanking(ranking)


def _validate_exemplars(exemplars, clean, distorted, memory):
    fewest, most = sorted((len(clean), len(distorted)))
    if not is_whole(exemplars) or not 1 <= exemplars <= fewest:
        raise ValueError(
            f"Expected exemplars as a whole number from 1 to {fewest}, the images of the smaller "
            f"set. Received: {exemplars!r}."
        )
    # Distances are there twice inside of k-medoids.
    if exemplars > 1 and 16 * most**2 > memory:
        raise ValueError(
            f"Expected at most {int((memory / 16) ** 0.5):,} images in a set for several exemplars "
            f"within {memory:,} bytes. Received: {most:,}; draw a subset, or give "
            "rank_filters_from_exemplars more memory=."
        )


def _exemplar_pairs(rows, metric, k, memory, seed):
    """Indices of the exemplars of both sets, matched: two lists."""
    if k == 1:
        if metric == "hamming":
            return [[hamming_medoid(r)] for r in rows]
        return [[euclidean_medoid(r, memory)] for r in rows]
    distances = hamming_distances if metric == "hamming" else _euclidean
    chosen = [np.asarray(k_medoids(distances(r, r), k, seed)) for r in rows]
    between = distances(rows[0][chosen[0]], rows[1][chosen[1]])
    first, second = linear_sum_assignment(between)
    return [chosen[0][first], chosen[1][second]]


def _euclidean(a, b):
    return pairwise_distances(a.astype("float64"), b.astype("float64"))


def _rank(ranker, clean, distorted, pairs):
    ranking = ranker.rank(clean[pairs[0]], distorted[pairs[1]])
    if len(pairs[0]) > 1:
        return ranking
    # A single pair does not vote: its distances are the ranking.
    return FilterRanking(
        {name: LayerRanking.from_distances(layer.mean_distance) for name, layer in ranking.items()}
    )
