"""The variant of our method that keeps accuracy on clean images.

It trains on the clean versions of the distorted images as well, which get the same
soft labels, and leaves statistics of batch normalizations as they are, since they have
to serve both. Labelled distorted images are few, clean ones are not: of other clean
images, where there are enough, 500 at most are trained on too, with what the source
network says of them as labels (Li and Hoiem, ECCV 2016), and twice as many are held out.
With as much weight as the distorted validation images those say when to stop. Weights
then go as far from the source's as distorted validation images ask for, but not so far
that more than 15 in a thousand of the clean ones are lost.

Without other clean images, or with too few to tell such a loss, a fifth of the pairs is
held out instead. Where these are fewer than 200, too few as well, both kinds of images
say with equal weight how far to go. Without pairs the clean images are the others, and
labels of distorted images are as they are.
"""

import dataclasses

import numpy as np

from kerasft.evaluation import predict_classes
from kerasft.methods.interpolation import interpolate
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, has_pairs, no_convolution, no_labels, no_pairs
from kerasft.methods.sensitive_filters import choose_and_train, no_filter_in_share
from kerasft.methods.soft_labels import said_by_source, with_one_hot_labels, with_soft_labels

# Other clean images to train on; twice as many are held out. Of fewer a loss of some in
# a thousand cannot be told from none; more cost time alone.
_ENOUGH, _PLENTY = 100, 500


def tune_and_keep_clean(problem, seed):
    """The method.

    Args:
        problem: A `Problem` with pairs, or with other clean images.
        seed: Seed of the images held out and of the training.

    Returns:
        An `Outcome`.
    """
    model, (images, labels) = problem.model, problem.validation
    held, more = _split_others(problem, seed)
    with_others = held is not None
    pairs = np.arange(len(problem.distorted))
    if not with_others:
        order = np.random.default_rng(seed).permutation(len(problem.clean))
        apart, pairs = np.split(order, [max(1, len(order) // 5)])
        held = problem.clean[apart], problem.labels[apart]
    # As many clean images as distorted ones: some several times, or not all.
    checked = np.resize(np.arange(len(held[1])), len(labels))
    both_kinds = (
        np.concatenate([images, held[0][checked]]),
        np.concatenate([labels, held[1][checked]]),
    )
    both = dataclasses.replace(problem, validation=both_kinds)
    if has_pairs(problem):
        # Of a pair that is held out neither version is trained on.
        both = dataclasses.replace(
            both,
            distorted=np.concatenate([problem.distorted[pairs], problem.clean[pairs]]),
            labels=np.tile(problem.labels[pairs], 2),
            clean=np.tile(problem.clean[pairs], (2, 1, 1, 1)),
        )
    to_train = with_soft_labels(both)
    if with_others:
        said = said_by_source(problem, more)
        if said.ndim > to_train.labels.ndim:
            to_train = with_one_hot_labels(to_train, said.shape[-1])
        to_train = dataclasses.replace(
            to_train,
            distorted=np.concatenate([to_train.distorted, more]),
            labels=np.concatenate([to_train.labels, said]).astype(said.dtype),
        )
    # Filters alone: what scales of the others would cost on clean images was not measured.
    outcome = choose_and_train(model, both, to_train, seed, scaled=False)
    if len(held[1]) >= 2 * _ENOUGH:
        between = interpolate(model, outcome.model, images, labels, kept=held)
    else:
        between = interpolate(model, outcome.model, *both_kinds)
    return dataclasses.replace(outcome, model=between)


def _split_others(problem, seed):
    """Other clean images and their labels to hold out, and others to train on, if enough."""
    images, labels = _others(problem)
    count = min(len(images) // 3, _PLENTY)
    if count < _ENOUGH:
        return None, None
    order = np.random.default_rng(seed).permutation(len(images))
    more, held = order[:count], order[count : 3 * count]
    known = predict_classes(problem.model, images[held]) if labels is None else labels[held]
    return (images[held], known), images[more]


def _others(problem):
    if problem.other_clean is not None:
        return problem.other_clean
    if problem.clean is None or problem.paired:
        return (), None
    return problem.clean, problem.clean_labels


def _neither_pairs_nor_others(problem):
    if len(_others(problem)[0]) >= 3 * _ENOUGH:
        return None
    reason = no_pairs(problem)
    if reason is None and len(problem.distorted) < 2:
        reason = "A single pair cannot be trained on and held out too."
    return reason and f"{reason} Of other clean ones there are fewer than {3 * _ENOUGH}."


SENSITIVE_FILTERS_CLEAN_KEPT = Method(
    name="sensitive filters, clean kept",
    apply=tune_and_keep_clean,
    needs_labels=True,
    reason_against=first_reason(
        no_labels, no_convolution, no_filter_in_share, _neither_pairs_nor_others
    ),
)
