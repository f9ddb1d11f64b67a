"""Distortions in the order in which figures show them."""

import itertools

from kerasft.distortions import DISTORTIONS, parse_distortion

KINDS = tuple(DISTORTIONS)


def in_order(distortions):
    """Distortions as figures show them: by type, from weak to strong.

    Args:
        distortions: Short forms, such as `"awgn:15"`.

    Returns:
        Sorted list of them.

    Example:

    >>> from kerasft.experiments.distortion_order import in_order
    >>> in_order(["awgn:5", "jpeg:30", "blur:1.5", "blur:1", "jpeg:60"])
    ['blur:1', 'blur:1.5', 'awgn:5', 'jpeg:60', 'jpeg:30']
    """
    return sorted(
        distortions, key=lambda text: (KINDS.index(kind(text)), parse_distortion(text).severity)
    )


def by_kind(distortions):
    """Distortions in a list for each type that is there, each from weak to strong.

    Args:
        distortions: Short forms, such as `"awgn:15"`.

    Returns:
        List of lists.

    Example:

    >>> from kerasft.experiments.distortion_order import by_kind
    >>> by_kind(["awgn:5", "blur:1.5", "blur:1"])
    [['blur:1', 'blur:1.5'], ['awgn:5']]
    """
    return [list(group) for _, group in itertools.groupby(in_order(distortions), key=kind)]


def kind(distortion):
    """The type of a distortion, such as `"blur"` or `"awgn"`, from its short form."""
    return distortion.partition(":")[0]
