"""Names of layers as a user gives them."""

from collections.abc import Iterable


def layer_names(layers):
    """Names of layers as a tuple, or `None` for all.

    Args:
        layers: A sequence of names, or `None`.

    Raises:
        TypeError: A single name, or no sequence.
    """
    if layers is None:
        return None
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise TypeError(f"Expected a list of layer names. Received: {layers!r}.")
    return tuple(layers)
