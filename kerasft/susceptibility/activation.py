import keras

from kerasft.layers.live_config import live_config

_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)

# What functions of `keras.activations` and `keras.ops` become in a Functional
# model, by the class names that stand in its configuration and so in files.
# Not `Glu`, which leaves half of the filters.
_OPERATIONS = frozenset(
    (
        "Celu",
        "Elu",
        "Exp",
        "Gelu",
        "HardShrink",
        "HardSigmoid",
        "HardSilu",
        "HardTanh",
        "LeakyRelu",
        "LogSigmoid",
        "LogSoftmax",
        "ReLU",
        "Relu",
        "Relu6",
        "Selu",
        "Sigmoid",
        "Silu",
        "SoftShrink",
        "Softmax",
        "Softplus",
        "Softsign",
        "SparsePlus",
        "SparseSigmoid",
        "Sparsemax",
        "Squareplus",
        "Tanh",
        "TanhShrink",
        "Threshold",
    )
)


def following_layers(wiring, layer):
    """What finishes a convolution: batch normalization and activation.

    Args:
        wiring: `Wiring` of a model.
        layer: The convolution.

    Returns:
        List of the batch normalization and activation layers, or operations
        such as `keras.ops.relu`, that directly follow the convolution, in
        order; empty where none does or where its output goes to several.

    Raises:
        ValueError: A model that holds the convolution, or into which it leads,
            is neither Functional nor Sequential, so its wiring is not known;
            or different ones follow where it is called several times.
    """
    following, *others = [_follow(wiring, place) for place in wiring.places(layer)] or [[]]
    for other in others:
        if len(other) != len(following) or not all(map(_is_same, following, other)):
            found = " and ".join(str([part.name for part in x]) for x in (following, other))
            raise ValueError(
                "Expected layers that the same batch normalization and activation follow wherever "
                f"they are called. Received: {layer.name!r}, followed by {found}."
            )
    return following


def _follow(wiring, place):
    following = []
    while len(takers := wiring.takers(place)) == 1:
        (place,) = takers
        operation = wiring.operation(place)
        is_last = is_activation(operation)
        if not is_last and not isinstance(operation, keras.layers.BatchNormalization):
            break
        following.append(operation)
        if is_last:
            break
    return following


def is_activation(operation):
    """Whether a layer or operation is an activation that leaves the number of filters.

    Args:
        operation: A `keras.Operation`, which layers are too.
    """
    if isinstance(operation, keras.Layer):
        halves = getattr(operation, "activation", None) is keras.activations.glu
        return isinstance(operation, _ACTIVATIONS) and not halves
    kind = type(operation)
    return kind.__module__.startswith("keras.") and kind.__name__ in _OPERATIONS


def _is_same(operation, other):
    """Whether two layers or operations compute the same."""
    if operation is other:
        return True
    if type(operation) is not type(other) or getattr(operation, "weights", False):
        return False
    # A function makes a new operation in each call, and layers without weights are often new.
    config, others = ({**live_config(x), "name": None} for x in (operation, other))
    return config == others
