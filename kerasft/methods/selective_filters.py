import numpy as np

from kerasft.batch_norm import recalibrate_batch_norm
from kerasft.criteria import RankingData, rank_filters_by
from kerasft.methods.convolutions import convolutions
from kerasft.methods.method import Method
from kerasft.methods.reasons import (
    first_reason,
    no_batch_norm,
    no_clean_labels,
    no_convolution,
    no_labels,
    no_pairs,
)
from kerasft.methods.training import train_filters


def selective_filters(
    name, criterion, *, fraction=0.25, recalibrate=False, keep_clean=False, needs_pairs=False
):
    """A method that trains the filters that a criterion puts first, and nothing else.

    Args:
        name: Name of the method.
        criterion: Name of a criterion of `kerasft.criteria`, or a function
            `criterion(model, data, layer)` that gives each filter of the
            layer a number, the larger the rather to be trained.
        fraction: Share of each layer's filters, over 0 and at most 1.
        recalibrate: First give batch normalizations the statistics of the
            images to train on; filters are then ranked on that model.
        keep_clean: Train on as many clean images as distorted ones beside
            them, so that accuracy on clean images is kept. Early stopping
            still looks at distorted images only.
        needs_pairs: Whether the criterion compares the distorted images with
            their clean versions.

    Returns:
        A `Method`.

    Example:

    >>> from kerasft.methods import selective_filters
    >>> def largest_bias(model, data, layer):
    ...     return model.get_layer(layer).get_weights()[1]
    >>> selective_filters("largest bias", largest_bias, fraction=0.1).name
    'largest bias'

    Reference:
        Bianchi et al., arXiv 1904.03949, for `"emd_borda"`.
    """

    def apply(problem, seed):
        images, labels = problem.distorted, problem.labels
        if keep_clean:
            images, labels = _with_clean(problem, seed)
        model = recalibrate_batch_norm(problem.model, images) if recalibrate else problem.model
        data = RankingData(
            clean=problem.clean if problem.paired else None,
            distorted=problem.distorted,
            labels=problem.labels,
        )
        ranking = rank_filters_by(criterion, model, data, layers=list(convolutions(problem)))
        return train_filters(model, problem, seed, ranking.select(fraction), (images, labels))

    reasons = [no_labels, no_convolution]
    reasons += [no_pairs] if needs_pairs else []
    reasons += [no_batch_norm] if recalibrate else []
    reasons += [no_clean_labels] if keep_clean else []
    return Method(name, apply, needs_labels=True, reason_against=first_reason(*reasons))


def _with_clean(problem, seed):
    """The distorted images and as many clean ones, drawn at random, some twice if need be."""
    labels = problem.labels if problem.clean_labels is None else problem.clean_labels
    order = np.random.default_rng(seed).permutation(len(problem.clean))
    drawn = np.resize(order, len(problem.distorted))
    return (
        np.concatenate([problem.distorted, problem.clean[drawn]]),
        np.concatenate([problem.labels, labels[drawn]]),
    )
