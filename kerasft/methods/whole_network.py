"""Every layer, batch normalizations in training mode."""

import keras

from kerasft.methods.copies import copy_model
from kerasft.methods.method import Method
from kerasft.methods.reasons import no_labels
from kerasft.methods.training import train


def _apply(problem, seed):
    keras.utils.set_random_seed(seed)
    return train(copy_model(problem.model), problem)


WHOLE_NETWORK = Method(
    name="whole network", apply=_apply, needs_labels=True, reason_against=no_labels
)
