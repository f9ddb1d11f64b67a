"""Figure 4: whether a few filters hold most of the points for susceptibility."""

import functools

import numpy as np
import pandas as pd

from kerasft.experiments.distortion_order import by_kind, in_order
from kerasft.experiments.rankings import FRACTION, added_rankings, part_rankings
from kerasft.experiments.summary import mean_intervals, with_interval
from kerasft.susceptibility.borda import POINTS

_SIMULATIONS = 200

# Filters whose bars can still be told apart by a number below them.
_MOST_NAMED_BARS = 32


def concentration(ranking, fraction=FRACTION):
    """Share of all points that the most affected filters hold.

    Args:
        ranking: A `FilterRanking` with Borda counts.
        fraction: Share of each layer's filters.

    Returns:
        Dictionary from layer name to a share of its points, 0 to 1.

    Raises:
        ValueError: A fraction out of range.

    Example:

    >>> import kerasft
    >>> import numpy as np
    >>> from kerasft.experiments.figure4 import concentration
    >>> layer = kerasft.LayerRanking.from_votes([9, 10, 0, 1], np.zeros(4), pairs=2)
    >>> concentration(kerasft.FilterRanking({"conv1": layer}), fraction=0.5)
    {'conv1': 0.95}

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.1 and Figure 4.
    """
    return {
        name: float(ranking[name].borda_counts[chosen].sum() / ranking[name].borda_counts.sum())
        for name, chosen in ranking.select(fraction).items()
    }


def agreeing_share(filters, selected):
    """`concentration` of voters that all rank alike, the most there can be.

    Args:
        filters: Number of filters of the layer.
        selected: Number of filters whose points are added.

    Returns:
        A share, 0 to 1.

    Example:

    >>> from kerasft.experiments.figure4 import agreeing_share
    >>> round(agreeing_share(filters=32, selected=8), 4)  # 52 of 55 points.
    0.9455
    """
    return float(POINTS[: min(filters, selected)].sum() / POINTS[:filters].sum())


def independent_share(filters, selected, voters):
    """`concentration` of voters that each rank at random, by simulation.

    The filters with the most points are chosen after the vote, as in a
    ranking, so that they hold more than their share of the filters; the more
    voters, the less.

    Args:
        filters: Number of filters of the layer.
        selected: Number of filters whose points are added.
        voters: Number of images.

    Returns:
        A share, 0 to 1: the mean of 200 votes, always the same ones.

    Example:

    >>> from kerasft.experiments.figure4 import independent_share
    >>> round(independent_share(filters=32, selected=8, voters=1), 4)
    0.9455
    >>> round(independent_share(filters=32, selected=8, voters=1000), 2)
    0.27
    """
    return _simulate(int(filters), int(selected), int(voters))


# Layers and parts of one size share it.
@functools.lru_cache
def _simulate(filters, selected, voters):
    generator = np.random.default_rng([filters, selected, voters])
    points = np.zeros(filters, "uint8")
    points[: len(POINTS)] = POINTS[:filters]
    ballots = np.tile(points, (voters, 1))
    shares = []
    for _ in range(_SIMULATIONS):
        generator.permuted(ballots, axis=1, out=ballots)
        counts = ballots.sum(axis=0, dtype="int64")
        shares.append(np.sort(counts)[-selected:].sum() / counts.sum())
    return float(np.mean(shares))


def summarise(rows):
    """How much of all points the most affected quarter of the filters holds.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion and layer: `filters` of
        the layer, `selected` of them, the mean `share` of the points over the
        parts of the images with `share_low` and `share_high` (95%),
        `independent` and `agreeing`, the share where images vote at random
        and where all vote alike, and the number of `parts`. The interval is
        that of other images, not of another network.

    Raises:
        ValueError: Rows that are not complete.
    """
    shares = []
    for distortion, parts in part_rankings(rows).items():
        for ranking in parts.values():
            selection = ranking.select(FRACTION)
            for name, share in concentration(ranking).items():
                filters, selected = len(ranking[name].order), len(selection[name])
                shares.append(
                    {
                        "distortion": distortion,
                        "layer": name,
                        "filters": filters,
                        "selected": selected,
                        "agreeing": agreeing_share(filters, selected),
                        "share": share,
                        "independent": independent_share(filters, selected, ranking[name].pairs),
                    }
                )
    keys = ("distortion", "layer", "filters", "selected", "agreeing")
    summary = mean_intervals(pd.DataFrame(shares), keys, ("share", "independent"))
    return summary.rename(columns={"seeds": "parts"})[
        [
            *("distortion", "layer", "filters", "selected"),
            *("share", "share_low", "share_high"),
            *("independent", "agreeing", "parts"),
        ]
    ]


def draw(rows):
    """The figure: points of the first layer's filters, most first, for each distortion.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        A `matplotlib.figure.Figure`; a column for each type of distortion,
        severity from top to bottom.

    Raises:
        ValueError: Rows that are not complete.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from kerasft.chart_style import chart_style

    layer = rows["layer"].iloc[0]
    summary = summarise(rows)
    summary = summary[summary["layer"] == layer].set_index("distortion")
    rankings = added_rankings(rows)
    columns = by_kind(rankings)
    height = max(map(len, columns))
    with chart_style():
        figure = Figure(
            figsize=(4.6 * len(columns), 0.5 + 2.3 * height),
            layout=ConstrainedLayoutEngine(h_pad=0.08),
        )
        grid = figure.subplots(height, len(columns), squeeze=False, sharey=True)
        for line, distortions in zip(grid.T, columns, strict=True):
            for axes in line[len(distortions) :]:
                axes.remove()
            for axes, distortion in zip(line, distortions, strict=False):
                _draw_panel(axes, rankings[distortion][layer], summary.loc[distortion])
                share = 100 * summary.loc[distortion, "share"]
                axes.set_title(f"{distortion}: {share:.0f}% of the points in dark bars", loc="left")
        for axes in grid[:, 0]:
            axes.set_ylabel("share of all points (%)")
        figure.legend(
            handles=[*grid[0, 0].containers, *grid[0, 0].lines],
            loc="outside lower center",
            ncols=3,
            frameon=False,
        )
    return figure


def _draw_panel(axes, layer, summary):
    from matplotlib.ticker import MaxNLocator

    from kerasft.chart_style import BLUE, INK, PALE_BLUE

    filters, selected = len(layer.order), int(summary["selected"])
    heights = 100 * layer.borda_counts[layer.order] / layer.borda_counts.sum()
    places = np.arange(1, filters + 1)
    for part, color, label in (
        (slice(selected), BLUE, f"the {selected} most affected filters of {filters}"),
        (slice(selected, None), PALE_BLUE, "the other filters"),
    ):
        axes.bar(places[part], heights[part], color=color, width=0.8, label=label)
    axes.axhline(
        100 / filters, color=INK, linestyle="--", linewidth=1, label="if images voted at random"
    )
    axes.set_xlim(0.2, filters + 0.8)
    if filters <= _MOST_NAMED_BARS:
        axes.set_xticks(places, [str(index) for index in layer.order], fontsize=7)
        axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel("index of the filter")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("place in the ranking")


def describe(rows):
    """What the grid says, in sentences.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        List of sentences in Markdown, one for each layer.

    Raises:
        ValueError: Rows that are not complete.
    """
    sentences = []
    for name, group in summarise(rows).groupby("layer", sort=False):
        group = group.set_index("distortion", drop=False).loc[in_order(group["distortion"])]
        first = group.iloc[0]
        text = "; ".join(
            f"`{row.distortion}` {with_interval(row, 'share', '.1%')}" for row in group.itertuples()
        )
        sentences.append(
            f"`{name}`, share of all points that the {first.selected} most affected of "
            f"{first.filters} filters hold: {text}. Images that vote at random would give them "
            f"{100 * first.independent:.1f}%, images that all agree {100 * first.agreeing:.1f}%."
        )
    return sentences
