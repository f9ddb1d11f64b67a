"""A model built anew from its layers, some of them replaced.

Reads one private attribute of Keras, `_output_shape` of `Lambda`, since its
configuration cannot be turned back; `tests/test_surgery.py` copies such models.
"""

import contextlib

import keras

from kerasft.layer_lookup import named_layers
from kerasft.layers.live_config import make_anew
from kerasft.stand_in import StandIn, stand_in
from kerasft.sublayers import sublayers


def rebuild(model, convert, give_back=False):
    """Copy a model and its weights, some layers as others.

    Args:
        model: A Functional or Sequential `keras.Model`; it is not changed.
        convert: Function from a layer to the one that is to stand in its
            place, or to `None` where a copy is.
        give_back: Make of stand-ins the models that they stand in for; else
            models whose class Keras cannot copy become stand-ins.

    Returns:
        The copy, not compiled, and a dictionary from the `id` of each source
        layer to its copy, nested models and their layers included.

    Raises:
        ValueError: The model is wired in its own `call`, a layer cannot be
            copied, two layers that are copied apart share one inside, or a
            layer of a model with a constructor of its own stands outside it.
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
        if isinstance(layer, keras.Layer) and not is_wired_by_keras(layer):
            sources.append(layer)
        copy_of[id(layer)] = copy
        return copy

    def copy_model(model):
        if give_back and isinstance(model, StandIn):
            return copy_source(model)
        clone = keras.models.clone_model(
            model, input_tensors=_named_inputs(model), clone_function=copy_layer
        )
        # Keras gives it the global policy, and scales the loss by the model's.
        clone.dtype_policy = model.dtype_policy
        if type(clone) is not type(model):
            made_whole.append(model)
            return stand_in(clone, model)
        if isinstance(model, StandIn):
            made_whole.append(model)
            clone.source, clone.classes = model.source, model.classes
        return clone

    def copy_source(model):
        copy = model.make_source()
        for layer, copied in zip(_layers_to_copy(model), _layers_to_copy(copy), strict=True):
            plain_copies.append((convert(layer) or layer, copied))
            copy_of[id(layer)] = copied
            sources.append(layer)
        return copy

    plain_copies, sources, made_whole = [], [], []
    if not is_wired_by_keras(model):
        raise ValueError(
            f"Expected a Functional or Sequential model. Received: {model.name!r} of class "
            f"{type(model).__name__}, which is wired in code; where its call is made of layers, "
            "make it keras.Model(inputs, model.call(inputs))."
        )
    with _uncompiled(model):
        clone = copy_model(model)
    for part in made_whole:
        _refuse_layers_outside(part, model)
    _refuse_shared_parts(sources)
    for layer, copy in plain_copies:
        copy.set_weights(layer.get_weights())
        _set_what_is_no_weight(layer, copy)
    return clone, {key: copy for key, copy in copy_of.items() if isinstance(copy, keras.Layer)}


def _set_what_is_no_weight(layer, copy):
    """Give a copy what preprocessing layers inside it keep beside their weights."""
    pairs = zip((layer, *sublayers(layer)), (copy, *sublayers(copy)), strict=False)
    for part, copied in pairs:
        if isinstance(copied, keras.layers.Normalization):
            # It computes with constants made of its weights. Others would lose what they adapted
            # to, which they have from their configuration.
            copied.finalize_state()
        elif isinstance(copied, (keras.layers.IntegerLookup, keras.layers.StringLookup)):
            # Their configuration leaves out what they adapted to.
            words = part.get_vocabulary()
            if words != copied.get_vocabulary():
                scaled = part.output_mode == "tf_idf"
                idf = [keras.ops.convert_to_numpy(part.idf_weights)[: len(words)]] if scaled else []
                copied.set_vocabulary(words, *idf)


def _layers_to_copy(model):
    """The layers of a model, those of models that Keras wires in place of these.

    Without inputs: a model may stand on those of one inside it, and its copy on its own.
    """
    layers = []
    for layer in model.layers:
        layers += _layers_to_copy(layer) if is_wired_by_keras(layer) else [layer]
    return [x for x in dict.fromkeys(layers) if not isinstance(x, keras.layers.InputLayer)]


def _refuse_layers_outside(part, model):
    """Refuse layers of a model that stand outside it too, where its class makes them anew."""
    inside = {id(layer) for layer in (part, *named_layers(part).values())}
    for other in (model, *named_layers(model).values()):
        if not is_wired_by_keras(other) or id(other) in inside:
            continue
        # What has no weights, such as an input, may be made twice.
        shared = [x for x in other.layers if x.weights and id(x) in inside and x is not part]
        if shared:
            raise ValueError(
                "Expected layers of one model alone, where its class has a constructor of its own. "
                f"Received: {shared[0].name!r}, in {part.name!r} of class {type(part).__name__} "
                f"and in {other.name!r}; make the former a keras.Model(its.input, its.output)."
            )


def _refuse_shared_parts(layers):
    """Refuse layers that hold the same weights inside: their copies would hold their own each."""
    owner_of = {}
    for layer in layers:
        for part in (layer, *sublayers(layer)):
            owner = owner_of.setdefault(id(part), layer)
            # An activation without weights may be anybody's.
            if owner is not layer and part.weights:
                raise ValueError(
                    "Expected layers that can be copied one by one. Received: "
                    f"{owner.name!r} and {layer.name!r}, which share {part.name!r}; make what "
                    "holds it inside a keras.Model(inputs, its.call(inputs))."
                )


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
        return make_anew(layer)
    except Exception as error:
        raise ValueError(
            "Expected layers that get_config and from_config can copy. "
            f"Received: {layer.name!r} of class {type(layer).__name__}: {error}"
        ) from error


def is_wired_by_keras(model):
    """Whether this is a Functional or Sequential model, not one wired in its own `call`."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None))


def _named_inputs(model):
    """New inputs like the model's, optional and sparse ones too, named as its input layers.

    Keras would name them after its tensors, but for Sequential models.
    """
    if isinstance(model, keras.Sequential):
        return None
    layer_of = {
        id(layer.output): layer
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    return keras.tree.map_structure(
        lambda x: keras.layers.InputLayer.from_config(layer_of[id(x)].get_config()).output,
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
