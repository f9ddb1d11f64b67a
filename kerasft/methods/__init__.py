"""Ways to make a classifier better on bad images, side by side.

All get the same `Problem`: the same images, the same early stopping, the same
optimizer. `METHODS` are those that are compared; `selective_filters` makes
another of any criterion.
"""

from kerasft.methods.clean_kept import SENSITIVE_FILTERS_CLEAN_KEPT
from kerasft.methods.deepcorrect import DEEPCORRECT
from kerasft.methods.filter_moments import FILTER_MOMENTS
from kerasft.methods.head import HEAD
from kerasft.methods.learning_rate import find_learning_rate
from kerasft.methods.lora import LORA
from kerasft.methods.method import Method
from kerasft.methods.nothing import NOTHING
from kerasft.methods.outcome import Outcome
from kerasft.methods.problem import Problem
from kerasft.methods.recalibration import RECALIBRATION
from kerasft.methods.scratch import SCRATCH
from kerasft.methods.selective_filters import selective_filters
from kerasft.methods.sensitive_filters import SENSITIVE_FILTERS
from kerasft.methods.tent import TENT
from kerasft.methods.whole_layers import (
    ALL_CONVOLUTIONS,
    ALL_CONVOLUTIONS_RECALIBRATED,
    FIRST_LAYERS,
    FIRST_LAYERS_RECALIBRATED,
)
from kerasft.methods.whole_network import WHOLE_NETWORK, WHOLE_NETWORK_RECALIBRATED

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        NOTHING,
        RECALIBRATION,
        FILTER_MOMENTS,
        TENT,
        HEAD,
        FIRST_LAYERS,
        ALL_CONVOLUTIONS,
        WHOLE_NETWORK,
        LORA,
        DEEPCORRECT,
        SCRATCH,
        selective_filters("most", "emd_borda", needs_pairs=True),
        selective_filters("gradient", "gradient"),
        selective_filters("emd gradient", "emd_gradient", needs_pairs=True),
        selective_filters("most recalibrated", "emd_borda", recalibrate=True, needs_pairs=True),
        selective_filters("gradient recalibrated", "gradient", recalibrate=True),
        selective_filters(
            "emd gradient recalibrated", "emd_gradient", recalibrate=True, needs_pairs=True
        ),
        ALL_CONVOLUTIONS_RECALIBRATED,
        FIRST_LAYERS_RECALIBRATED,
        WHOLE_NETWORK_RECALIBRATED,
        selective_filters(
            "gradient recalibrated, clean kept", "gradient", recalibrate=True, keep_clean=True
        ),
        SENSITIVE_FILTERS,
        SENSITIVE_FILTERS_CLEAN_KEPT,
    )
}

__all__ = ["METHODS", "Method", "Outcome", "Problem", "find_learning_rate", "selective_filters"]
