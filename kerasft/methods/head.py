"""The classifier alone: what stands behind the last convolution.

Reference:
    Kornblith et al., *Do Better ImageNet Models Transfer Better?*, CVPR 2019,
    Section 4.2.
"""

import keras

from kerasft.layer_lookup import CONVOLUTIONS, named_layers
from kerasft.methods.copies import copy_model, train_only
from kerasft.methods.method import Method
from kerasft.methods.reasons import no_labels
from kerasft.methods.training import train
from kerasft.seeding import seed_keras


def head_layers(model):
    """Paths of the layers behind the last convolution that have weights.

    Batch normalizations are left out, whose statistics belong to what is below.
    Where nothing is left, as in all-convolutional networks, the last
    convolution is the classifier.

    Args:
        model: A `keras.Model`.

    Returns:
        List of paths, empty for a model without weights.
    """
    weighted = {
        path: layer
        for path, layer in named_layers(model).items()
        if layer.weights and not isinstance(layer, (keras.Model, keras.layers.BatchNormalization))
    }
    places = [i for i, x in enumerate(weighted.values()) if isinstance(x, CONVOLUTIONS)]
    paths = list(weighted)
    return paths[places[-1] + 1 :] or paths[-1:] if places else paths[-1:]


def _apply(problem, seed):
    seed_keras(seed)
    model = copy_model(problem.model)
    train_only(model, head_layers(model))
    return train(model, problem)


HEAD = Method(name="head", apply=_apply, needs_labels=True, reason_against=no_labels)
