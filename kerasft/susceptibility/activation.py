import itertools

import keras

_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)


def following_layers(model, path):
    """The layers that finish a convolution: batch normalization and activation.

    Args:
        model: A Functional or Sequential model, or one with such inside.
        path: Path of the convolution, `layer` or `nested_model/layer`.

    Returns:
        List of the batch normalization and activation layers that directly
        follow the convolution, in order; empty where none does or where its
        output goes to several layers.

    Raises:
        ValueError: The model that holds the convolution is neither Functional
            nor Sequential, so its wiring is not known.
    """
    *parents, name = path.split("/")
    for parent in parents:
        model = model.get_layer(parent)
    consumers = _consumers(model)
    # Without the operations (`x + y`) of a Functional model.
    layers = {layer.name: layer for layer in model.layers}
    following = []
    while len(consumers.get(name, ())) == 1:
        name = consumers[name][0]
        layer = layers.get(name)
        if not isinstance(layer, (keras.layers.BatchNormalization, *_ACTIVATIONS)):
            break
        following.append(layer)
        if isinstance(layer, _ACTIVATIONS):
            break
    return following


def _consumers(model):
    """For each layer of a model the names of the layers that take its output."""
    if isinstance(model, keras.Sequential):
        names = [layer.name for layer in model.layers]
        return {first: [second] for first, second in itertools.pairwise(names)}
    consumers = {}

    def visit(value, consumer):
        if isinstance(value, dict):
            if "keras_history" in value:
                consumers.setdefault(value["keras_history"][0], []).append(consumer)
            for item in value.values():
                visit(item, consumer)
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item, consumer)

    # The configuration is Keras's public description of the wiring.
    try:
        layers = model.get_config()["layers"]
    except (KeyError, NotImplementedError) as error:
        raise ValueError(
            "Expected a Functional or Sequential model, whose activations can be told. "
            f"Received: {model.name!r}, a {type(model).__name__}."
        ) from error
    for layer in layers:
        visit(layer.get("inbound_nodes", ()), layer["config"]["name"])
    return consumers
