"""Table 1: how well rankings without pairs agree with the paired one."""

import numpy as np
import pandas as pd

from kerasft.statistics import mean_interval
from kerasft.susceptibility import rank_filters_from_exemplars

# As in the paper, and more exemplars beyond it.
CONFIGURATIONS = (
    ("pixels", "euclidean", 1),
    ("feature_maps", "euclidean", 1),
    ("feature_maps", "hamming", 1),
    ("pixels", "euclidean", 5),
    ("pixels", "euclidean", 25),
    ("feature_maps", "euclidean", 25),
    ("feature_maps", "hamming", 25),
)

# What tells the rows of one draw apart.
KEYS = ("features", "metric", "exemplars", "layer")


def table1(model, images, distortion, reference, subset, *, size=2000, fraction=0.25):
    """Matches between the paired ranking and those from one draw of unpaired images.

    Args:
        model: A `keras.Model`.
        images: Clean images `(images, height, width, channels)`, at least
            `2 * size`.
        distortion: A function from images to their distorted versions.
        reference: The associative `FilterRanking` of the layers to compare.
        subset: Number of the draw, the seed of its images: `size` clean ones
            and `size` others to distort.
        size: Images in each of the two sets.
        fraction: Share of the filters that is selected.

    Returns:
        `pandas.DataFrame`, a row for each configuration and layer:
        `features`, `metric`, `exemplars`, `layer`, `subset`, `matches`,
        `selected` (filters), and `chance`, the expected number of matches of
        a random choice.

    Raises:
        ValueError: Fewer images than `2 * size`.

    Example:

    >>> import kerasft
    >>> from kerasft.experiments import table1
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> blur = kerasft.GaussianBlur(1.0)
    >>> paired = kerasft.rank_filters(model, images[:100], blur, layers=["conv1"])
    >>> rows = table1(model, images, blur, paired, subset=0, size=50)
    >>> len(rows), float(rows["chance"].iloc[0])
    (7, 2.0)

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 5.3 and Table 1.
    """
    if len(images) < 2 * size:
        raise ValueError(f"Expected at least {2 * size} images. Received: {len(images)}.")
    drawn = np.random.default_rng(subset).permutation(len(images))[: 2 * size]
    clean, distorted = images[drawn[:size]], distortion(images[drawn[size:]])
    rows = []
    for features, metric, exemplars in CONFIGURATIONS:
        ranking = rank_filters_from_exemplars(
            model,
            clean,
            distorted,
            features=features,
            metric=metric,
            exemplars=exemplars,
            layers=list(reference),
            seed=subset,
        )
        selected = reference.select(fraction)
        for layer, share in reference.overlap(ranking, fraction).items():
            count = len(selected[layer])
            rows.append(
                {
                    "features": features,
                    "metric": metric,
                    "exemplars": exemplars,
                    "layer": layer,
                    "subset": subset,
                    "matches": round(share * count),
                    "selected": count,
                    "chance": count**2 / len(reference[layer].order),
                }
            )
    return pd.DataFrame(rows)


def summarise_table1(rows):
    """Mean matches over the draws with 95% intervals.

    Args:
        rows: What `table1` returns for several draws, joined.

    Returns:
        `pandas.DataFrame`, a row for each configuration and layer, with
        `matches`, `low`, `high`, `selected`, `chance` and `draws`. Intervals
        end where no number of matches can be: at 0 and at `selected`.
    """
    summary = []
    for values, group in rows.groupby(list(KEYS), sort=False):
        mean, low, high = mean_interval(group["matches"])
        selected = group["selected"].iloc[0]
        summary.append(
            {
                **dict(zip(KEYS, values, strict=True)),
                "matches": round(mean, 2),
                "low": round(np.clip(low, 0, selected), 2),
                "high": round(np.clip(high, 0, selected), 2),
                "selected": selected,
                "chance": round(group["chance"].iloc[0], 2),
                "draws": len(group),
            }
        )
    return pd.DataFrame(summary)
