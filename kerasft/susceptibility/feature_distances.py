import keras

from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.wasserstein import wasserstein_distances


class FeatureDistances(keras.Model):
    """Distances between the feature maps of pairs, computed where the maps are.

    For accelerators: maps are large and distances are few, so only distances
    travel to the host.

    Args:
        feature_maps: The `FeatureMaps` of the model; it is shared.

    Call arguments: a tuple `(clean, distorted)` of batches of what the model
    takes. Output: dictionary from name to distances `(images, filters)`,
    float32.
    """

    def __init__(self, feature_maps: FeatureMaps):
        # The model casts what it is given by its own policy, not by the global one of now.
        super().__init__(name="feature_distances", autocast=False)
        self.feature_maps = feature_maps
        self.run_eagerly = feature_maps.run_eagerly
        self.jit_compile = feature_maps.jit_compile

    def call(self, inputs):
        clean, distorted = (self.feature_maps(images, training=False) for images in inputs)
        return {
            # A model that runs eagerly on the CPU gets an array of them.
            name: keras.ops.convert_to_tensor(
                wasserstein_distances(_joined(clean[name]), _joined(distorted[name])), "float32"
            )
            for name in clean
        }


def _joined(calls):
    """The values of all calls of a layer, `(images, values, filters)`."""
    ops = keras.ops
    flat = [ops.reshape(maps, (ops.shape(maps)[0], -1, maps.shape[-1])) for maps in calls]
    return ops.concatenate(flat, axis=1)
