"""Figure 6: how far features stay the same under distortion, before and after fine-tuning."""

import json

import numpy as np

from kerasft.experiments.fine_tuning_run import accuracy, train_run
from kerasft.experiments.summary import mean_intervals, with_interval
from kerasft.invariance import disparity_maps, mean_disparity

# In the order of the paper's figure, from top to bottom.
METHODS = ("none", "all", "most")

KEYS = ("distortion", "size", "method", "layer")
VALUES = ("disparity", "share", "distorted_accuracy")

# Of the test set; the same for every run, so that its maps can be compared.
_EXAMPLE = 0


def configurations(distortions=("awgn:15",), size=5000, seeds=3):
    """The runs of Figure 6.

    Args:
        distortions: Short forms, such as `"awgn:15"`.
        size: Number of distorted training images.
        seeds: Number of repetitions.

    Returns:
        List of configurations for `run`: `distortion`, `size`, `method` and
        `seed`; for each distortion the network before fine-tuning (method
        `"none"`, size 0) once.
    """
    before = [
        {"distortion": distortion, "size": 0, "method": "none", "seed": 0}
        for distortion in distortions
    ]
    return before + [
        {"distortion": distortion, "size": size, "method": method, "seed": seed}
        for seed in range(seeds)
        for distortion in distortions
        for method in ("most", "all")
    ]


def run(bench, configuration):
    """Fine-tune and compare the features of clean and distorted test images.

    Args:
        bench: A `kerasft.experiments.Bench`.
        configuration: One of `configurations`.

    Returns:
        List of rows, one for each tuned layer: `layer`; `disparity`, the
        number of binary features that differ, per test image; `share`, the
        same as a share of the layer's features; `distorted_accuracy`;
        `example_map`, the disparity map of one test image, and `mean_map`,
        that of all, both `(height, width)` as lists in JSON.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.2 and Figure 6.
    """
    distortion = configuration["distortion"]
    trained = train_run(
        bench,
        distortion,
        configuration["size"],
        configuration["seed"],
        method=configuration["method"],
    )
    clean, _ = bench.store.test()
    distorted, labels = bench.store.test(distortion)
    layers = list(bench.layers)
    example = slice(_EXAMPLE, _EXAMPLE + 1)
    maps = disparity_maps(trained.model, clean[example], distorted[example], layers=layers)
    summaries = mean_disparity(trained.model, clean, distorted, layers=layers)
    right = accuracy(trained.model, distorted, labels)
    return [
        {
            "layer": name,
            "disparity": summary.total / summary.pairs,
            "share": summary.mean_share,
            "distorted_accuracy": right,
            # As text, so that rows from a file are no different.
            "example_map": json.dumps(maps[name][0].tolist()),
            "mean_map": json.dumps(np.round(summary.mean_map, 3).tolist()),
        }
        for name, summary in summaries.items()
    ]


def summarise(rows):
    """Means and 95% intervals over the seeds.

    Args:
        rows: What the grid gave.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size, method and layer.
    """
    return mean_intervals(rows, KEYS, VALUES)


def differences(rows, first="most", second="all"):
    """Paired differences of two methods, seed by seed, in disparity.

    Args:
        rows: What the grid gave.
        first: A method.
        second: The method to subtract.

    Returns:
        `pandas.DataFrame`, a row for each distortion, size and layer, with
        the mean `difference` of the features that differ per test image,
        `difference_low`, `difference_high` and `seeds`; empty where no seed
        has both methods.
    """
    keys = ["distortion", "size", "layer", "seed"]
    of = {
        method: rows[rows["method"] == method].set_index(keys)["disparity"]
        for method in (first, second)
    }
    both = (of[first] - of[second]).dropna().rename("difference").reset_index()
    return mean_intervals(both, keys[:-1], ("difference",))


def draw(rows):
    """The figure: disparity maps, two columns for each layer.

    The first is of one test image, as in the paper, the second the mean of
    all test images. Colours can be compared within the columns of a layer. In
    brackets: the sum of a map.

    Args:
        rows: What the grid gave.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    lines = _lines(rows)
    layers = rows["layer"].unique()
    size = (4.4 * len(layers) + 0.8, 2.4 * len(lines) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(lines), 2 * len(layers), squeeze=False)
    for number, layer in enumerate(layers):
        columns = grid[:, 2 * number : 2 * number + 2]
        highest = max(part.max() for _, maps in lines for part in maps[layer])
        for axes, (_, maps) in zip(columns, lines, strict=True):
            for place, part in zip(axes, maps[layer], strict=True):
                # A scale from 0 to 0 has no colours.
                image = place.imshow(part, cmap="viridis", vmin=0, vmax=max(1, highest))
                place.set(xticks=[], yticks=[], xlabel=f"({part.sum():,.0f})")
        columns[0, 0].set_title(f"{layer}, one image")
        columns[0, 1].set_title(f"{layer}, mean of all")
        figure.colorbar(
            image, ax=list(columns.flat), location="bottom", shrink=0.7, label="filters that differ"
        )
    for line, (label, _) in zip(grid, lines, strict=True):
        line[0].set_ylabel(label)
    return figure


def _lines(rows):
    """Of every method: its label and both maps of its first seed, by layer."""
    lines = []
    for distortion, of_distortion in rows.groupby("distortion", sort=False):
        for size, of_size in of_distortion.groupby("size"):
            for method in METHODS:
                group = of_size[of_size["method"] == method]
                if len(group):
                    first = group[group["seed"] == group["seed"].min()]
                    maps = {
                        row.layer: [
                            np.array(json.loads(text)) for text in (row.example_map, row.mean_map)
                        ]
                        for row in first.itertuples()
                    }
                    lines.append((_label(distortion, size, method), maps))
    return lines


def _label(distortion, size, method):
    if method == "none":
        return f"baseline\n{distortion}"
    return f"{method}\n{distortion}, {size:,} images"


def describe(rows):
    """Whether features change less after fine-tuning, and least after `most`.

    Args:
        rows: What the grid gave.

    Returns:
        List of sentences in Markdown.
    """
    summary, compared = summarise(rows), differences(rows)
    before = {
        (row.distortion, row.layer): row.disparity
        for row in summary[summary["method"] == "none"].itertuples()
    }
    difference = {(row.distortion, row.size, row.layer): row for row in compared.itertuples()}
    sentences = []
    tuned = summary[summary["method"] != "none"]
    for (distortion, size), cell in tuned.groupby(["distortion", "size"], sort=False):
        sentences += _claims(distortion, size, cell, before, difference)
        for layer, group in cell.groupby("layer", sort=False):
            baseline = before.get((distortion, layer))
            parts = [] if baseline is None else [f"before {baseline:,.1f}"]
            parts += [f"`{row.method}` {_after(row, baseline)}" for row in group.itertuples()]
            if (distortion, size, layer) in difference:
                between = with_interval(difference[distortion, size, layer], "difference", "+,.1f")
                parts.append(f"`most` minus `all` {between}")
            sentences.append(
                f"Features of `{layer}` that differ per test image, {distortion}, {size:,} images: "
                f"{'; '.join(parts)}."
            )
    return sentences


def _claims(distortion, size, cell, before, difference):
    """The two claims of the paper, as numbers of layers in which they hold."""
    where = f"Under {distortion} with {size:,} images, disparity"
    falls = [
        row.disparity < before[distortion, row.layer]
        for row in cell.itertuples()
        if (distortion, row.layer) in before
    ]
    if falls:
        yield (
            f"{where} falls by fine-tuning in {sum(falls)} of {len(falls)} cases (layers and "
            "methods)."
        )
    found = [
        difference[distortion, size, layer]
        for layer in cell["layer"].unique()
        if (distortion, size, layer) in difference
    ]
    if found:
        lower = sum(row.difference < 0 for row in found)
        text = (
            f"{where} is lower after `most` than after `all`, the paper's claim, in {lower} of "
            f"{len(found)} layers"
        )
        if all(row.seeds > 1 for row in found):
            sure = sum(row.difference_high < 0 for row in found)
            against = sum(row.difference_low > 0 for row in found)
            text += (
                f"; the 95% interval of the difference lies below 0 in {sure}, above in {against}"
            )
        yield f"{text}."


def _after(row, before):
    text = with_interval(row, "disparity", ",.1f")
    return f"{text}, {row.disparity / before - 1:+.1%}" if before else text
