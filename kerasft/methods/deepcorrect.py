"""Correction units behind the filters that distortion harms most.

A quarter of each layer's filters, ranked by the accuracy that their clean
outputs would give back, are followed by a small residual network, which alone
is trained: convolutions 1×1, 3×3 and 1×1 with as many filters as are corrected,
ReLU between them. Unlike the authors' they have no batch normalization: the
units then follow the scale of the maps, whatever it is, and need no statistics
of few images. The last convolution starts at zero, so that the model begins as
it was. The units are public Keras; a file of the result opens without `kerasft`.

Reference:
    Borkar, Karam, *DeepCorrect: Correcting DNN Models against Image
    Distortions*, IEEE TIP 2019, arXiv 1705.02406.
"""

import dataclasses

import keras
from keras import ops

from kerasft.criteria import RankingData, rank_filters_by
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.layers.live_config import live_config
from kerasft.methods.convolutions import convolutions
from kerasft.methods.copies import copy_model, train_only
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_convolution, no_labels, no_pairs
from kerasft.methods.training import train
from kerasft.seeding import seed_keras

FRACTION = 0.25


def _apply(problem, seed):
    data = RankingData(problem.clean, problem.distorted, problem.labels)
    ranking = rank_filters_by("correction", problem.model, data, layers=_paths(problem))
    layers = named_layers(problem.model)
    filters_of = {
        id(layers[find_layer(name, layers)]): filters
        for name, filters in ranking.select(FRACTION).items()
    }
    seed_keras(seed)
    units = []

    def convert(layer):
        if id(layer) not in filters_of:
            return None
        corrected, unit = _corrected(layer, filters_of[id(layer)])
        units.extend(unit)
        return corrected

    model = copy_model(problem.model, convert)
    train_only(model, [path for path, x in named_layers(model).items() if x in units])
    # A model of the source's class would have no place for the units.
    outcome = train(model, problem, give_back=False)
    return dataclasses.replace(outcome, added_parameters=outcome.trained_parameters)


def _corrected(conv, filters):
    """A model that stands for a convolution, and the layers of its correction unit."""
    first = conv.data_format == "channels_first"
    axis = 1 if first else -1
    channels = conv.get_build_config()["input_shape"][axis]
    plain = keras.layers.Conv2D.from_config({**live_config(conv), "activation": "linear"})
    inputs = keras.Input((channels, None, None) if first else (None, None, channels))
    maps = plain(inputs)
    plain.set_weights(conv.get_weights())
    chosen = ops.take(maps, filters, axis=axis)
    unit = [
        keras.layers.Conv2D(
            len(filters),
            size,
            padding="same",
            data_format=conv.data_format,
            activation=activation,
            kernel_initializer=initializer,
            dtype=conv.dtype_policy,
            name=f"{conv.name}_correction{number}",
        )
        for number, (size, activation, initializer) in enumerate(
            ((1, "relu", "he_normal"), (3, "relu", "he_normal"), (1, None, "zeros")), start=1
        )
    ]
    residual = chosen
    for layer in unit:
        residual = layer(residual)
    places = list(range(conv.filters))
    for place, filter_ in enumerate(filters):
        places[filter_] = conv.filters + place
    both = ops.concatenate([maps, chosen + residual], axis=axis)
    outputs = keras.layers.Activation(conv.activation, dtype=conv.dtype_policy)(
        ops.take(both, places, axis=axis)
    )
    return keras.Model(inputs, outputs, name=conv.name), unit


def _paths(problem):
    return [p for p, layer in convolutions(problem).items() if type(layer) is keras.layers.Conv2D]


def _no_images(problem):
    if not _paths(problem):
        return "Correction units stand behind Conv2D layers, and there are none."
    return None


DEEPCORRECT = Method(
    name="deepcorrect",
    apply=_apply,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_convolution, _no_images, no_pairs),
)
