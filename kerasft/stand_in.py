"""Copies of models whose class has a constructor of its own.

`class Net(keras.Model)` whose `__init__(self, width)` ends in
`super().__init__(inputs, outputs)` is a Functional model, yet Keras cannot make
another one around other layers. A stand-in is wired like it and remembers how
the model itself is made, so that the merge can give it back. Its layers without
a name then get another, as they do when Keras loads such a model.
"""

import json

import keras

from kerasft.layer_lookup import named_layers
from kerasft.sublayers import sublayers


class StandIn:
    """A wired copy that can make its source anew, from a file of it too.

    Attributes:
        source: Description of the source model as JSON; a dictionary would be
            tracked by Keras.
        classes: In the process where the copy was made, the classes that
            need not be registered there.
    """

    source = ""
    classes: dict[str, type] | None = None

    def make_source(self):
        """The model anew, with fresh weights, under the dtype policy that it was made under."""
        source = json.loads(self.source)
        policy = source.pop("dtype_policy", None)
        before = keras.config.dtype_policy()
        # A constructor of its own need not take one, nor hand it to its layers.
        keras.config.set_dtype_policy(keras.dtype_policies.get(policy or before))
        try:
            return keras.saving.deserialize_keras_object(source, custom_objects=self.classes)
        finally:
            keras.config.set_dtype_policy(before)


@keras.saving.register_keras_serializable(package="kerasft")
class StandInModel(StandIn, keras.Model):
    """Stands in for a Functional model of another class."""

    def __init__(self, inputs, outputs, name=None, *, source="", **arguments):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **arguments)
        self.source = source

    def get_config(self):
        return {**super().get_config(), "source": self.source}


@keras.saving.register_keras_serializable(package="kerasft")
class StandInSequential(StandIn, keras.Sequential):
    """Stands in for a Sequential model of another class."""

    def get_config(self):
        return {**super().get_config(), "source": self.source}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = super().from_config(config, custom_objects)
        model.source = config["source"]
        return model


def stand_in(clone, model):
    """Make a stand-in of what Keras made of a model of another class.

    Args:
        clone: The copy, a plain Functional or Sequential model.
        model: The source, not compiled.

    Returns:
        A `StandIn` of the layers of `clone`.

    Raises:
        ValueError: The source cannot be made anew, or does in its own `call`
            what the copy would not.
    """
    if type(model).call is not type(clone).call:
        raise ValueError(
            "Expected models that Keras wires. Received: "
            f"{model.name!r} of class {type(model).__name__}, whose own call a copy would lose; "
            "make it keras.Model(inputs, model.call(inputs))."
        )
    try:
        source = json.dumps(
            keras.saving.serialize_keras_object(model)
            | {"dtype_policy": keras.dtype_policies.serialize(model.dtype_policy)}
        )
        classes = {
            keras.saving.get_registered_name(type(layer)): type(layer)
            for layer in (model, *sublayers(model))
        }
        if isinstance(clone, keras.Sequential):
            # Keras would call the layers once more in another Sequential.
            clone.__class__ = StandInSequential
        else:
            clone = StandInModel(
                clone.input, clone.output, name=clone.name, trainable=clone.trainable
            )
        clone.source, clone.classes = source, classes
        clone.dtype_policy = model.dtype_policy
        if _shapes(clone.make_source()) != _shapes(model):
            raise ValueError("another network comes out.")
    except (TypeError, ValueError, NotImplementedError, KeyError, AttributeError) as error:
        # Of a key that is missing, and of nothing said, the kind of error tells more.
        bare = isinstance(error, KeyError) or not str(error)
        told = f"{type(error).__name__}: {error}" if bare else str(error)
        raise ValueError(
            "Expected models that get_config and from_config can make again, or "
            "keras.Model(model.inputs, model.outputs) of them. Received: "
            f"{model.name!r} of class {type(model).__name__}: {told.splitlines()[0]}"
        ) from error
    return clone


def _shapes(model):
    return [
        (type(layer), [tuple(w.shape) for w in layer.weights])
        for layer in named_layers(model).values()
    ]
