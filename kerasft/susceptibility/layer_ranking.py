import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LayerRanking:
    """The filters of one layer, from the most to the least susceptible.

    Attributes:
        order: `(filters,)`, int64: filter indices, most affected first.
        borda_counts: `(filters,)`, int64: points of each filter, by index;
            `None` where nobody votes: for a ranking from one exemplar of each
            set, and for one by another criterion than the paper's.
        mean_distance: `(filters,)`, float64: mean earth mover's distance of
            each filter, by index, in units of the feature maps. Of a ranking
            by another criterion, its score, which may be negative.
        pairs: Number of image pairs that voted; of a ranking by another
            criterion, the number of images that it was given, perhaps 0.
        distances: `(pairs, filters)`, float64, the distance matrix, where it
            was asked for, else `None`; in the order in which the pairs were
            visited.
        confidence: For a ranking that was to stop early: the share, 0 to 1, of
            the places among the most affected quarter of the filters that the
            ranking of all pairs given is expected to fill with the same
            filters; 1 where all pairs voted. Where their number could not be
            known beforehand, of endlessly many pairs like these. `None` where
            not asked for.
        criterion: Name of the criterion that `rank_filters_by` ranked by;
            `None` for earth mover's distances.

    Raises:
        ValueError: NaN or infinity in `mean_distance`.
    """

    order: np.ndarray
    borda_counts: np.ndarray | None
    mean_distance: np.ndarray
    pairs: int
    distances: np.ndarray | None = None
    confidence: float | None = None
    criterion: str | None = None

    def __post_init__(self):
        if not np.isfinite(self.mean_distance).all():
            raise ValueError("Expected finite distances. Received: NaN or infinity.")

    @classmethod
    def from_votes(cls, borda_counts, mean_distance, pairs, distances=None, confidence=None):
        """Order filters by points; ties by mean distance, then by index."""
        counts = np.asarray(borda_counts, "int64")
        mean = np.asarray(mean_distance, "float64")
        if counts.shape != mean.shape:
            raise ValueError(
                "Expected a count and a mean distance of each filter. Received: shapes "
                f"{counts.shape} and {mean.shape}."
            )
        order = np.lexsort((np.arange(len(counts)), -mean, -counts))
        return cls(order.astype("int64"), counts, mean, int(pairs), distances, confidence)

    @classmethod
    def from_distances(cls, distances):
        """Order filters by the distances of a single pair; ties by index."""
        distances = np.asarray(distances, "float64")
        order = np.argsort(-distances, kind="stable").astype("int64")
        return cls(order, None, distances, 1)

    @classmethod
    def from_scores(cls, scores, pairs, criterion):
        """Order filters by the scores that a criterion gave them; ties by index."""
        scores = np.asarray(scores, "float64")
        order = np.argsort(-scores, kind="stable").astype("int64")
        return cls(order, None, scores, int(pairs), criterion=criterion)

    def to_json(self):
        """The ranking as a dictionary of JSON values, without the distance matrix."""
        item = {
            "borda_counts": None if self.borda_counts is None else self.borda_counts.tolist(),
            "mean_distance": self.mean_distance.tolist(),
            "pairs": self.pairs,
        }
        rare = {"confidence": self.confidence, "criterion": self.criterion}
        return item | {key: value for key, value in rare.items() if value is not None}

    @classmethod
    def from_json(cls, item):
        """The inverse of `to_json`.

        Raises:
            ValueError, TypeError, KeyError: Not what `to_json` returns.
        """
        counts, pairs, confidence = item["borda_counts"], item["pairs"], item.get("confidence")
        criterion = item.get("criterion")
        # NumPy makes numbers of texts and of truth values too.
        if not all(type(value) in (int, float) for value in item["mean_distance"]):
            raise ValueError("distances are not a list of numbers")
        mean = np.asarray(item["mean_distance"], "float64")
        whole = [pairs, *(counts or ())]
        if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**63 for n in whole):
            raise ValueError("counts are not all whole numbers")
        if mean.ndim != 1 or not len(mean) or not np.isfinite(mean).all():
            raise ValueError("distances are not a list of numbers")
        if criterion is not None:
            if not isinstance(criterion, str) or counts is not None or confidence is not None:
                raise ValueError("a criterion is not a name, or stands beside votes")
            return cls.from_scores(mean, pairs, criterion)
        if (mean < 0).any():
            raise ValueError("a distance is negative")
        if confidence is not None:
            number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
            if not number or not 0 <= confidence <= 1:
                raise ValueError("a confidence is not a number from 0 to 1")
            confidence = float(confidence)
        if counts is None and pairs == 1 and confidence is None:
            return cls.from_distances(mean)
        if counts is None or len(counts) != len(mean) or pairs < 1:
            raise ValueError("counts and distances do not fit each other")
        return cls.from_votes(counts, mean, pairs, confidence=confidence)

    # The one that dataclasses write cannot compare arrays.
    def __eq__(self, other):
        if not isinstance(other, LayerRanking):
            return NotImplemented
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)
