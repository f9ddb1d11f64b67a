"""Our own method: a quarter of the parameters, those that labels ask for most.

Four steps, each of which is a published idea; the composition is ours:

1. Where the network has batch normalization, its statistics are recalibrated on
   the distorted images (Schneider et al., NeurIPS 2020).
2. All filters of all convolutions are compared by the squared gradient of the
   loss *per parameter* (He et al., ICCV 2023) and taken from the top until a
   quarter of the parameters of these layers is used. A fixed quarter of each
   layer spends nearly all of it in the upper, wide layers; this goes where it
   helps, often to most of the first layers.
3. They are fine-tuned. Where the images have clean versions, half of each label
   is what the source network says of the clean version (Hinton et al., 2015).
4. The weights are put between those before and after training, where accuracy
   on validation images is highest (Wortsman et al., CVPR 2022).

The variant that keeps clean accuracy trains on the clean versions as well, which
get the same soft labels, and leaves statistics as they are, since they have to
serve both. A fifth of the pairs is held out; with as much weight as the distorted
validation images their clean versions say when to stop and how far to go.
"""

import dataclasses

import keras
import numpy as np

from kerasft.backend import predict_without_slow_jit
from kerasft.batch_norm import batch_normalizations, recalibrate_batch_norm
from kerasft.criteria import RankingData, rank_filters_by, select_within_budget
from kerasft.methods.convolutions import convolutions
from kerasft.methods.interpolation import interpolate
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_convolution, no_labels, no_pairs
from kerasft.methods.training import label_loss, train_filters

_SHARE = 0.25


def tune_sensitive_filters(problem, seed, *, share=_SHARE, soft_labels=True, interpolated=True):
    """The method; its steps can be left out, to measure what each is worth.

    Args:
        problem: A `Problem`.
        seed: Seed of the training.
        share: Of the parameters of the convolutions, over 0 and at most 1.
        soft_labels: Whether to do the second half of step 3.
        interpolated: Whether to do step 4.

    Returns:
        An `Outcome`.
    """
    model = problem.model
    if batch_normalizations(model):
        model = recalibrate_batch_norm(model, problem.distorted)
    to_train = _with_soft_labels(problem) if soft_labels else problem
    outcome = _tune(model, problem, to_train, seed, share)
    if not interpolated:
        return outcome
    return _interpolated(outcome, model, problem.validation)


def tune_and_keep_clean(problem, seed):
    """The variant that keeps accuracy on clean images.

    Args:
        problem: A `Problem` with pairs.
        seed: Seed of the images held out and of the training.

    Returns:
        An `Outcome`.
    """
    order = np.random.default_rng(seed).permutation(len(problem.clean))
    held, kept = np.split(order, [max(1, len(order) // 5)])
    images, labels = problem.validation
    # As many as the distorted ones: some several times, or not all.
    checked = np.resize(held, len(images))
    validation = (
        np.concatenate([images, problem.clean[checked]]),
        np.concatenate([labels, problem.labels[checked]]),
    )
    # Of a pair that is held out neither version is trained on.
    both = dataclasses.replace(
        problem,
        distorted=np.concatenate([problem.distorted[kept], problem.clean[kept]]),
        labels=np.tile(problem.labels[kept], 2),
        clean=np.tile(problem.clean[kept], (2, 1, 1, 1)),
        validation=validation,
    )
    outcome = _tune(problem.model, both, _with_soft_labels(both), seed, _SHARE)
    return _interpolated(outcome, problem.model, validation)


def _tune(model, problem, to_train, seed, share):
    """Steps 2 and 3: filters by the labels of one problem, trained by those of another."""
    layers = convolutions(problem)
    data = RankingData(distorted=problem.distorted, labels=problem.labels)
    ranking = rank_filters_by("gradient", model, data, layers=list(layers))
    budget = int(share * sum(layer.count_params() for layer in layers.values()))
    selection = select_within_budget(ranking, model, budget, per_parameter=True)
    return train_filters(model, to_train, seed, selection)


def _interpolated(outcome, before, validation):
    return dataclasses.replace(outcome, model=interpolate(before, outcome.model, *validation))


def _with_soft_labels(problem):
    """The problem with labels that are half the source network's, where it can see clean images."""
    images, labels = problem.validation
    predict_without_slow_jit(problem.model)
    if problem.clean is None or not problem.paired:
        return problem
    outputs = problem.model.predict(problem.clean, batch_size=256, verbose=0)
    classes = outputs.shape[-1]
    if classes == 1:
        # The loss for a single output takes whole labels.
        return problem
    if label_loss(problem.model, problem).from_logits:
        outputs = keras.ops.convert_to_numpy(keras.ops.softmax(outputs))
    hard = keras.utils.to_categorical(problem.labels, classes)
    return dataclasses.replace(
        problem,
        labels=np.asarray((hard + outputs) / 2, "float32"),
        validation=(images, keras.utils.to_categorical(labels, classes)),
    )


SENSITIVE_FILTERS = Method(
    name="sensitive filters",
    apply=tune_sensitive_filters,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_convolution),
)

SENSITIVE_FILTERS_CLEAN_KEPT = Method(
    name="sensitive filters, clean kept",
    apply=tune_and_keep_clean,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_convolution, no_pairs),
)
