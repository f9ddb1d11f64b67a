from kerasft.layer_lookup import find_layer, named_layers
from kerasft.layers import PartiallyTrainable
from kerasft.rebuild import is_wired_by_keras, rebuild


def trainable_copy(model, layers):
    """Copy a model so that nothing but some layers of it can be trained.

    Partially trainable layers become plain ones.

    Args:
        model: A Functional or Sequential `keras.Model`; it is not changed.
        layers: Names of the layers to leave trainable, each as a whole.

    Returns:
        The copy, not compiled, and a list of the copies of `layers`.

    Raises:
        ValueError: An unknown layer, one that is out of reach in a model that
            is wired in code, or a model that cannot be copied.
    """
    found = named_layers(model)
    sources = [found[find_layer(name, found)] for name in layers]
    copy, copy_of = rebuild(
        model, lambda layer: layer.to_conv() if isinstance(layer, PartiallyTrainable) else None
    )
    out_of_reach = [x.name for x in sources if id(x) not in copy_of]
    if out_of_reach:
        raise ValueError(
            "Expected layers that stand in Functional or Sequential models. "
            f"Received: {out_of_reach}, inside a model that is wired in code; make that a "
            "keras.Model(inputs, its.call(inputs))."
        )
    # From the top down; setting what is set already would not reach the layers below.
    copy.trainable = False
    copy.trainable = True
    for layer in copy_of.values():
        if not is_wired_by_keras(layer):
            layer.trainable = False
    targets = [copy_of[id(source)] for source in sources]
    for layer in targets:
        layer.trainable = True
    return copy, targets
