import keras

from kerasft.layer_lookup import named_layers
from kerasft.susceptibility.rank_filters import convolution_chains


def check_convolutions(model, path, names, *, others=True):
    """Refuse a model without convolutions to rank, in words of the command line.

    Args:
        model: The `keras.Model`.
        path: Its file, for readers.
        names: Names of convolutions, or `None`: every `Conv2D`.
        others: Whether the command takes other convolutions when named.

    Returns:
        List of the names of the convolutions.

    Raises:
        ValueError: No `Conv2D` and no names, or as `convolution_chains`.
    """
    layers = named_layers(model).values()
    if names is None and not any(isinstance(layer, keras.layers.Conv2D) for layer in layers):
        way_out = ", or --layers to name other convolutions" if others else ""
        raise ValueError(f"Expected a model with Conv2D layers{way_out}. Received: {path}.")
    return list(convolution_chains(model, names))
