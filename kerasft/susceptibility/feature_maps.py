"""Feature maps of chosen layers, batch by batch."""

import warnings

import keras
import numpy as np

from kerasft.backend import default_jit_compile, predict_batch
from kerasft.layer_lookup import named_layers
from kerasft.listening import listen
from kerasft.rebuild import is_wired_by_keras


class FeatureMaps(keras.Model):
    """The outputs of chosen layers of a model.

    Works on any model, nested, shared or subclassed, because it listens to
    the layers while the model runs; of a model that Keras wires, only the part
    that leads to them runs, where none stands in a nested Functional model.

    Args:
        model: The `keras.Model`; it is shared, not copied.
        chains: Mapping from name to a list: the layer to listen to, then the
            layers and operations that are applied to its output, in inference
            mode.

    Call arguments: what `model` takes. Output: dictionary from name to the
    list of the chain's outputs, channels last, one for each time the model
    calls its first layer.
    """

    def __init__(self, model, chains):
        # The model casts what it is given by its own policy, not by the global one of now.
        super().__init__(name="feature_maps", autocast=False)
        self.model = model
        self.chains = chains
        self._prefix = _prefix(model, [chain[0] for chain in chains.values()])
        # A model that is compiled to run eagerly may not run otherwise.
        self.run_eagerly = model.run_eagerly
        jit_compile = default_jit_compile()
        if jit_compile != "auto":
            self.jit_compile = jit_compile

    def call(self, inputs):
        names = {id(chain[0]): name for name, chain in self.chains.items()}
        outputs = {name: [] for name in self.chains}
        with listen(
            [chain[0] for chain in self.chains.values()],
            lambda layer, _, maps: outputs[names[id(layer)]].append(maps),
        ):
            self._prefix(inputs, training=False)
        silent = [name for name, calls in outputs.items() if not calls]
        if silent:
            raise ValueError(
                f"Expected layers that the model calls. Received: {silent}, not called by "
                f"{self.model.name!r} itself."
            )
        return {name: [self._finish(name, maps) for maps in outputs[name]] for name in outputs}

    def _finish(self, name, maps):
        # Applied again, not listened to: an activation layer may serve
        # several convolutions.
        for layer in self.chains[name][1:]:
            # An operation such as `keras.ops.relu` knows no training.
            mode = {"training": False} if isinstance(layer, keras.Layer) else {}
            maps = layer(maps, **mode)
        if self.chains[name][0].data_format == "channels_first":
            maps = keras.ops.moveaxis(maps, 1, -1)
        return maps

    def compute(self, images):
        """Feature maps of one batch.

        Args:
            images: A batch of what `model` takes.

        Returns:
            Dictionary from name to an array `(images, values, filters)`. A
            layer that is called several times gives the values of all calls.
        """
        return {
            name: np.concatenate(
                [maps.reshape(len(maps), -1, maps.shape[-1]) for maps in calls], axis=1
            )
            for name, calls in self.compute_calls(images).items()
        }

    def compute_calls(self, images):
        """Feature maps of one batch, each call of a layer apart.

        Args:
            images: A batch of what `model` takes.

        Returns:
            Dictionary from name to a list of arrays `(images, height, width,
            filters)`, one for each time the model calls the layer.
        """
        outputs = predict_batch(self, images)
        # In the order asked for: JAX sorts what compiled functions return.
        return {name: [np.asarray(maps) for maps in outputs[name]] for name in self.chains}


def _prefix(model, layers):
    """The part of a model that leads to some layers; all of it where it cannot be cut."""
    if not is_wired_by_keras(model):
        return model
    wanted = {id(layer) for layer in layers}
    holders = [
        layer
        for layer in model.layers
        if id(layer) in wanted
        or (
            isinstance(layer, keras.Model)
            and any(id(part) in wanted for part in named_layers(layer).values())
        )
    ]
    try:
        if isinstance(model, keras.Sequential):
            # It has no `input` while no other model calls it. One read from a file calls its
            # layers anew at each that it adds, so those before the last have other outputs.
            prefix = keras.Model(model.inputs[0], holders[-1].output)
        else:
            prefix = keras.Model(model.input, [layer.output for layer in holders])
        with warnings.catch_warnings():
            # Meant for files.
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            return prefix if _is_part(prefix, model) else model
    except Exception:
        # A cut only saves work, and layers of others may refuse in any way.
        return model


def _is_part(prefix, model):
    """Whether the prefix computes what the model computes up to its outputs.

    `layer.output` is of the layer's first call, which may be one of several,
    or one in another model.
    """
    if isinstance(model, keras.Sequential):
        layers = [x for x in prefix.layers if not isinstance(x, keras.layers.InputLayer)]
        return all(ours is theirs for ours, theirs in zip(layers, model.layers, strict=False))
    whole = {layer["name"]: layer for layer in model.get_config()["layers"]}
    return all(
        layer["inbound_nodes"] == whole[layer["name"]]["inbound_nodes"]
        for layer in prefix.get_config()["layers"]
    )
