"""Some filters trained as a whole, and a scale and the bias of every filter.

A scale and a bias for each filter are few, and let filters that keep their form follow
inputs that have become weaker or stronger. Afterwards the scales are multiplied into the
kernels, so that the model is of the architecture that it was.

Reference:
    Lian et al., *Scaling & Shifting Your Features: A New Baseline for Efficient Model
    Tuning*, NeurIPS 2022, arXiv 2210.08823.
"""

import functools

import keras
from keras import ops

from kerasft.layer_lookup import named_layers
from kerasft.layers.live_config import live_config
from kerasft.methods.copies import copy_model, train_only
from kerasft.methods.exchange import Exchange, conv_like
from kerasft.methods.training import train
from kerasft.seeding import seed_keras
from kerasft.surgery import refuse_restless
from kerasft.training_checks import validate_weights
from kerasft.tunable import find_tunable


def count_scales(layers):
    """Number of scales and biases that all filters of some layers have.

    Args:
        layers: Convolutions.

    Returns:
        An integer.
    """
    return sum(layer.filters * (_has_scales(layer) + bool(layer.use_bias)) for layer in layers)


def train_scaled_filters(model, problem, seed, selection):
    """Train some filters, the scale and the bias of every filter, and nothing else.

    Args:
        model: The problem's model, or that with other statistics.
        problem: A `Problem` with labels.
        seed: Of shuffling and dropout.
        selection: Mapping from the name of each layer whose filters are to be scaled to
            the indices of those to be trained as a whole, if any. A layer with a kernel
            constraint, which would not hold of the kernel times a scale, gets no scales.

    Returns:
        An `Outcome`.

    Raises:
        ValueError: A layer whose filters cannot be trained one by one, or whose weights
            change whatever is trained; a training that diverged to NaN.
    """
    seed_keras(seed)
    layers = named_layers(model)
    refuse_restless(layers, ())
    makers = {}
    for name, filters in selection.items():
        path, partial_class = find_tunable(name, layers)
        makers[path] = functools.partial(
            _ScaledFilters, partial_class=partial_class, filters=filters
        )
    exchange = Exchange(model, makers, _to_conv)
    copy = copy_model(model, exchange.convert)
    exchange.check()
    scaled = {id(layer) for layer in exchange.layers}
    train_only(copy, [path for path, layer in named_layers(copy).items() if id(layer) in scaled])
    outcome = train(copy, problem, convert=exchange.convert_back)
    validate_weights(outcome.model, f"{model.name!r}, which diverged in training,")
    return outcome


def _has_scales(conv):
    return conv.kernel_constraint is None


class _ScaledFilters(keras.layers.Layer):
    """A convolution whose filters each have a scale, and of which some kernels are trained.

    It stands in a model for the time of training alone.

    Args:
        source: The built plain convolution that it begins as.
        partial_class: The partially trainable class of its kind.
        filters: Indices of the filters whose kernels are trained.
    """

    def __init__(self, source, partial_class, filters):
        super().__init__(
            name=source.name,
            dtype=source.dtype_policy,
            activity_regularizer=source.activity_regularizer,
        )
        copy = partial_class.from_conv(source, filters)
        # Not that of the source, since it may be a layer.
        self.activation = copy.activation
        kernel_alone = {
            "activation": None,
            "activity_regularizer": None,
            "use_bias": False,
            # That of the source may be frozen; this layer says what is trained.
            "trainable": True,
        }
        self.conv = partial_class.from_config({**live_config(copy), **kernel_alone})
        self.conv.build_from_config(source.get_build_config())
        self.conv.load_own_variables({"0": source.kernel})
        self.scale = self.bias = None
        if _has_scales(source):
            self.scale = self.add_weight((source.filters,), "ones", name="scale")
        if source.use_bias:
            self.bias = self.add_weight(
                (source.filters,),
                regularizer=source.bias_regularizer,
                constraint=source.bias_constraint,
                name="bias",
            )
            # Not the array itself, which JAX would give away in training.
            self.bias.assign(ops.convert_to_numpy(source.bias))

    def build(self, input_shape):
        # Built with the layer that it begins as.
        self.built = True

    def call(self, inputs):
        outputs = self.conv(inputs)
        shape = [1] * len(outputs.shape)
        shape[-1 if self.conv.data_format == "channels_last" else 1] = self.conv.filters
        if self.scale is not None:
            outputs = ops.multiply(outputs, ops.reshape(self.scale, shape))
        if self.bias is not None:
            outputs = ops.add(outputs, ops.reshape(self.bias, shape))
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)


def _to_conv(scaled, source):
    """The plain convolution, with the settings of the source, that does the same."""
    kernel = scaled.conv.kernel
    if scaled.scale is not None:
        kernel = ops.multiply(kernel, scaled.scale)
    bias = [] if scaled.bias is None else [scaled.bias]
    return conv_like(source, [ops.convert_to_numpy(w) for w in (kernel, *bias)])
