"""Whether different distortions disturb the same filters most."""

import itertools

import numpy as np
import pandas as pd

from kerasft.distortions import PRESETS, parse_distortion
from kerasft.experiments.distortion_order import by_kind, in_order, kind
from kerasft.experiments.rankings import FRACTION, added_rankings, part_rankings
from kerasft.experiments.summary import mean_intervals

OTHER_TYPE, OTHER_LEVEL = "other type", "other level"

# Matches of blur and AWGN in the first layer that the paper reports in Section
# 5.1, by the number of filters that a quarter is.
_PAPER = {8: (6, "CIFAR-10"), 24: (19, "CIFAR-100")}

_NAMES = {"awgn": "AWGN"}


def summarise(rows):
    """How many of the most affected quarter of the filters two distortions share.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        `pandas.DataFrame`, a row for each layer and two distortions, `first`
        and `second`: their `kind`, `"other type"` or `"other level"`;
        `same_level`, whether both are the low, the central or the high one of
        their type; `filters` of the layer, `selected` of them; the mean number
        of `matches` over the parts of the images with `matches_low` and
        `matches_high` (95%); `matches_all`, on all images together; `chance`,
        the expected matches of a random choice; the number of `parts`. The
        interval is that of other images, not of another network.

    Raises:
        ValueError: Fewer than two distortions, rows that are not complete.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.1.
    """
    by_part = {
        distortion: [parts[part].select(FRACTION) for part in sorted(parts)]
        for distortion, parts in part_rankings(rows).items()
    }
    rankings = added_rankings(rows)
    if len(rankings) < 2:
        raise ValueError(
            f"Expected rankings under at least two distortions. Received: {', '.join(rankings)}."
        )
    on_all = {distortion: ranking.select(FRACTION) for distortion, ranking in rankings.items()}
    names = in_order(rankings)
    matches = []
    for layer, ranking in rankings[names[0]].items():
        filters, selected = len(ranking.order), len(on_all[names[0]][layer])
        for first, second in itertools.combinations(names, 2):
            row = {
                "layer": layer,
                "first": first,
                "second": second,
                "kind": OTHER_LEVEL if kind(first) == kind(second) else OTHER_TYPE,
                "same_level": _level(first) == _level(second),
                "filters": filters,
                "selected": selected,
                "matches_all": _count(on_all[first][layer], on_all[second][layer]),
                "chance": selected**2 / filters,
            }
            # Both distortions of a part are of the same images.
            for ours, theirs in zip(by_part[first], by_part[second], strict=True):
                matches.append({**row, "matches": _count(ours[layer], theirs[layer])})
    keys = [name for name in matches[0] if name != "matches"]
    summary = mean_intervals(pd.DataFrame(matches), keys, ("matches",))
    # Student's interval does not know that there are no more matches than filters.
    summary["matches_low"] = summary["matches_low"].clip(lower=0)
    summary["matches_high"] = summary["matches_high"].clip(upper=summary["selected"])
    return summary.rename(columns={"seeds": "parts"})[
        [
            *("layer", "first", "second", "kind", "same_level", "filters", "selected"),
            *("matches", "matches_low", "matches_high", "matches_all", "chance", "parts"),
        ]
    ]


def _level(distortion):
    """Name of a severity; what has none is its own."""
    effect, of = parse_distortion(distortion), kind(distortion)
    levels = (level for level in PRESETS[of] if parse_distortion(f"{of}:{level}") == effect)
    return next(levels, distortion)


def _count(ours, theirs):
    return len(set(ours) & set(theirs))


def draw(rows):
    """The figure: a matrix for each layer, the matches of every two distortions.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: As `summarise`.
    """
    from matplotlib.figure import Figure

    from kerasft.chart_style import chart_style

    summary = summarise(rows)
    names = in_order(set(rows["distortion"]))
    layers = summary["layer"].unique()
    side = 0.55 * (len(names) - 1)
    with chart_style():
        figure = Figure(figsize=((side + 1.3) * len(layers) + 1, side + 1.3), layout="constrained")
        grid = figure.subplots(1, len(layers), squeeze=False)[0]
        for axes, layer in zip(grid, layers, strict=True):
            image = _draw_panel(axes, summary[summary["layer"] == layer], names)
        bar = figure.colorbar(image, ax=list(grid), label="share that matches", shrink=0.8)
        bar.outline.set_visible(False)
    return figure


def _draw_panel(axes, summary, names):
    from kerasft.chart_style import INK

    # The half below the diagonal, without the lines that have nothing on it.
    across, down = names[:-1], names[1:]
    shares = np.full((len(down), len(across)), np.nan)
    for row in summary.itertuples():
        place = down.index(row.second), across.index(row.first)
        shares[place] = row.matches / row.selected
        axes.text(
            place[1],
            place[0],
            f"{row.matches:.1f}",
            ha="center",
            va="center",
            color="white" if shares[place] > 0.6 else INK,
        )
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(across)), across, rotation=90)
    axes.set_yticks(range(len(down)), down)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    first = summary.iloc[0]
    axes.set_title(
        f"{first.layer}: matches of {first.selected}\n(by chance {first.chance:.3g})", loc="left"
    )
    return image


def describe(rows):
    """What the grid says, in sentences.

    Args:
        rows: What the grid of `kerasft.experiments.rankings` gave.

    Returns:
        List of sentences in Markdown: for each layer the matches of blur and
        AWGN of the same level, of any levels, and of levels of the same type;
        in the first layer what the paper reports.

    Raises:
        ValueError: As `summarise`.
    """
    summary = summarise(rows)
    kinds = [kind(first) for first, *_ in by_kind(set(rows["distortion"]))]
    names = " and ".join(_NAMES.get(name, name) for name in kinds)
    sentences = []
    for number, (layer, group) in enumerate(summary.groupby("layer", sort=False)):
        first = group.iloc[0]
        of = f"of the {first.selected} most affected of {first.filters} filters"
        types = group[group["kind"] == OTHER_TYPE]
        equal = types[types["same_level"]]
        named = equal if len(equal) else types
        if len(named):
            text = (
                f"`{layer}`, matches {of} under {names}: {_listed(named)}; by chance "
                f"{first.chance:.3g}."
            )
            if number == 0 and first.selected in _PAPER and kinds == ["blur", "awgn"]:
                matches, data = _PAPER[first.selected]
                text += f" The paper reports {matches} of {first.selected} on {data}."
            sentences.append(text)
        if len(types) > len(named):
            sentences.append(
                f"`{layer}`, {names} of any two levels: {types['matches'].min():.1f} to "
                f"{types['matches'].max():.1f} matches, {types['matches'].mean():.1f} on average."
            )
        levels = group[group["kind"] == OTHER_LEVEL]
        if len(levels):
            sentences.append(
                f"`{layer}`, matches {of} under two levels of one type: {_listed(levels)}."
            )
    return sentences


def _listed(pairs):
    return "; ".join(
        f"`{pair.first}` and `{pair.second}` {_matches(pair)}" for pair in pairs.itertuples()
    )


def _matches(pair):
    """A mean number of matches, with its interval, and that on all images."""
    if pair.parts == 1:
        return f"{pair.matches_all}"
    interval = f"{pair.matches_low:.1f} to {pair.matches_high:.1f}"
    return f"{pair.matches:.1f} ({interval}; on all images {pair.matches_all})"
