import zlib

import numpy as np

from kerasft.criteria.filters import count_filters
from kerasft.layer_lookup import find_convolution, named_layers, short_name
from kerasft.whole_number import validate_count


def random_criterion(seed):
    """Make a criterion that knows nothing: what every other one has to beat.

    Args:
        seed: A whole number of at least 0. Each layer draws its own scores
            from it and from its name, so they do not depend on the other
            layers.

    Returns:
        A criterion.

    Raises:
        ValueError: A seed out of range.
    """
    validate_count(seed, "seed")

    def random(model, data, layer):
        layers = named_layers(model)
        path = find_convolution(layer, layers)
        name = short_name(path, layers)
        generator = np.random.default_rng([int(seed), zlib.crc32(name.encode())])
        return generator.random(count_filters(layers[path]))

    return random
