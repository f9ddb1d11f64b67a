import math

import pandas as pd

from kerasft.statistics import mean_interval


def mean_intervals(rows, keys, values):
    """Means and 95% intervals of repeated runs.

    Args:
        rows: `pandas.DataFrame`, a row for each run.
        keys: Columns that tell the groups apart.
        values: Columns to average; empty fields are left out.

    Returns:
        `pandas.DataFrame`, a row for each group in order of appearance: the
        keys, each value with `<value>_low` and `<value>_high`, and `seeds`,
        the number of runs. A single run has no interval.

    Example:

    >>> import pandas as pd
    >>> from kerasft.experiments.summary import mean_intervals
    >>> rows = pd.DataFrame({"method": ["a", "a"], "accuracy": [0.5, 0.7]})
    >>> mean_intervals(rows, ["method"], ["accuracy"])["accuracy"].round(2).tolist()
    [0.6]
    """
    summary = []
    for names, group in rows.groupby(list(keys), sort=False):
        row = dict(zip(keys, names, strict=True))
        for value in values:
            present = group[value].dropna()
            mean, low, high = mean_interval(present) if len(present) else (float("nan"),) * 3
            row |= {value: mean, f"{value}_low": low, f"{value}_high": high}
        summary.append({**row, "seeds": len(group)})
    # Named, so that no rows at all have them too.
    columns = [c for value in values for c in (value, f"{value}_low", f"{value}_high")]
    return pd.DataFrame(summary, columns=[*keys, *columns, "seeds"]).round(5)


def with_interval(row, value, form=".1f", scale=1.0):
    """A mean with its interval as text; a single run has none.

    Args:
        row: A row of `mean_intervals` as a named tuple or `pandas.Series`.
        value: Name of the value.
        form: How numbers are written.
        scale: What they are multiplied by.

    Returns:
        Such as `"2.1 (1.9 to 2.3)"`.

    Example:

    >>> import pandas as pd
    >>> from kerasft.experiments.summary import with_interval
    >>> row = pd.Series({"gain": 0.02, "gain_low": 0.01, "gain_high": 0.03})
    >>> with_interval(row, "gain", "+.1f", scale=100)
    '+2.0 (+1.0 to +3.0)'
    """
    mean, low, high = (
        format(scale * getattr(row, name), form)
        for name in (value, f"{value}_low", f"{value}_high")
    )
    return mean if math.isnan(getattr(row, f"{value}_low")) else f"{mean} ({low} to {high})"
