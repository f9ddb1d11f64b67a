import types
import warnings

import keras

_LIVE = (
    types.FunctionType,
    keras.constraints.Constraint,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
)


def live_config(layer):
    """Configuration of a layer, for a copy of it in the same process.

    Functions, initializers, regularizers and constraints stand in it as they
    are. The plain configuration names them instead, and Keras finds by name
    only its own and registered ones, and refuses lambdas.
    """
    config = _plain_config(layer)
    attributes = {key: getattr(layer, key, None) for key in config}
    return {**config, **{key: a for key, a in attributes.items() if isinstance(a, _LIVE)}}


def make_anew(layer, change=lambda config: config):
    """Make a layer, or an operation, anew by its configuration; weights are not copied.

    Args:
        layer: The layer.
        change: Function from a configuration to the one to make it by.

    Returns:
        A new layer of the same class.

    Raises:
        Exception: Whatever its class raises where no configuration does.
    """
    copies, failures = [], []
    for config in _configs(layer):
        try:
            copies.append(type(layer).from_config(change(config)))
        except Exception as error:
            failures.append(error)
        else:
            if _has_functions_of(layer, copies[-1]):
                return copies[-1]
    if not copies:
        raise failures[-1]
    return copies[0]


def _configs(layer):
    """The configurations to make a layer by, the likeliest first."""
    if type(layer).__module__.partition(".")[0] in ("keras", "kerasft"):
        yield live_config(layer)
        # Not every layer's `from_config` takes functions as they are.
        yield _plain_config(layer)
        return
    # What a class of the user's writes is what it reads; its attribute may be another thing.
    if "name" not in _plain_config(layer):
        yield {**_plain_config(layer), "name": layer.name}
    yield _plain_config(layer)
    yield live_config(layer)


def _plain_config(layer):
    with warnings.catch_warnings():
        # Meant for files.
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        return layer.get_config()


def _has_functions_of(layer, copy):
    """Whether a copy has the very functions: by name Keras may find another one."""
    return all(
        getattr(copy, key, None) is function
        for key, function in live_config(layer).items()
        if isinstance(function, types.FunctionType)
    )
