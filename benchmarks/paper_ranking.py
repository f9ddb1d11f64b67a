"""The paper's ranking as its text tells it, the rival of `kerasft.rank_filters`."""

import keras
import numpy as np
import scipy.stats

from kerasft.backend import predict_without_slow_jit


def rank_as_in_the_paper(model, batches, layers):
    """Rank filters with a call of SciPy for every feature map of every pair.

    The network itself runs on batches, as anyone would let it, and no more
    than one batch of feature maps is held.

    Args:
        model: A Functional `keras.Model`.
        batches: Iterable of batches `(clean, distorted)`, two arrays of
            images.
        layers: Names of convolution layers.

    Returns:
        Dictionary from layer name to `(borda_counts, mean_distance)`.

    Reference:
        Bianchi et al., arXiv 1904.03949, Algorithm 1.
    """
    outputs = [model.get_layer(name).output for name in layers]
    maps = keras.Model(model.inputs, outputs)
    predict_without_slow_jit(maps)
    counts = [np.zeros(output.shape[-1], "int64") for output in outputs]
    sums = [np.zeros(output.shape[-1]) for output in outputs]
    pairs = 0
    for batch in batches:
        pairs += len(batch[0])
        versions = (keras.tree.flatten(maps.predict_on_batch(images)) for images in batch)
        for layer, (clean_maps, distorted_maps) in enumerate(zip(*versions, strict=True)):
            for clean_map, distorted_map in zip(clean_maps, distorted_maps, strict=True):
                distances = np.array(
                    [
                        scipy.stats.wasserstein_distance(
                            clean_map[..., filter_].ravel(), distorted_map[..., filter_].ravel()
                        )
                        for filter_ in range(clean_map.shape[-1])
                    ]
                )
                sums[layer] += distances
                first = np.argsort(-distances, kind="stable")[:10]
                counts[layer][first] += np.arange(10, 10 - len(first), -1)
    return {
        name: (count, total / pairs)
        for name, count, total in zip(layers, counts, sums, strict=True)
    }
