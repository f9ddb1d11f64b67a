"""Names of layers as a user gives them."""

from collections.abc import Iterable


def layer_names(names, argument):
    """Names of layers, checked to be several.

    Args:
        names: An iterable of names.
        argument: What a user gives them as, for the error.

    Returns:
        Tuple of the names.

    Raises:
        TypeError: A single name, or nothing to iterate over.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"Expected {argument} as a list of layer names. Received: {names!r}.")
    return tuple(names)
