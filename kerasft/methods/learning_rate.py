import dataclasses

import numpy as np

from kerasft.backend import predict_without_slow_jit
from kerasft.cross_entropy import cross_entropy
from kerasft.evaluation import predict_classes
from kerasft.seeding import seed_keras


def find_learning_rate(method, problem, seed, rates=(1e-4, 3e-4, 1e-3, 3e-3)):
    """The learning rate with which a method does best on the validation images.

    The method is run with each rate, and everything else the same; nothing but
    `problem.validation` is looked at. A method that trains without labels is
    tried the same way, so that its rate is chosen by those of validation.

    Args:
        method: A `Method`.
        problem: A `Problem`.
        seed: Seed of all runs, and of Keras before each of them.
        rates: Learning rates to try, over 0.

    Returns:
        The rate with the lowest validation loss; of equals the one with the
        higher validation accuracy, then the first. `problem.learning_rate`
        for a method that trains nothing, and without validation images.

    Raises:
        ValueError: No rate, one that is not over 0, or what the method
            raises with every rate.

    Example:

    >>> import kerasft
    >>> from kerasft.methods import METHODS, Problem, find_learning_rate
    >>> images, _ = kerasft.datasets.digits()
    >>> problem = Problem(kerasft.models.cifar10_cnn((8, 8, 1)), images)
    >>> find_learning_rate(METHODS["nothing"], problem, seed=0)
    0.001
    """
    rates = list(rates)
    if not rates or not all(rate > 0 for rate in rates):
        raise ValueError(f"Expected rates as learning rates over 0. Received: {rates}.")
    if problem.validation is None:
        return problem.learning_rate
    scores = {}
    for rate in rates:
        # For methods that do not seed themselves.
        seed_keras(seed)
        try:
            outcome = method.apply(dataclasses.replace(problem, learning_rate=rate), seed)
        except ValueError as error:
            # With this rate the training diverged, unless all rates fail.
            failure = error
            continue
        if outcome.epochs == 0:
            return problem.learning_rate
        scores[rate] = _score(outcome.model, problem)
    if not scores:
        raise failure
    return min(scores, key=scores.__getitem__)


def _score(model, problem):
    """What is to be small: loss, then errors, on the validation images."""
    images, labels = problem.validation
    predict_without_slow_jit(model)
    outputs = model.predict(images, batch_size=256, verbose=0)
    if not np.isfinite(outputs).all():
        # Diverged.
        return np.inf, 1.0
    # By these labels alone, since of those to train on there may be none.
    loss = float(cross_entropy(model, images[:8], labels, "validation")(labels, outputs))
    return loss, float(np.mean(predict_classes(model, images) != labels))
