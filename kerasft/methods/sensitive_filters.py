"""Our own method: a quarter of the parameters, those that labels ask for most.

Four steps, each of which is a published idea; the composition is ours:

1. Where the network has batch normalization, its statistics are recalibrated on
   the distorted images (Schneider et al., NeurIPS 2020).
2. All filters of all convolutions are compared by the squared gradient of the
   loss *per parameter* (He et al., ICCV 2023) and taken from the top until a
   quarter of the parameters of these layers is used. A fixed quarter of each
   layer spends nearly all of it in the upper, wide layers; this goes where it
   helps, often to most of the first layers.
3. They are fine-tuned, and with them a scale and the bias of every filter, which the
   quarter pays for too (Lian et al., NeurIPS 2022). Where the images have clean
   versions, half of each label is what the source network says of the clean version
   (Hinton et al., 2015).
4. The weights are put between those before and after training, where accuracy
   on validation images is highest (Wortsman et al., CVPR 2022).
"""

import dataclasses

from kerasft.batch_norm import all_batch_normalizations, recalibrate_batch_norm
from kerasft.criteria import RankingData, rank_filters_by, select_within_budget
from kerasft.criteria.filters import parameters_per_filter
from kerasft.methods.convolutions import convolutions
from kerasft.methods.interpolation import interpolate
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_convolution, no_labels
from kerasft.methods.scaled_filters import count_scales, train_scaled_filters
from kerasft.methods.soft_labels import with_soft_labels
from kerasft.methods.training import train_filters

SHARE = 0.25


def tune_sensitive_filters(
    problem, seed, *, share=SHARE, scaled=True, soft_labels=True, interpolated=True
):
    """The method; its steps can be left out, to measure what each is worth.

    Args:
        problem: A `Problem`.
        seed: Seed of the training.
        share: Of the parameters of the convolutions, over 0 and at most 1.
        scaled: Whether to train scales and biases in step 3.
        soft_labels: Whether to use what the source network says in step 3.
        interpolated: Whether to do step 4.

    Returns:
        An `Outcome`.
    """
    model = problem.model
    if all_batch_normalizations(model):
        model = recalibrate_batch_norm(model, problem.distorted)
    to_train = with_soft_labels(problem) if soft_labels else problem
    outcome = choose_and_train(model, problem, to_train, seed, share=share, scaled=scaled)
    if not interpolated:
        return outcome
    between = interpolate(model, outcome.model, *problem.validation)
    return dataclasses.replace(outcome, model=between)


def choose_and_train(model, problem, to_train, seed, *, share=SHARE, scaled=True):
    """Steps 2 and 3: filters by the labels of one problem, trained by those of another.

    Args:
        model: The problem's model, or that with other statistics.
        problem: A `Problem` by whose images and labels filters are chosen.
        to_train: A `Problem` by whose images and labels they are trained.
        seed: Seed of the training.
        share: Of the parameters of the convolutions, over 0 and at most 1.
        scaled: Whether to train the scale and the bias of every filter too, where the
            share pays for them and a filter besides.

    Returns:
        An `Outcome`.
    """
    layers = convolutions(problem)
    data = RankingData(distorted=problem.distorted, labels=problem.labels)
    ranking = rank_filters_by("gradient", model, data, layers=list(layers))
    budget = _budget(layers.values(), share)
    left = budget - count_scales(layers.values())
    if scaled and left >= min(map(parameters_per_filter, layers.values())):
        selection = select_within_budget(ranking, model, left, per_parameter=True)
        whole = {name: selection.get(name, ()) for name in ranking}
        return train_scaled_filters(model, to_train, seed, whole)
    selection = select_within_budget(ranking, model, budget, per_parameter=True)
    return train_filters(model, to_train, seed, selection)


def no_filter_in_share(problem):
    """Why the method would train nothing, in one sentence, or `None`."""
    layers = convolutions(problem).values()
    if _budget(layers, SHARE) < min(map(parameters_per_filter, layers)):
        return "A quarter of the parameters of its convolutions is less than one filter."
    return None


def _budget(layers, share):
    return int(share * sum(layer.count_params() for layer in layers))


SENSITIVE_FILTERS = Method(
    name="sensitive filters",
    apply=tune_sensitive_filters,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_convolution, no_filter_in_share),
)
