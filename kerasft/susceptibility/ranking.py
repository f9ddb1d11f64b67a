"""The result of ranking: which filters a distortion disturbs most."""

import json
import reprlib
import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kerasft.files import write_whole
from kerasft.real_number import is_real
from kerasft.susceptibility.layer_ranking import LayerRanking
from kerasft.whole_number import is_whole, validate_count

_FORMAT = "kerasft ranking 1"

# The paper's.
FRACTION = 0.25


class FilterRanking(Mapping):
    """A mapping from layer name to `LayerRanking`.

    What `rank_filters` and `rank_filters_by` return. Rankings of disjoint sets
    of images that voted can be added, also by `sum`: the sum is the ranking of
    their union. How far the selection of the parts was settled says nothing
    of the sum, which has no `confidence`.

    Args:
        layers: Mapping from layer name to `LayerRanking`, at least one.

    Raises:
        TypeError: Another value in the mapping.
        ValueError: No layer.

    Example:

    >>> import kerasft
    >>> import numpy as np
    >>> layer = kerasft.LayerRanking.from_votes([9, 10, 0, 0], np.zeros(4), pairs=1)
    >>> ranking = kerasft.FilterRanking({"conv1": layer})
    >>> ranking.select(fraction=0.5)
    {'conv1': [0, 1]}
    """

    def __init__(self, layers):
        if not layers:
            raise ValueError("Expected a ranking of at least one layer. Received: none.")
        self._layers = dict(layers)
        for name, layer in self._layers.items():
            if not isinstance(layer, LayerRanking):
                raise TypeError(f"Expected a LayerRanking of layer {name!r}. Received: {layer!r}.")

    def __getitem__(self, name):
        return self._layers[name]

    def __iter__(self):
        return iter(self._layers)

    def __len__(self):
        return len(self._layers)

    def __repr__(self):
        parts = [f"{name}: {len(layer.order)} filters" for name, layer in self.items()]
        return f"FilterRanking({', '.join(parts)})"

    def select(self, fraction=None, *, count=None, threshold=None, which="most", seed=0):
        """Select the filters to fine-tune.

        How many is given by one of `fraction`, `count` and `threshold`; which
        ones by `which`.

        Args:
            fraction: Share of each layer's F filters, over 0 and at most 1;
                `max(1, floor(fraction * F))` filters. Default: 0.25, the
                paper's.
            count: Number of filters in each layer, from 1 to F.
            threshold: As many filters as have a larger mean distance (of a
                ranking by another criterion, score) than this; a layer with
                none is left out.
            which: `"most"` affected, `"least"` affected, `"random"`, or
                `"all"` filters of each layer.
            seed: Seed of the random choice; each layer draws its own.

        Returns:
            Dictionary from layer name to a sorted list of filter indices.

        Raises:
            ValueError: A value out of range, more than one of the three, an
                unknown `which`, a threshold that no filter exceeds.
        """
        validate_which(which)
        if sum(value is not None for value in (fraction, count, threshold)) > 1:
            raise ValueError(
                "Expected one of fraction, count and threshold. Received: "
                f"fraction={fraction}, count={count}, threshold={threshold}."
            )
        validate_count(seed, "seed")
        if fraction is None and count is None and threshold is None:
            fraction = FRACTION
        selection = {}
        for name, layer in self.items():
            size = _selection_size(layer, fraction, count, threshold)
            # None where no filter exceeds the threshold.
            if which == "all" and size:
                size = len(layer.order)
            if which == "least":
                chosen = layer.order[len(layer.order) - size :]
            elif which == "random":
                # By name, so the draw does not depend on the other layers.
                generator = np.random.default_rng([int(seed), zlib.crc32(name.encode())])
                chosen = generator.permutation(len(layer.order))[:size]
            else:
                chosen = layer.order[:size]
            if size:
                selection[name] = sorted(int(i) for i in chosen)
        if not selection:
            raise ValueError(
                f"Expected a threshold that some filter exceeds. Received: {threshold}; the "
                f"largest value is {max(r.mean_distance.max() for r in self.values()):g}."
            )
        return selection

    def overlap(self, other, fraction=0.25):
        """Agreement of two rankings on the most affected filters.

        Args:
            other: A `FilterRanking` of the same layers.
            fraction: Share of each layer's filters to compare.

        Returns:
            Dictionary from layer name to the share of the selected filters
            that both select, 0 to 1. Two independent rankings share `fraction`
            on average.

        Raises:
            TypeError: No `FilterRanking`.
            ValueError: Different layers or numbers of filters.
        """
        if not isinstance(other, FilterRanking):
            raise TypeError(f"Expected another FilterRanking. Received: {type(other).__name__}.")
        self._check_same_filters(other)
        ours, theirs = self.select(fraction), other.select(fraction)
        return {name: len(set(ours[name]) & set(theirs[name])) / len(ours[name]) for name in ours}

    def __add__(self, other):
        if not isinstance(other, FilterRanking):
            return NotImplemented
        self._check_same_filters(other)
        total = {}
        for name, ours in self.items():
            theirs = other[name]
            if ours.borda_counts is None or theirs.borda_counts is None:
                criterion = ours.criterion or theirs.criterion
                source = f"by {criterion!r}" if criterion else "from one exemplar of each set"
                raise ValueError(
                    f"Expected rankings with Borda counts. Received: layer {name!r} without, as "
                    f"it was ranked {source}."
                )
            pairs = ours.pairs + theirs.pairs
            kept = ours.distances is not None and theirs.distances is not None
            total[name] = LayerRanking.from_votes(
                ours.borda_counts + theirs.borda_counts,
                (ours.mean_distance * ours.pairs + theirs.mean_distance * theirs.pairs) / pairs,
                pairs,
                np.concatenate([ours.distances, theirs.distances]) if kept else None,
            )
        return FilterRanking(total)

    def __radd__(self, other):
        # `sum` starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def _check_same_filters(self, other):
        ours = {name: len(layer.order) for name, layer in self.items()}
        theirs = {name: len(layer.order) for name, layer in other.items()}
        if ours != theirs:
            raise ValueError(
                f"Expected rankings of the same layers and filters. Received: {ours} and {theirs}."
            )

    def to_frame(self):
        """The ranking as a table.

        Returns:
            `pandas.DataFrame`, a row for each filter, most affected first
            within each layer: `layer`, `rank` (from 1), `filter`,
            `borda_count` (NA without votes), `mean_distance` (of a ranking by
            another criterion, its score), `pairs`.
        """
        frames = [
            pd.DataFrame(
                {
                    "layer": name,
                    "rank": np.arange(1, len(layer.order) + 1),
                    "filter": layer.order,
                    "borda_count": (
                        pd.NA if layer.borda_counts is None else layer.borda_counts[layer.order]
                    ),
                    "mean_distance": layer.mean_distance[layer.order],
                    "pairs": layer.pairs,
                }
            )
            for name, layer in self.items()
        ]
        return pd.concat(frames, ignore_index=True)

    def save(self, path):
        """Write the ranking as JSON; an existing file is replaced.

        The distance matrix, where kept, is not written.

        Args:
            path: The file.
        """
        layers = {name: layer.to_json() for name, layer in self.items()}
        text = json.dumps({"format": _FORMAT, "layers": layers}, indent=1) + "\n"
        write_whole(path, text.encode())

    @classmethod
    def load(cls, path):
        """Read a ranking that `save` wrote.

        Args:
            path: The file.

        Returns:
            A `FilterRanking`, equal to the one saved but for kept distances,
            which are not in the file.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not a ranking, or one of another version.
        """
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"Expected a file that FilterRanking.save wrote. Received: {path}, which does not "
                "exist."
            ) from None
        try:
            return cls({name: LayerRanking.from_json(item) for name, item in _layers_of(content)})
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise ValueError(
                f"Expected a file in the format {_FORMAT!r}. Received: {path} ({error})."
            ) from error


def _selection_size(layer, fraction, count, threshold):
    filters = len(layer.order)
    if threshold is not None:
        if not is_real(threshold) or not np.isfinite(threshold):
            raise ValueError(f"Expected a finite threshold. Received: {threshold!r}.")
        return int((layer.mean_distance > threshold).sum())
    if count is not None:
        if not is_whole(count) or not 1 <= count <= filters:
            raise ValueError(f"Expected a count from 1 to {filters}. Received: {count!r}.")
        return int(count)
    validate_fraction(fraction)
    return fraction_size(filters, fraction)


def validate_which(which):
    """Refuse a choice of filters that is none.

    Args:
        which: As in `FilterRanking.select`.

    Raises:
        ValueError: Such a choice.
    """
    if which not in ("most", "least", "random", "all"):
        raise ValueError(
            f"Expected which as 'most', 'least', 'random' or 'all'. Received: {which!r}."
        )


def validate_fraction(fraction):
    """Refuse what is no share of a layer's filters.

    Args:
        fraction: Over 0 and at most 1.

    Raises:
        ValueError: Another.
    """
    if not is_real(fraction) or not 0 < fraction <= 1:
        raise ValueError(f"Expected a fraction over 0 and at most 1. Received: {fraction!r}.")


def fraction_size(filters, fraction=FRACTION):
    """How many of `filters` filters a fraction of them is: `max(1, floor(fraction * filters))`."""
    # 0.57 * 100 is a hair below 57 in floating point.
    return max(1, int(fraction * filters + 1e-9))


def _layers_of(content):
    data = json.loads(content, object_pairs_hook=_without_repetition)
    if data["format"] != _FORMAT:
        raise ValueError(f"its format is {reprlib.repr(data['format'])}")
    return data["layers"].items()


def _without_repetition(pairs):
    """An object of JSON; of a key that is repeated only the last would be seen."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result
