"""The one place that looks into layers that Keras does not open."""


def sublayers(layer):
    """The layers inside a layer, at any depth, itself not included.

    Reads a private method of Keras: only models list their layers in public.

    Args:
        layer: A `keras.Layer`.

    Returns:
        List of `keras.Layer`.
    """
    return list(layer._flatten_layers(include_self=False))
