import keras

from kerasft.layer_lookup import find_layer, named_layers


def convolutions(problem):
    """The convolutions that methods tune or select from.

    Args:
        problem: A `Problem`.

    Returns:
        Dictionary from path to layer in model order: those that
        `problem.layers` names, else every plain `Conv2D`.
    """
    found = named_layers(problem.model)
    if problem.layers is None:
        # Not subclasses, whose own code a partially trainable copy would lose.
        return {path: layer for path, layer in found.items() if type(layer) is keras.layers.Conv2D}
    wanted = {find_layer(name, found) for name in problem.layers}
    return {path: layer for path, layer in found.items() if path in wanted}
