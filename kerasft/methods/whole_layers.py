"""Whole convolutions: the first ones, or all of them.

Reference:
    Zhou, Song, Cheung, *On Classification of Distorted Images with Deep
    Convolutional Neural Networks*, ICASSP 2017; Lee et al., *Surgical
    Fine-Tuning Improves Adaptation to Distribution Shifts*, ICLR 2023.
"""

from kerasft.batch_norm import recalibrate_batch_norm
from kerasft.methods.convolutions import convolutions
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_batch_norm, no_convolution, no_labels
from kerasft.methods.training import train_filters
from kerasft.tunable import find_tunable

# As in the paper's large network. More than half of the layers would not be the first ones.
_FIRST = 3


def _whole_layers(name, choose, recalibrate=False):
    def apply(problem, seed):
        layers = convolutions(problem)
        chosen = [find_tunable(path, layers, way_out=False)[0] for path in choose(list(layers))]
        model = problem.model
        if recalibrate:
            model = recalibrate_batch_norm(model, problem.distorted)
        selection = {path: range(layers[path].filters) for path in chosen}
        return train_filters(model, problem, seed, selection)

    reasons = (no_labels, no_convolution, *([no_batch_norm] if recalibrate else []))
    return Method(name, apply, needs_labels=True, reason_against=first_reason(*reasons))


def _first(paths):
    return paths[: min(_FIRST, max(1, len(paths) // 2))]


FIRST_LAYERS = _whole_layers("first layers", _first)
ALL_CONVOLUTIONS = _whole_layers("all convolutions", list)
FIRST_LAYERS_RECALIBRATED = _whole_layers("first layers recalibrated", _first, recalibrate=True)
ALL_CONVOLUTIONS_RECALIBRATED = _whole_layers(
    "all convolutions recalibrated", list, recalibrate=True
)
