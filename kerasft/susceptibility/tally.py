import numpy as np

from kerasft.susceptibility.borda import borda_count
from kerasft.susceptibility.layer_ranking import LayerRanking
from kerasft.susceptibility.ranking import FilterRanking


class Tally:
    """The votes of the pairs seen so far, in every layer.

    Holds sums, so that memory does not grow with the number of pairs.

    Args:
        keep_distances: Keep the distance matrix of each layer, too.

    Attributes:
        pairs: Number of pairs seen.
    """

    def __init__(self, keep_distances=False):
        self.keep_distances = keep_distances
        self.pairs = 0
        self._counts, self._sums, self._kept = {}, {}, {}

    def add(self, distances):
        """Let more pairs vote.

        Args:
            distances: Dictionary from layer name to `(pairs, filters)`, the
                earth mover's distances.

        Returns:
            Whether it is time to stop: never, here.
        """
        for name, matrix in distances.items():
            self._counts[name] = self._counts.get(name, 0) + borda_count(matrix)
            # Row by row from the running sum, so that rounding does not
            # depend on where a batch ends.
            before = self._sums.get(name, np.zeros(matrix.shape[1]))
            self._sums[name] = np.add.accumulate(np.vstack([before, matrix]))[-1]
            if self.keep_distances:
                self._kept.setdefault(name, []).append(matrix)
        self.pairs += len(matrix)
        return False

    def layer_ranking(self, name, confidence=None):
        """The `LayerRanking` of one layer by the votes so far."""
        return LayerRanking.from_votes(
            self._counts[name],
            self._sums[name] / self.pairs,
            self.pairs,
            np.concatenate(self._kept[name]) if self.keep_distances else None,
            confidence,
        )

    def ranking(self):
        """The `FilterRanking` of all layers by the votes so far."""
        return FilterRanking({name: self.layer_ranking(name) for name in self._counts})
