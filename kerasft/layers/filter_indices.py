import numbers


def validate_filters(indices, filters):
    """Check indices of filters to train.

    Args:
        indices: Iterable of integers.
        filters: Number of filters of the layer.

    Returns:
        Sorted tuple of integers.

    Raises:
        ValueError: An index out of range or repeated.
        TypeError: An index that is not an integer, or no iterable.
    """
    try:
        indices = list(indices)
    except TypeError:
        raise TypeError(
            f"Expected filter indices as a list of integers. Received: {indices!r}."
        ) from None
    wrong = [i for i in indices if isinstance(i, bool) or not isinstance(i, numbers.Integral)]
    if wrong:
        raise TypeError(f"Expected filter indices as integers. Received: {wrong[0]!r}.")
    outside = [int(i) for i in indices if not 0 <= i < filters]
    if outside:
        raise ValueError(
            f"Expected filter indices from 0 to {filters - 1}. Received: {outside[0]}."
        )
    if len(set(indices)) != len(indices):
        repeated = next(int(i) for i in indices if indices.count(i) > 1)
        raise ValueError(f"Expected each filter index once. Received: {repeated} more than once.")
    return tuple(sorted(int(i) for i in indices))
