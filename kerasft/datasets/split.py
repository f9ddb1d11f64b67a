import numbers

import numpy as np
from sklearn.model_selection import train_test_split


def stratified_split(labels, size, seed=0):
    """Split the rows of a labelled set in two, class shares kept.

    Args:
        labels: `(n,)` array of integer class labels.
        size: Number of rows in the second part, from 1 to `n - 1`.
        seed: Seed of the draw.

    Returns:
        `(first, second)`: two sorted int64 arrays of row indices.

    Raises:
        ValueError: `size` not a whole number from 1 to `n - 1`, labels that
            are not `(n,)`.

    Example:

    >>> import kerasft
    >>> first, second = kerasft.datasets.stratified_split([0, 0, 0, 1, 1, 1], 2)
    >>> len(first), len(second)
    (4, 2)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"Expected labels of shape (n,). Received: {labels.shape}.")
    if not isinstance(size, numbers.Integral) or not 0 < int(size) < len(labels):
        raise ValueError(
            f"Expected a size from 1 to {len(labels) - 1} for {len(labels)} rows. Received: {size}."
        )
    size = int(size)
    counts = np.unique(labels, return_counts=True)[1]
    # Stratification needs two of each class and room for each class on both
    # sides; a smaller set is split at random.
    fits = counts.min() >= 2 and len(counts) <= min(size, len(labels) - size)
    first, second = train_test_split(
        np.arange(len(labels)),
        test_size=size,
        random_state=seed,
        stratify=labels if fits else None,
    )
    return np.sort(first), np.sort(second)
