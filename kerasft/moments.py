import numpy as np


class Moments:
    """Mean and variance of values that come in parts, each channel for itself.

    In double precision and without sums of squares, so that neither the number
    of parts nor their order matters, but for rounding.

    Attributes:
        mean: `(channels,)`, float64.
        variance: `(channels,)`, float64, of the values themselves (divided by
            their number).

    Reference:
        Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances*, 1979.
    """

    def __init__(self):
        self._values = 0
        self.mean = 0.0
        self.variance = 0.0

    def add(self, means, variances, values):
        """Add parts of one size.

        Args:
            means: `(parts, channels)`.
            variances: `(parts, channels)`.
            values: Number of values in each channel of each part.
        """
        means = np.asarray(means, "float64")
        mean = means.mean(axis=0)
        variance = np.asarray(variances, "float64").mean(axis=0) + means.var(axis=0)
        values = values * len(means)
        share = values / (self._values + values)
        step = mean - self.mean
        self._values += values
        self.mean = self.mean + share * step
        self.variance = (
            (1 - share) * self.variance + share * variance + share * (1 - share) * step**2
        )
