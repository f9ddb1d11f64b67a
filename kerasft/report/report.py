import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasft.report.checks import check_report


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """Everything the report page shows about one fine-tuning run.

    Every value is checked when the report is made. Names may hold any
    characters: the page shows them literally.

    Args:
        title: Title of the page, such as `"resnet8.h5 on noise"`.
        model_name: Name of the model that was fine-tuned.
        distortion: The distortion in words.
        accuracy: DataFrame with the columns `images`, `count`, `before` and
            `after`, one row per test set. `images` names the set: one row
            begins with `"distorted"` (such as `"distorted test images"`), at
            most one with `"clean"`. `count` is the number of images, at least
            1; `before` and `after` are fractions from 0 to 1.
        trained_parameters: Number of single weights that were trained.
        total_parameters: Number of single weights of the model, at least 1.
        ranking: Mapping layer name → `LayerRanking` (a `FilterRanking`), in
            the order in which the layers are to be shown; it may be empty.
            With `F` filters in the layer, each value has `order`, `(F,)`
            filter indices from most to least affected; `borda_counts`, `(F,)`
            integers or `None`; `mean_distance`, `(F,)` floats, 0 or more;
            `pairs`, the number of image pairs; `criterion`, `None` or missing, or the
            name of the criterion of which `mean_distance` holds the scores,
            perhaps negative. Counts and distances are indexed by filter, not
            by rank.
        selection: Mapping layer name → indices of the filters trained.
        clean_samples: `(n, height, width, channels)` array of uint8 with 1, 3
            or 4 channels, or `None` where there is none to show.
        distorted_samples: `(n, height, width, channels)` array of uint8, `n`
            from 1 to 8; where there are clean samples, of the same shape and
            each the distorted version of the clean sample in its place.
        sample_labels: `n` class names, one per sample.
        history: Keras's `History.history`: lists with one number per epoch.
            `loss`, `accuracy`, `val_loss` and `val_accuracy` are drawn, each
            where present (accuracies from 0 to 1); other keys are passed over.
        per_class: DataFrame with the columns `class` (its name), `count`,
            `before` and `after`, one row per class: accuracy on the distorted
            images, fractions from 0 to 1, NaN for a class without images.
        comparison: `None`, or a DataFrame with one row per rival method and
            the columns `method`, `labelled_images`, `trained_parameters`,
            `distorted_accuracy`, `distorted_low`, `distorted_high` (the 95%
            interval; NaN where there is none), `clean_accuracy` and `seeds`.
            Accuracies are fractions from 0 to 1. The row with the method
            `"none"` is the model without fine-tuning.
        notes: Plain sentences about how the numbers were obtained.
        facts: Mapping name → text: command, date, versions, seed and the like.

    Raises:
        ValueError: A value is not as described.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from kerasft.report import Report, render_report
    >>> report = Report(
    ...     title="model.keras on blur",
    ...     model_name="model.keras",
    ...     distortion="Gaussian blur",
    ...     accuracy=pd.DataFrame({
    ...         "images": ["distorted test images", "clean test images"],
    ...         "count": [200, 200],
    ...         "before": [0.50, 0.90],
    ...         "after": [0.75, 0.89],
    ...     }),
    ...     trained_parameters=80,
    ...     total_parameters=1000,
    ...     ranking={},
    ...     selection={"conv1": [0, 3]},
    ...     clean_samples=None,
    ...     distorted_samples=np.zeros((1, 8, 8, 1), "uint8"),
    ...     sample_labels=["cat"],
    ...     history={},
    ...     per_class=pd.DataFrame({
    ...         "class": ["cat"], "count": [200], "before": [0.5], "after": [0.75],
    ...     }),
    ... )
    >>> "rose from 50.0% to 75.0%" in render_report(report)
    True
    """

    title: str
    model_name: str
    distortion: str
    accuracy: pd.DataFrame
    trained_parameters: int
    total_parameters: int
    ranking: Mapping[str, Any]
    selection: Mapping[str, Sequence[int]]
    clean_samples: np.ndarray | None
    distorted_samples: np.ndarray
    sample_labels: Sequence[str]
    history: Mapping[str, Sequence[float]]
    per_class: pd.DataFrame
    comparison: pd.DataFrame | None = None
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_report(self)
