"""Layers that stand in the place of others while a model is measured or trained."""

from kerasft.layer_lookup import named_layers
from kerasft.layers.live_config import live_config
from kerasft.surgery import out_of_reach


class Exchange:
    """Puts layers in the place of some convolutions, and plain convolutions back.

    Args:
        model: The `keras.Model` whose layers are exchanged; it is not changed.
        makers: Dictionary from the path of a layer to a function that makes of it the one
            that is to stand in its place.
        to_conv: Function from the layer that stands there and the source to the plain
            convolution that does the same.
    """

    def __init__(self, model, makers, to_conv):
        self._source_layers = named_layers(model)
        self._maker_of = {id(self._source_layers[path]): make for path, make in makers.items()}
        self._to_conv = to_conv
        self._pairs = {}
        self._paths = list(makers)

    @property
    def layers(self):
        """Those that stand in the place of others."""
        return [layer for layer, _ in self._pairs.values()]

    def convert(self, layer):
        """What `rebuild` asks of every layer of the source."""
        if id(layer) not in self._maker_of:
            return None
        copy = self._maker_of[id(layer)](layer)
        self._pairs[id(copy)] = copy, layer
        return copy

    def check(self):
        """Refuse a model of which not all layers could be exchanged.

        Raises:
            ValueError: Layers inside a model that is wired in code.
        """
        done = {id(source) for _, source in self._pairs.values()}
        left = [path for path in self._paths if id(self._source_layers[path]) not in done]
        if left:
            raise out_of_reach(left, self._source_layers)

    def convert_back(self, layer):
        """What `rebuild` asks of every layer of the copy."""
        return self._to_conv(*self._pairs[id(layer)]) if id(layer) in self._pairs else None


def conv_like(source, weights, **changes):
    """A built plain convolution with the settings of another and weights of its own.

    Args:
        source: A built plain convolution.
        weights: List of arrays.
        **changes: Settings that it has instead.
    """
    conv = type(source).from_config({**live_config(source), **changes})
    conv.build_from_config(source.get_build_config())
    conv.set_weights(weights)
    return conv
