import itertools

import keras
from keras import ops

from kerasft.listening import listen


class _Heard(BaseException):
    """Ends the call of a model; not an `Exception`, which Keras would put in other words."""

    def __init__(self, given):
        super().__init__()
        self.given = given


def as_input_of(model, inputs):
    """A batch in the structure that a model has its inputs in.

    A model from an `.h5` file takes a list of one input. `predict` puts a batch
    into it; a direct call warns.

    Args:
        model: A `keras.Model`.
        inputs: What it takes.
    """
    structure = getattr(model, "input", None)
    if isinstance(structure, list) and len(structure) == 1 and not isinstance(inputs, list):
        return keras.tree.flatten(inputs)
    return inputs


class InputMoments(keras.Model):
    """Mean and variance of what one call of a layer is given, for each image.

    Args:
        model: The `keras.Model`; it is shared, not copied.
        layer: A `BatchNormalization` of it.
        index: Which of the layer's calls, from 0.

    Call arguments: what `model` takes. Output: dictionary of `mean` and
    `variance`, `(images, channels)`, and `values`, `(images,)`, the number of
    values in each channel.
    """

    def __init__(self, model, layer, index):
        # The model casts what it is given by its own policy, not by the global one of now.
        super().__init__(name="input_moments", autocast=False)
        self.model = model
        self.layer = layer
        self.index = index
        # To compile it anew for each layer would take longer than to run it, and only
        # where nothing is compiled can the rest of the model be left out.
        self.run_eagerly = True

    def call(self, inputs):
        x = self._given(inputs)
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        x = ops.moveaxis(x, self.layer.axis, -1)
        x = ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))
        mean = ops.mean(x, axis=1, keepdims=True)
        return {
            "mean": ops.squeeze(mean, axis=1),
            "variance": ops.mean(ops.square(x - mean), axis=1),
            "values": ops.sum(ops.ones_like(x[..., 0], dtype="int32"), axis=1),
        }

    def _given(self, inputs):
        calls = itertools.count()

        def hear(_, given, __):
            if next(calls) == self.index:
                raise _Heard(given)

        try:
            with listen([self.layer], hear):
                self.model(as_input_of(self.model, inputs), training=False)
        except _Heard as heard:
            return heard.given
