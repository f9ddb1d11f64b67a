"""The same architecture from random weights, on the distorted images alone."""

import keras

from kerasft.layers.live_config import make_anew
from kerasft.methods.copies import copy_model
from kerasft.methods.method import Method
from kerasft.methods.reasons import no_labels
from kerasft.methods.training import train
from kerasft.rebuild import is_wired_by_keras
from kerasft.seeding import seed_keras


def _anew(layer):
    # What is not trained was not learned either: constants of preprocessing.
    learned = isinstance(layer, keras.layers.BatchNormalization) or (
        isinstance(layer, keras.Layer) and layer.trainable_weights
    )
    if is_wired_by_keras(layer) or not learned:
        return None
    return make_anew(layer, _drawn_anew)


def _drawn_anew(config):
    return {
        # An initializer draws the same numbers again; its clone draws others.
        key: value.clone() if isinstance(value, keras.initializers.Initializer) else value
        for key, value in config.items()
    }


def _apply(problem, seed):
    seed_keras(seed)
    return train(copy_model(copy_model(problem.model), _anew), problem)


SCRATCH = Method(name="scratch", apply=_apply, needs_labels=True, reason_against=no_labels)
