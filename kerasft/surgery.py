"""Model surgery in both directions: make filters trainable one by one, and merge."""

from collections.abc import Mapping

import keras

from kerasft.built_model import validate_built
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.layer_names import layer_names
from kerasft.layers import PartiallyTrainable
from kerasft.layers.filter_indices import validate_filters
from kerasft.rebuild import is_wired_by_keras, rebuild
from kerasft.sublayers import sublayers
from kerasft.tunable import find_tunable


def make_partially_trainable(model, selection, *, trainable=()):
    """Copy a model so that only selected filters of it can be trained.

    The layers in `selection` become `PartiallyTrainableConv2D` (`Conv1D` and
    `Conv3D` likewise); every other layer is frozen, batch normalization
    included (which therefore runs in inference mode and keeps its statistics).
    Layers of the source that are partially trainable already go on training
    their filters, unless they are frozen.
    The copy predicts what the source predicts and is not compiled; the source
    is not changed.

    Args:
        model: A built Functional or Sequential `keras.Model`, possibly with
            nested models and shared layers.
        selection: Mapping from the name of a `Conv2D`, `Conv1D` or `Conv3D`
            layer to the indices of its filters to train. In nested models the
            bare name serves while it is unique, else the path
            `nested_model/layer`.
        trainable: Names of further layers to leave trainable as a whole, such
            as a classifier head or a batch normalization. Of a nested model
            among them, layers in `selection` train their filters alone.

    Returns:
        A new `keras.Model` with the same layer names. Of a model whose class
        has a constructor of its own it is a plain Functional or Sequential
        model, without what else the class defines, until it is merged.

    Raises:
        TypeError: `model` is not a `keras.Model`, `selection` not a mapping
            from names, `trainable` not a list of names.
        ValueError: The model is not built or cannot be rebuilt from its
            layers, the selection is empty, it names a layer or a filter
            that cannot be converted, or a layer in `trainable` too, or a layer
            cannot be frozen. Or what `merge` could not turn back: a layer that
            is partially trainable inside one that is no model, or one that
            stands in a model whose class has a constructor of its own and
            outside it.

    Example:

    >>> import kerasft
    >>> model = kerasft.models.cifar10_cnn()
    >>> partial = kerasft.make_partially_trainable(model, {"conv1": [0, 3]})
    >>> sum(w.size for w in map(lambda v: v.numpy(), partial.trainable_weights))
    56

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.3.
    """
    validate_built(model)
    if not isinstance(selection, Mapping):
        raise TypeError(
            "Expected selection as a mapping from layer names to filter indices. "
            f"Received: {type(selection).__name__}."
        )
    trainable = layer_names(trainable, "trainable")
    layers = named_layers(model)
    _refuse_hidden(layers)
    filters_of = {}
    for name, filters in selection.items():
        path, partial_class = find_tunable(name, layers)
        layer = layers[path]
        if id(layer) in filters_of:
            raise ValueError(
                f"Expected each layer once in the selection. Received: {name!r} again."
            )
        if isinstance(layer, PartiallyTrainable):
            raise ValueError(
                f"Expected plain convolutions. Received: {name!r}, which is partially trainable "
                "already; call kerasft.merge(model) first."
            )
        try:
            filters = validate_filters(filters, layer.filters)
        except (ValueError, TypeError) as error:
            raise _not_convertible(name, error) from error
        filters_of[id(layer)] = (path, filters, partial_class)
    if not any(filters for _, filters, _ in filters_of.values()):
        raise ValueError("Expected a selection with at least one filter. Received: none.")
    unfrozen = {name: find_layer(name, layers) for name in trainable}
    both = [name for name, path in unfrozen.items() if id(layers[path]) in filters_of]
    if both:
        raise ValueError(
            "Expected each layer in selection or in trainable. "
            f"Received: {both[0]!r} in both; select all filters to train it as a whole."
        )
    refuse_restless(layers, unfrozen.values())

    def convert(layer):
        if id(layer) not in filters_of:
            return None
        path, filters, partial_class = filters_of.pop(id(layer))
        try:
            return partial_class.from_conv(layer, filters)
        except (ValueError, TypeError) as error:
            raise _not_convertible(path, error) from error

    clone, clone_of = rebuild(model, convert)
    if filters_of:
        raise out_of_reach([path for path, _, _ in filters_of.values()], layers)
    # From the top down, so that a source model frozen as a whole does not
    # keep the selected filters frozen.
    _unfreeze(clone)
    for copy in clone_of.values():
        if not isinstance(copy, PartiallyTrainable) and not is_wired_by_keras(copy):
            copy.trainable = False
    for layer in layers.values():
        if isinstance(layer, PartiallyTrainable) and not layer.trainable and id(layer) in clone_of:
            clone_of[id(layer)].trainable = False
    for name, path in unfrozen.items():
        layer = layers[path]
        if id(layer) not in clone_of:
            raise ValueError(
                "Expected layers to leave trainable that stand in Functional or Sequential models. "
                f"Received: {name!r}, an input or inside a model of another kind; name that model "
                "as a whole."
            )
        _unfreeze(clone_of[id(layer)])
    return clone


def refuse_restless(layers, unfrozen):
    """Refuse layers whose weights change in training whatever `trainable` says."""
    for path, layer in layers.items():
        parts = [layer] if isinstance(layer, keras.Model) else [layer, *sublayers(layer)]
        restless = any(isinstance(part, keras.layers.SpectralNormalization) for part in parts)
        if restless and not any(f"{path}/".startswith(f"{kept}/") for kept in unfrozen):
            raise ValueError(
                f"Expected layers that can be frozen. Received: {path!r} with a "
                "SpectralNormalization, which changes its kernel in every step of training; put "
                f"the layer that it wraps in its place, or name it in trainable=[{path!r}]."
            )


def _refuse_hidden(layers):
    """Refuse partially trainable layers inside layers that are no models: none would be merged."""
    for path, layer in layers.items():
        for part in [] if isinstance(layer, keras.Model) else sublayers(layer):
            if isinstance(part, PartiallyTrainable):
                raise ValueError(
                    f"Expected {type(part).__name__} layers that stand in models. Received: "
                    f"{part.name!r} inside {path!r} of class {type(layer).__name__}, which is no "
                    "model; put what its to_conv() returns in its place."
                )


def refuse_out_of_reach(paths, layers):
    """Refuse layers in models whose own code wires them, which a copy would lose."""
    beyond = [path for path in paths if _wired_in_code(path, layers)]
    if beyond:
        raise out_of_reach(beyond, layers)


def out_of_reach(paths, layers):
    """The error for layers in models whose own code wires them, which a copy would lose."""
    wired = _wired_in_code(paths[0], layers)
    return ValueError(
        f"Expected layers that stand in Functional or Sequential models. Received: {paths}, inside "
        f"{wired!r} of class {type(layers[wired]).__name__}, which is wired in code; make that a "
        "keras.Model(inputs, its.call(inputs)), or convert a Functional model in it by itself."
    )


def _wired_in_code(path, layers):
    """The outermost model around a layer that is not wired by Keras, or `None`."""
    parents = path.split("/")[:-1]
    ancestors = ["/".join(parents[: i + 1]) for i in range(len(parents))]
    return next((above for above in ancestors if not is_wired_by_keras(layers[above])), None)


def _not_convertible(name, error):
    return ValueError(f"Layer {name!r} cannot be made partially trainable. {error}")


def merge(model):
    """Put the trained filters back into plain convolutions.

    The inverse of `make_partially_trainable`: layer names, class names and
    weight layout are those of the source model, so a `.weights.h5` file of the
    result loads into the source architecture and its `.keras` file opens
    without `kerasft`. All layers of the result are trainable, as Keras makes
    them; it is not compiled.

    Args:
        model: A model with `PartiallyTrainableConv2D` layers, or those of
            1D and 3D; it is not changed.

    Returns:
        A new `keras.Model`.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: It has no partially trainable layers, or some that are
            out of reach in a model of another kind or in another layer.

    Example:

    >>> import kerasft
    >>> model = kerasft.models.cifar10_cnn()
    >>> partial = kerasft.make_partially_trainable(model, {"conv1": [0, 3]})
    >>> type(kerasft.merge(partial).get_layer("conv1")).__name__
    'Conv2D'
    """
    validate_built(model)
    layers = named_layers(model)
    _refuse_hidden(layers)
    partial = {
        id(layer): path for path, layer in layers.items() if isinstance(layer, PartiallyTrainable)
    }
    if not partial:
        raise ValueError(
            "Expected a model with PartiallyTrainableConv2D layers. Received: "
            f"{model.name!r}, which has none."
        )

    def convert(layer):
        return layer.to_conv() if partial.pop(id(layer), None) else None

    clone, _ = rebuild(model, convert, give_back=True)
    if partial:
        raise out_of_reach(list(partial.values()), layers)
    _unfreeze(clone)
    return clone


def _unfreeze(model):
    # Setting what is set already would not reach the layers below.
    model.trainable = False
    model.trainable = True
