import keras

from kerasft.backend import default_jit_compile
from kerasft.criteria.labelled import labelled_loss
from kerasft.criteria.trainable_copy import trainable_copy
from kerasft.layer_lookup import named_layers
from kerasft.progress import track
from kerasft.tunable import find_tunable

_BATCH_SIZE = 64


def loss_gradients(model, data, layers):
    """Gradient of the loss of distorted images for the weights of convolutions.

    The loss is the mean cross-entropy over all images, without regularizers.
    The model runs in inference mode. But for rounding, the result does not
    depend on how many images run together.

    Args:
        model: A built Functional or Sequential classifier. It is not changed.
        data: `RankingData` with distorted images and labels.
        layers: Names of `Conv1D`, `Conv2D` or `Conv3D` layers.

    Returns:
        Dictionary from each name to a list of arrays, float64: the gradient
        for the kernel, and that for the bias where the layer has one.

    Raises:
        ValueError: No such data, images or labels that do not fit the model,
            a layer or a model of another kind.
    """
    images, labels = data.require("distorted", "labels")
    _validate_layers(model, layers)
    copy, targets = trainable_copy(model, layers)
    optimizer = _GradientSum()
    optimizer.build(copy.trainable_variables)
    losing = _Losing(copy, labelled_loss(copy, images, labels, "sum"))
    losing.compile(optimizer, jit_compile=default_jit_compile(), auto_scale_loss=False)
    starts = range(0, len(images), _BATCH_SIZE)
    for start in track(starts, len(starts), "Computing gradients"):
        batch = slice(start, start + _BATCH_SIZE)
        losing.train_on_batch(images[batch], labels[batch])
    total_of = dict(zip(map(id, copy.trainable_variables), optimizer.totals, strict=True))
    return {
        name: [
            keras.ops.convert_to_numpy(total_of[id(variable)]).astype("float64") / len(images)
            for variable in (layer.kernel, layer.bias)
            if variable is not None
        ]
        for name, layer in zip(layers, targets, strict=True)
    }


def _validate_layers(model, layers):
    found = named_layers(model)
    for name in layers:
        path, _ = find_tunable(name, found)
        layer = found[path]
        if layer.lora_enabled or layer.dtype_policy.quantization_mode is not None:
            raise ValueError(
                "Expected convolutions without LoRA and without quantization. Received: layer "
                f"{name!r} with one of them. Load its weights into a plain model first."
            )


class _Losing(keras.Model):
    """A model in inference mode, and the sum over its images of their loss.

    Keras has no public gradients but those that a training step hands to the
    optimizer.
    """

    def __init__(self, model, loss_of_images):
        super().__init__(name="losing", autocast=False)
        self.model = model
        self.loss_of_images = loss_of_images

    def call(self, inputs):
        return self.model(inputs, training=False)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.loss_of_images(y, y_pred)


class _GradientSum(keras.optimizers.Optimizer):
    """Adds up gradients, and leaves weights as they are.

    Attributes:
        totals: A variable for each of those that it is built for.
    """

    def __init__(self):
        super().__init__(learning_rate=0.0)

    def build(self, variables):
        super().build(variables)
        self.totals = [
            self.add_variable(variable.shape, dtype="float32", name="total")
            for variable in variables
        ]

    def apply(self, grads, trainable_variables=None):
        # The whole of it: what Keras does around the update, such as
        # constraints, would move weights.
        for total, gradient in zip(self.totals, grads, strict=True):
            # A layer that leads to no output has none.
            if gradient is not None:
                total.assign_add(keras.ops.cast(gradient, total.dtype))
