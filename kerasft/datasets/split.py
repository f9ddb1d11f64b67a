import numbers

import numpy as np
from sklearn.model_selection import train_test_split


def stratified_split(labels, size, seed=0):
    """Split the rows of a labelled set in two, class shares kept.

    An image that is alone in its class goes to either part, as if it were of
    the largest class. Where a part has not room for an image of each class,
    the split is at random.

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
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # Stratification needs two of each class and room for each class on both sides.
    strata = np.where(counts[classes] < 2, counts.argmax(), classes)
    fits = counts.max() >= 2 and len(np.unique(strata)) <= min(size, len(labels) - size)
    first, second = train_test_split(
        np.arange(len(labels)),
        test_size=size,
        random_state=seed,
        stratify=strata if fits else None,
    )
    return np.sort(first), np.sort(second)
