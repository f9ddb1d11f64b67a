"""Why a method cannot be used on a problem, in one sentence each."""

from kerasft.batch_norm import all_batch_normalizations
from kerasft.methods.convolutions import convolutions


def first_reason(*reasons):
    """Make `Method.reason_against` of several.

    Args:
        *reasons: Functions from a `Problem` to a sentence or `None`.

    Returns:
        Function from a `Problem` to the first sentence that holds, or `None`.
    """
    return lambda problem: next(filter(None, (reason(problem) for reason in reasons)), None)


def no_labels(problem):
    if problem.labels is None or problem.validation is None:
        return "There are no labels of distorted images, for training and validation."
    return None


def no_batch_norm(problem):
    if not all_batch_normalizations(problem.model):
        return "The model has no batch normalization."
    return None


def no_convolution(problem):
    if not convolutions(problem):
        return "The model has no convolutions whose filters can be trained one by one."
    return None


def has_pairs(problem):
    return problem.clean is not None and problem.paired


def no_pairs(problem):
    if not has_pairs(problem):
        return "There are no clean versions of the distorted images."
    return None


def no_clean(problem):
    return "There are no clean images." if problem.clean is None else None


def no_clean_labels(problem):
    if no_clean(problem):
        return no_clean(problem)
    if problem.clean_labels is None and not problem.paired:
        return "There are no labels of clean images."
    return None
