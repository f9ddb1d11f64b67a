"""What a method changed in a model."""

import keras
import numpy as np


def changed_filters(before, after):
    """Filters of each convolution that differ, and the names of all other layers that do."""
    filters, others = {}, []
    for layer in before.layers:
        pairs = list(
            zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        )
        if isinstance(layer, keras.layers.Conv2D):
            moved = [np.any(a != b, axis=tuple(range(a.ndim - 1))) for a, b in pairs]
            filters[layer.name] = np.flatnonzero(np.any(moved, axis=0)).tolist()
        elif any((a != b).any() for a, b in pairs):
            others.append(layer.name)
    return filters, others
