"""Intervals for what is reported."""

import numpy as np
import scipy.stats


def mean_interval(values, level=0.95):
    """Mean and confidence interval of repeated runs (Student's t).

    Args:
        values: Sequence of numbers, at least one.
        level: Confidence, between 0 and 1.

    Returns:
        `(mean, low, high)`; low and high are NaN for a single value.

    Example:

    >>> from kerasft.statistics import mean_interval
    >>> mean, low, high = mean_interval([0.6, 0.7, 0.8])
    >>> round(mean, 2), round(low, 3), round(high, 3)
    (0.7, 0.452, 0.948)
    """
    values = np.asarray(values, "float64")
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = scipy.stats.t.ppf((1 + level) / 2, len(values) - 1) * scipy.stats.sem(values)
    return mean, mean - float(half), mean + float(half)


def proportion_interval(successes, trials, level=0.95):
    """Confidence interval of an accuracy measured on one test set (Wilson).

    Args:
        successes: Number of right answers.
        trials: Number of images, at least 1.
        level: Confidence, between 0 and 1.

    Returns:
        `(low, high)`.

    Example:

    >>> from kerasft.statistics import proportion_interval
    >>> low, high = proportion_interval(50, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(level, "wilson")
    return float(interval.low), float(interval.high)
