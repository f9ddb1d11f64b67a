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
    with warnings.catch_warnings():
        # Meant for files.
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config = layer.get_config()
    attributes = {key: getattr(layer, key, None) for key in config}
    return {**config, **{key: a for key, a in attributes.items() if isinstance(a, _LIVE)}}
