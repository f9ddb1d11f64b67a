"""The checks that a report passes before anything is drawn."""

from collections.abc import Mapping

import numpy as np

from kerasft.real_number import is_real
from kerasft.report.criterion import criterion_of
from kerasft.whole_number import is_whole

ACCURACY_COLUMNS = ("images", "count", "before", "after")
PER_CLASS_COLUMNS = ("class", "count", "before", "after")
COMPARISON_COLUMNS = (
    "method",
    "labelled_images",
    "trained_parameters",
    "distorted_accuracy",
    "distorted_low",
    "distorted_high",
    "clean_accuracy",
    "seeds",
)
# The method that is no method: the model as it came.
BASELINE = "none"
CURVES = ("loss", "val_loss", "accuracy", "val_accuracy")


def check_report(report):
    """Raise `ValueError` where a field of a `Report` is not as documented."""
    for field in ("ranking", "selection", "history", "facts"):
        value = getattr(report, field)
        if not isinstance(value, Mapping):
            raise ValueError(
                f"Expected `{field}` as a mapping from names. Received: {type(value).__name__}."
            )
    _check_accuracy(report.accuracy)
    _check_parameters(report.trained_parameters, report.total_parameters)
    _check_ranking(report.ranking, report.selection)
    check_samples(report.clean_samples, report.distorted_samples)
    if len(report.sample_labels) != len(report.distorted_samples):
        raise ValueError(
            f"Expected {len(report.distorted_samples)} `sample_labels`, one per "
            f"sample. Received: {len(report.sample_labels)}."
        )
    _check_history(report.history)
    _check_columns("per_class", report.per_class, PER_CLASS_COLUMNS)
    _check_counts("per_class", report.per_class, "count", least=0)
    for column in ("before", "after"):
        _check_fractions("per_class", report.per_class, column, absent_allowed=True)
    if report.comparison is not None:
        check_comparison(report.comparison)
    # A lone string is a sequence too, of letters.
    if isinstance(report.notes, str):
        raise ValueError(f"Expected `notes` to be a list of sentences. Received: {report.notes!r}.")


def check_comparison(comparison):
    """Raise `ValueError` where a table of methods is not as documented."""
    _check_columns("comparison", comparison, COMPARISON_COLUMNS)
    if comparison.empty:
        raise ValueError("Expected `comparison` with at least one row. Received: none.")
    for column in ("labelled_images", "trained_parameters", "seeds"):
        _check_counts("comparison", comparison, column, least=0)
    for column in ("distorted_accuracy", "clean_accuracy"):
        _check_fractions("comparison", comparison, column)
    for column in ("distorted_low", "distorted_high"):
        _check_fractions("comparison", comparison, column, absent_allowed=True)
    baselines = int((comparison["method"] == BASELINE).sum())
    if baselines > 1:
        raise ValueError(
            f"Expected at most one row of `comparison` with the method {BASELINE!r}. "
            f"Received: {baselines}."
        )
    low, middle, high = (
        comparison[column].to_numpy(float)
        for column in ("distorted_low", "distorted_accuracy", "distorted_high")
    )
    # Comparisons with NaN are false, so rows without an interval pass.
    if np.any(low > middle) or np.any(high < middle):
        raise ValueError(
            "Expected `distorted_low` ≤ `distorted_accuracy` ≤ `distorted_high` in "
            f"`comparison`. Received: {np.stack([low, middle, high], 1).tolist()}."
        )


def check_samples(clean, distorted):
    """Raise `ValueError` where sample images are not as documented."""
    for name, images in (("clean_samples", clean), ("distorted_samples", distorted)):
        if images is None and name == "clean_samples":
            continue
        images = np.asarray(images)
        if (
            images.dtype != np.uint8
            or images.ndim != 4
            or images.shape[-1] not in (1, 3, 4)
            or not 1 <= len(images) <= 8
            or images.size == 0
        ):
            raise ValueError(
                f"Expected `{name}` as 1 to 8 images of uint8 with the shape (n, "
                "height, width, channels) and 1, 3 or 4 channels. Received: "
                f"{images.dtype}, shape {images.shape}."
            )
    if clean is not None and np.shape(clean) != np.shape(distorted):
        raise ValueError(
            "Expected `clean_samples` and `distorted_samples` of the same shape. "
            f"Received: {np.shape(clean)} and {np.shape(distorted)}."
        )


def _check_accuracy(table):
    _check_columns("accuracy", table, ACCURACY_COLUMNS)
    _check_counts("accuracy", table, "count", least=1)
    for column in ("before", "after"):
        _check_fractions("accuracy", table, column)
    names = [str(name) for name in table["images"]]
    distorted = sum(name.startswith("distorted") for name in names)
    clean = sum(name.startswith("clean") for name in names)
    if distorted != 1 or clean > 1:
        raise ValueError(
            "Expected `images` of `accuracy` to hold one name that begins with "
            "'distorted' and at most one that begins with 'clean'. "
            f"Received: {names}."
        )


def _check_parameters(trained, total):
    if not is_whole(trained) or not is_whole(total) or total < 1 or not 0 <= trained <= total:
        raise ValueError(
            "Expected whole numbers with 0 ≤ `trained_parameters` ≤ `total_parameters` and at "
            f"least one parameter in all. Received: {trained!r} and {total!r}."
        )


def _check_ranking(ranking, selection):
    for name, layer in ranking.items():
        # As objects, whatever it is: an array of numbers turns texts and truth values into some.
        order = np.asarray(layer.order, object)
        filters = order.size
        if order.ndim != 1 or not filters or not _are_indices(order, filters):
            raise ValueError(
                f"Expected `order` of layer {name!r} to hold each filter index once. "
                f"Received: {order.tolist()}."
            )
        shown = {"mean_distance": layer.mean_distance}
        if layer.borda_counts is not None:
            shown["borda_counts"] = layer.borda_counts
        # A criterion may give what does harm a score below 0; counts and distances have none.
        least, bound = (0, " of 0 or more") if criterion_of(layer) is None else (-np.inf, "")
        for field, values in shown.items():
            values = np.asarray(values, object)
            if values.shape != (filters,) or not all(
                is_real(value) and np.isfinite(value) and value >= least for value in values
            ):
                raise ValueError(
                    f"Expected `{field}` of layer {name!r} as {filters} finite numbers{bound}. "
                    f"Received: {values.tolist()}."
                )
    for name, filters in selection.items():
        known = len(ranking[name].order) if name in ranking else np.inf
        if not _are_indices(filters, known):
            span = f"from 0 to {known - 1}" if name in ranking else "of 0 or more"
            raise ValueError(
                f"Expected `selection` of layer {name!r} to hold filter indices "
                f"{span}, each once. Received: {filters!r}."
            )


def _are_indices(values, known):
    if not np.iterable(values) or not all(map(is_whole, values)):
        return False
    chosen = set(values)
    return len(chosen) == len(list(values)) and all(0 <= index < known for index in chosen)


def _check_history(history):
    curves = {key: _curve(key, history[key]) for key in CURVES if key in history}
    lengths = {key: len(curve) for key, curve in curves.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "Expected lists of one length, a number per epoch, in `history`. "
            f"Received lengths: {lengths}."
        )
    for key in ("accuracy", "val_accuracy"):
        curve = curves.get(key, np.zeros(0))
        if np.any((curve < 0) | (curve > 1)):
            raise ValueError(
                f"Expected `{key}` of `history` from 0 to 1. Received: {curve.tolist()}."
            )


def _curve(key, values):
    # Texts of numbers would be converted, and then fail where they are drawn.
    if np.iterable(values) and all(map(is_real, values)):
        return np.asarray(values, float)
    raise ValueError(f"Expected a list of numbers in `{key}` of `history`. Received: {values!r}.")


def _check_columns(name, table, columns):
    received = list(getattr(table, "columns", ()))
    if not set(columns) <= set(received) or len(set(received)) != len(received):
        raise ValueError(
            f"Expected `{name}` as a DataFrame with the columns {list(columns)}. "
            f"Received: {received or type(table).__name__}."
        )


def _check_counts(name, table, column, least):
    values = _numbers(name, table, column)
    if not np.all((values >= least) & (values == np.floor(values))):
        raise ValueError(
            f"Expected whole numbers of at least {least} in `{column}` of `{name}`. "
            f"Received: {values.tolist()}."
        )


def _check_fractions(name, table, column, absent_allowed=False):
    values = _numbers(name, table, column)
    fine = (values >= 0) & (values <= 1)
    if absent_allowed:
        fine |= np.isnan(values)
    if not np.all(fine):
        raise ValueError(
            f"Expected fractions from 0 to 1 in `{column}` of `{name}`. "
            f"Received: {values.tolist()}."
        )


def _numbers(name, table, column):
    values = table[column]
    # Texts of numbers would be converted, and then fail where they are drawn.
    if all(map(is_real, values.dropna())):
        return values.to_numpy(dtype=float, na_value=np.nan)
    raise ValueError(f"Expected numbers in `{column}` of `{name}`. Received: {values.tolist()}.")
