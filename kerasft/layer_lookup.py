"""Layers of a model by name, through nested models."""

from collections.abc import Iterable

import keras

from kerasft.sublayers import sublayers

# Every layer of Keras that makes feature maps with a kernel.
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def named_layers(model):
    """All layers of a model, those of nested models included.

    Args:
        model: A `keras.Model`.

    Returns:
        Dictionary from path to layer in model order. The path of a layer of
        the model itself is its name, of one in a nested model
        `nested_model/layer`. A layer that is used in several places stands
        once, under its first path.
    """
    layers, seen = {}, set()

    def visit(container, prefix):
        for layer in container.layers:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            layers[prefix + layer.name] = layer
            if isinstance(layer, keras.Model):
                visit(layer, f"{prefix}{layer.name}/")

    visit(model, "")
    return layers


def short_name(path, layers):
    """The bare name of a layer where it is unique in the model, else its path."""
    name = path.rpartition("/")[2]
    alike = sum(other.rpartition("/")[2] == name for other in layers)
    return name if alike == 1 else path


def find_layer(name, layers):
    """Find a layer by its path, or by its bare name while that is unique.

    Args:
        name: `layer` or `nested_model/layer`.
        layers: What `named_layers` returns.

    Returns:
        The path.

    Raises:
        TypeError: A list or another collection.
        ValueError: No such layer, or several; names the candidates. Or one
            inside a layer that is no model, out of reach.
    """
    if isinstance(name, Iterable) and not isinstance(name, str):
        raise TypeError(f"Expected the name of a layer. Received: {name!r}.")
    if name in layers:
        return name
    matches = [path for path in layers if path.rpartition("/")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(
            f"Expected the name of one layer. Received: {name!r}, which may be any of {matches}."
        )
    expected = f"Expected the name of a layer in the model. Received: {name!r}"
    for path, layer in layers.items():
        inside = [] if isinstance(layer, keras.Model) else sublayers(layer)
        if str(name).rpartition("/")[2] in [sublayer.name for sublayer in inside]:
            raise ValueError(
                f"{expected}, inside {path!r} of class {type(layer).__name__}, which is no model; "
                "make that a keras.Model(inputs, its.call(inputs)) to reach the layers in it."
            )
    raise ValueError(f"{expected}. {_known_convolutions(layers)}")


def _known_convolutions(layers):
    plain, others = [], []
    for path, layer in layers.items():
        if isinstance(layer, keras.layers.Conv2D):
            plain.append(short_name(path, layers))
        elif isinstance(layer, CONVOLUTIONS):
            others.append(short_name(path, layers))
    known = f"Its Conv2D layers are {plain}"
    return f"{known}, its other convolutions {others}." if others else f"{known}."


def find_convolution(name, layers):
    """Find a layer that makes feature maps: `Conv2D` or another convolution of Keras.

    Args:
        name: `layer` or `nested_model/layer`.
        layers: What `named_layers` returns.

    Returns:
        The path.

    Raises:
        TypeError: A list or another collection.
        ValueError: No such layer, several, or not a convolution.
    """
    path = find_layer(name, layers)
    if not isinstance(layers[path], CONVOLUTIONS):
        raise ValueError(
            "Expected a Conv2D or another convolution layer. "
            f"Received: {name!r}, a {type(layers[path]).__name__}."
        )
    return path
