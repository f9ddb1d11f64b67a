"""When to stop asking images: once their votes have settled which filters to select."""

import math

import numpy as np

from kerasft.real_number import is_real
from kerasft.susceptibility.borda import POINTS, borda_count
from kerasft.susceptibility.ranking import FilterRanking, fraction_size
from kerasft.susceptibility.tally import Tally

# Fewer votes tell too little about how much votes vary.
_FIRST_LOOK = 100
# The next look comes when there are so many times as many pairs.
_GROWTH = 1.25
_DRAWS = 400
_DRAW_SEED = 0


class SettlingTally(Tally):
    """A `Tally` that says when the most affected quarter of the filters is settled.

    That is when in every layer the ranking of all pairs is expected to agree
    with the votes so far on at least `confidence` of the places. It looks
    after 100 pairs and whenever their number has grown by a quarter, wherever
    batches end. The stop is ours; the paper lets all pairs vote.

    Args:
        confidence: Over 0 and under 1.
        population: Number of all pairs; `None` where unknown, taken as
            endless.
        keep_distances: As for `Tally`.
    """

    def __init__(self, confidence, population=None, keep_distances=False):
        super().__init__(keep_distances)
        self.confidence = confidence
        self.population = math.inf if population is None else population
        self._products = {}
        self._next_look = _FIRST_LOOK
        self._agreement = None

    def add(self, distances):
        """Let more pairs vote, up to the one that settles it; see `Tally.add`.

        Returns:
            Whether the selection is settled; what came after that pair is not
            counted.
        """
        rows = len(next(iter(distances.values())))
        start = 0
        while start < rows and self._agreement is None:
            stop = min(rows, start + self._next_look - self.pairs)
            self._count({name: matrix[start:stop] for name, matrix in distances.items()})
            if self.pairs == self._next_look:
                self._look()
            start = stop
        return self._agreement is not None

    def ranking(self):
        """The `FilterRanking` of all layers, with the confidence reached."""
        # Not settled means that no pair was left out.
        reached = self._agreement or dict.fromkeys(self._counts, 1.0)
        return FilterRanking({name: self.layer_ranking(name, reached[name]) for name in reached})

    def _count(self, distances):
        super().add(distances)
        for name, matrix in distances.items():
            # One at a time, as each image votes for itself. Sums of whole
            # numbers, so exact in whatever parts they come.
            votes = np.stack([borda_count(row) for row in matrix[:, np.newaxis]]).astype("float64")
            self._products[name] = self._products.get(name, 0.0) + votes.T @ votes

    def _look(self):
        self._next_look = math.ceil(self._next_look * _GROWTH)
        if self.pairs >= self.population:
            return
        agreement = {}
        for name, products in self._products.items():
            layer = self.layer_ranking(name)
            agreement[name] = expected_agreement(
                layer.borda_counts,
                products,
                self.pairs,
                layer.order[: fraction_size(len(layer.order))],
                self.population,
            )
            if agreement[name] < self.confidence:
                return
        self._agreement = agreement


def expected_agreement(borda_counts, products, pairs, selected, population=math.inf):
    """How much of a selection the ranking of all pairs is expected to share.

    By the central limit theorem, what all pairs would give differs from what
    the pairs so far gave by a normal vector with the covariance of the votes.
    400 such vectors are drawn, always the same ones, and the filters with the
    most points in each are compared with those selected.

    One more image is reckoned with that votes at random: without it, filters
    that nobody has voted for yet would be certain never to get a point, and
    the places among them settled.

    That is fair for one look. To stop at the first look that is good enough
    favours lucky ones, which costs little on the average, as
    `tests/susceptibility/test_settled.py` bounds and
    `docs/results/bench-ranking.csv` measures. It does cost a place for which
    two filters are as good as tied: that looks settled sooner or later, and
    half the time goes to the wrong one.

    Args:
        borda_counts: `(filters,)`, points of each filter so far.
        products: `(filters, filters)`, sum over the pairs of the outer
            product of their votes, that is of the points that each gave.
        pairs: Number of pairs that voted.
        selected: Indices of the filters selected, as many as are to be.
        population: Number of all pairs, of which those that voted are a
            random part. Default: endless.

    Returns:
        The expected share, 0 to 1.

    Example:

    >>> import numpy as np
    >>> votes = np.array([[10, 9], [10, 9], [10, 9], [9, 10]])
    >>> expected_agreement(votes.sum(axis=0), votes.T @ votes, 4, [0])
    0.8325
    """
    counts = np.asarray(borda_counts, "float64")
    scatter = products - np.outer(counts, counts) / pairs + _random_ballot(len(counts))
    # All votes have the same sum, so the matrix is singular; to move all
    # filters alike changes no order.
    root = np.linalg.cholesky(scatter + 1.0)
    noise = np.random.default_rng(_DRAW_SEED).standard_normal((_DRAWS, len(counts)))
    # Part of what all pairs will say is known already.
    totals = counts + math.sqrt(1 - pairs / population) * (noise @ root.T)
    top = np.argpartition(-totals, len(selected) - 1, axis=1)[:, : len(selected)]
    is_selected = np.zeros(len(counts), bool)
    is_selected[selected] = True
    return float(is_selected[top].mean())


def validate_confidence(confidence):
    """Refuse what is neither `None` nor a number over 0 and under 1.

    Raises:
        ValueError: Anything else.
    """
    if confidence is None:
        return
    # Negated, so that NaN is refused too.
    if not (is_real(confidence) and 0 < confidence < 1):
        raise ValueError(
            f"Expected confidence as a number over 0 and under 1. Received: {confidence!r}."
        )


def _random_ballot(filters):
    """Covariance of the points of an image that ranks the filters at random."""
    points = np.zeros(filters)
    points[: len(POINTS)] = POINTS[:filters]
    variance = points.var()
    covariance = np.full((filters, filters), -variance / max(1, filters - 1))
    np.fill_diagonal(covariance, variance)
    return covariance
