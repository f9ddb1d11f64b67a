"""Rankings of one network's filters under many distortions, on disjoint parts of the images."""

import numbers

import numpy as np

from kerasft.distortions import parse_distortion
from kerasft.experiments.figure5 import DISTORTIONS
from kerasft.experiments.fine_tuning_run import load_baseline
from kerasft.susceptibility import FilterRanking, LayerRanking, rank_filters
from kerasft.susceptibility.borda import POINTS

# The share that the paper compares and fine-tunes.
FRACTION = 0.25


def configurations(distortions=DISTORTIONS, parts=5, pairs=40_000):
    """The rankings, all distortions of a part before the next part.

    Args:
        distortions: Short forms, such as `"awgn:15"`.
        parts: Number of disjoint parts of the images; what differs between
            them is what an interval is made of.
        pairs: Rank on at most this many training images, all parts together.

    Returns:
        List of configurations for `run`.

    Raises:
        ValueError: An unknown distortion, `parts` not a whole number of at
            least 1, `pairs` not one of at least `parts`.

    Example:

    >>> from kerasft.experiments import rankings
    >>> rankings.configurations(["blur:1"], parts=1, pairs=2000)
    [{'distortion': 'blur:1', 'part': 0, 'parts': 1, 'pairs': 2000}]
    """
    for distortion in distortions:
        parse_distortion(distortion)
    for name, number, least in (("parts", parts, 1), ("pairs", pairs, parts)):
        if not isinstance(number, numbers.Integral) or number < least:
            raise ValueError(
                f"Expected {name} as a whole number of at least {least}. Received: {number!r}."
            )
    return [
        {"distortion": distortion, "part": part, "parts": parts, "pairs": pairs}
        for part in range(parts)
        for distortion in distortions
    ]


def run(bench, configuration):
    """Rank the tuned layers on one part of the images.

    Args:
        bench: A `kerasft.experiments.Bench`.
        configuration: One of `configurations`.

    Returns:
        List of rows, one for each filter of each layer: `layer`, `filter`,
        `borda_count`, `mean_distance` and `votes`, the number of pairs that
        voted.

    Raises:
        ValueError: More parts than training images.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2.
    """
    distortion = configuration["distortion"]
    rows = _part_rows(bench.store.training_rows(), configuration)
    clean, _ = bench.store.train(rows)
    distorted, _ = bench.store.train(rows, distortion)
    ranking = rank_filters(load_baseline(bench.model), clean, distorted, layers=list(bench.layers))
    return [
        {
            "layer": name,
            "filter": index,
            "borda_count": int(layer.borda_counts[index]),
            "mean_distance": float(layer.mean_distance[index]),
            "votes": layer.pairs,
        }
        for name, layer in ranking.items()
        for index in range(len(layer.order))
    ]


def _part_rows(rows, configuration):
    """The training rows of one part."""
    part, parts = configuration["part"], configuration["parts"]
    pairs = min(configuration["pairs"], len(rows))
    if parts > pairs:
        raise ValueError(
            f"Expected at most {pairs} parts, as many as training images. Received: {parts}."
        )
    # Files may hold one class after the other: neither may a limit cut the last
    # classes off nor a part hold some of them only.
    chosen = rows[np.arange(pairs) * len(rows) // pairs]
    return chosen[part::parts]


def part_rankings(rows):
    """The rankings that the grid's rows came from.

    Args:
        rows: What the grid gave, `pandas.DataFrame`.

    Returns:
        Dictionary from distortion to a dictionary from part to its
        `FilterRanking`, with the layers in the order of the rows. Borda counts
        are exactly those of the ranking.

    Raises:
        ValueError: Rows of different cuts of the images, a part that is
            missing, counts that do not fit the votes.
    """
    cuts = rows[["parts", "pairs"]].drop_duplicates().to_dict("records")
    if len(cuts) != 1:
        raise ValueError(f"Expected rankings with one number of parts and pairs. Received: {cuts}.")
    parts = cuts[0]["parts"]
    rankings = {}
    for (distortion, part), group in rows.groupby(["distortion", "part"], sort=False):
        layers = {
            name: _layer_ranking(name, filters)
            for name, filters in group.groupby("layer", sort=False)
        }
        rankings.setdefault(distortion, {})[int(part)] = FilterRanking(layers)
    for distortion, found in rankings.items():
        if set(found) != set(range(parts)):
            raise ValueError(
                f"Expected all {parts} parts of each distortion. Received: those numbered "
                f"{sorted(found)} of {distortion}."
            )
    return rankings


def added_rankings(rows):
    """The rankings on all images: the votes of the parts added.

    Args:
        rows: What the grid gave, `pandas.DataFrame`.

    Returns:
        Dictionary from distortion to `FilterRanking`.

    Raises:
        ValueError: As `part_rankings`.
    """
    return {distortion: sum(parts.values()) for distortion, parts in part_rankings(rows).items()}


def _layer_ranking(name, rows):
    rows = rows.sort_values("filter")
    counts, votes = rows["borda_count"], rows["votes"].iloc[0]
    whole = rows["filter"].tolist() == list(range(len(rows))) and (rows["votes"] == votes).all()
    if not whole or counts.sum() != votes * POINTS[: len(rows)].sum():
        raise ValueError(
            f"Expected each filter of layer {name!r} once, with all points of {votes} votes. "
            f"Received: {len(rows)} rows with {counts.sum()} points."
        )
    return LayerRanking.from_votes(counts, rows["mean_distance"], votes)
