"""Layers of a model by name, through nested models."""

import keras


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
        ValueError: No such layer, or several; names the candidates.
    """
    if name in layers:
        return name
    matches = [path for path in layers if path.rpartition("/")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(
            f"Expected the name of one layer. Received: {name!r}, which may be any of {matches}."
        )
    convolutions = [
        short_name(path, layers)
        for path, layer in layers.items()
        if isinstance(layer, keras.layers.Conv2D)
    ]
    raise ValueError(
        f"Expected the name of a layer in the model. Received: {name!r}. "
        f"Its Conv2D layers are {convolutions}."
    )


def find_convolution(name, layers):
    """Find a `Conv2D` layer by name.

    Args:
        name: `layer` or `nested_model/layer`.
        layers: What `named_layers` returns.

    Returns:
        The path.

    Raises:
        ValueError: No such layer, several, or not a `Conv2D`.
    """
    path = find_layer(name, layers)
    if not isinstance(layers[path], keras.layers.Conv2D):
        raise ValueError(
            f"Expected a Conv2D layer. Received: {name!r}, a {type(layers[path]).__name__}."
        )
    return path
