import hashlib
import json

import numpy as np

from kerasft.layer_lookup import named_layers

# What a model is called and how it was trained, not what it computes.
_LEFT_OUT = ("name", "build_config", "compile_config")


def model_digest(model):
    """What tells this model from others: what its layers do, how they are wired, its weights.

    Names do not count: Keras makes other ones when a model is built again.

    Args:
        model: A `keras.Model` that can be saved.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    # The configuration of a class with a constructor of its own does not tell the layers.
    for layer in named_layers(model).values():
        digest.update(type(layer).__name__.encode())
    nameless = _nameless(json.loads(model.to_json()), {})
    digest.update(json.dumps(nameless, sort_keys=True).encode())
    for weight in model.weights:
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def _nameless(part, places):
    """A part of a configuration without names, layers in the wiring by their places."""
    if isinstance(part, list):
        return [_nameless(x, places) for x in part]
    if not isinstance(part, dict):
        return part
    if "input_layers" in part:
        places = {layer["name"]: place for place, layer in enumerate(part["layers"])}
    kept = {}
    for key, value in part.items():
        if key in ("input_layers", "output_layers", "keras_history"):
            kept[key] = _placed(value, places)
        elif key == "dtype":
            # A policy is nothing but its name.
            kept[key] = value
        elif key not in _LEFT_OUT:
            kept[key] = _nameless(value, places)
    return kept


def _placed(wiring, places):
    if isinstance(wiring, dict):
        return {key: _placed(value, places) for key, value in wiring.items()}
    if isinstance(wiring, list):
        return [_placed(value, places) for value in wiring]
    return places.get(wiring, wiring)
