"""A model built anew from its layers, some of them replaced.

The only file that reads private attributes of Keras: `_flatten_layers`, since
layers inside layers are not listed otherwise, and `_output_shape` of `Lambda`,
since its configuration cannot be turned back. `tests/test_surgery.py` copies
models with both.
"""

import contextlib

import keras

from kerasft.layer_lookup import named_layers
from kerasft.layers.live_config import live_config


def rebuild(model, convert):
    """Copy a model and its weights, some layers as others.

    Args:
        model: A Functional or Sequential `keras.Model`; it is not changed.
        convert: Function from a layer to the one that is to stand in its
            place, or to `None` where a copy is.

    Returns:
        The copy, not compiled, and a dictionary from the `id` of each source
        layer to its copy, nested models and their layers included.

    Raises:
        ValueError: The model is wired in its own `call`, or a layer cannot be
            copied.
    """
    copy_of = {}

    def copy_layer(layer):
        # A layer may stand in several models; Keras remembers copies for one.
        if id(layer) in copy_of:
            return copy_of[id(layer)]
        copy = convert(layer)
        if copy is None and is_wired_by_keras(layer):
            copy = copy_model(layer)
        elif copy is None:
            copy = _copy_by_config(layer)
            if isinstance(layer, keras.Layer):
                plain_copies.append((layer, copy))
        copy_of[id(layer)] = copy
        return copy

    def copy_model(model):
        return keras.models.clone_model(
            model, input_tensors=_named_inputs(model), clone_function=copy_layer
        )

    plain_copies = []
    if not is_wired_by_keras(model):
        raise ValueError(
            f"Expected a Functional or Sequential model. Received: {model.name!r} of class "
            f"{type(model).__name__}, whose layers are wired in code; build it as "
            "keras.Model(inputs, outputs)."
        )
    with _uncompiled(model):
        clone = copy_model(model)
    for layer, copy in plain_copies:
        copy.set_weights(layer.get_weights())
        for part in copy._flatten_layers():
            # Preprocessing layers compute with constants made of their weights.
            if hasattr(part, "finalize_state"):
                part.finalize_state()
    return clone, {key: copy for key, copy in copy_of.items() if isinstance(copy, keras.Layer)}


def _copy_by_config(layer):
    """A layer, or an operation such as `x / 255`, made anew; weights are not copied."""
    if isinstance(layer, keras.layers.Lambda):
        # Its `from_config` refuses functions, even those at hand.
        return type(layer)(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=layer.name,
            dtype=layer.dtype_policy,
        )
    try:
        with contextlib.suppress(TypeError, ValueError):
            # Not every layer's `from_config` takes functions as they are.
            return layer.__class__.from_config(live_config(layer))
        return layer.__class__.from_config(layer.get_config())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            "Expected layers that get_config and from_config can copy. "
            f"Received: {layer.name!r} of class {type(layer).__name__}: {error}"
        ) from error


def is_wired_by_keras(model):
    """Whether this is a Functional or Sequential model, not one wired in its own `call`."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None))


def _named_inputs(model):
    """New inputs like the model's, under the names of its input layers.

    Keras would name them after its tensors, but for Sequential models.
    """
    if isinstance(model, keras.Sequential):
        return None
    names = {
        id(layer.output): layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names.get(id(x), x.name)),
        model.input,
    )


@contextlib.contextmanager
def _uncompiled(model):
    """Hide that a model is compiled: Keras would compile the copy as well.

    The copy's optimizer would then be built for variables that are about to
    be frozen.
    """
    models = [model, *(m for m in named_layers(model).values() if isinstance(m, keras.Model))]
    compiled = [m for m in models if m.compiled]
    for m in compiled:
        m.compiled = False
    try:
        yield
    finally:
        for m in compiled:
            m.compiled = True
