"""What batch normalization would do, for networks without: no labels, no training.

A distortion shifts and scales what each filter gives. From the first convolution to the
last, mean and variance of each filter's output, before the activation, are measured on
clean images in the source network, and on distorted ones in the network whose lower
layers are matched already; a scale and a shift then give the filter on distorted images
the moments that it has on clean ones, and are merged into its kernel and bias.
As in recalibration, 16 images' worth of the clean moments is mixed into the distorted
ones. Clean images need not be versions of the distorted ones, but should show the same
kinds of things; where both show the same, the difference is that of the distortion alone.

The composition is ours; references for its parts:
    Schneider et al., NeurIPS 2020, arXiv 2006.16971, for batch normalization; Jordan et
    al., *REPAIR: REnormalizing Permuted Activations for Interpolation Repair*, ICLR 2023,
    arXiv 2211.08403, for putting normalizations behind convolutions that have none and
    merging them afterwards.
"""

import keras
import numpy as np
from keras import ops

from kerasft.batch_norm import (
    all_batch_normalizations,
    calls_in_order,
    measure_inputs,
    recalibrate,
)
from kerasft.methods.convolutions import convolutions
from kerasft.methods.exchange import Exchange, conv_like
from kerasft.methods.method import Method
from kerasft.methods.outcome import Outcome
from kerasft.methods.reasons import first_reason, no_clean, no_convolution
from kerasft.moments import Moments
from kerasft.rebuild import rebuild

# Of the mean variance of a layer, added to that of each of its filters, so that one that
# gives the same everywhere keeps its form, whatever the scale of the layer.
_SHARE = 1e-5
# Of the means. Where all filters of a layer give the same everywhere, what is measured is
# what rounding in single precision leaves, and that is less.
_ROUNDING = 1e-5
# Of a layer that gives zero everywhere.
_SMALLEST = 1e-30


def _apply(problem, seed):
    makers = dict.fromkeys(_matched(problem), _NormalizedConvolution)
    exchange = Exchange(problem.model, makers, _to_conv)
    model, _ = rebuild(problem.model, exchange.convert)
    exchange.check()
    # As long as they do nothing, every layer is given what it is in the source.
    measured = {id(layer.norm): (layer.norm, Moments()) for layer in exchange.layers}
    for norm, index in calls_in_order(model, problem.clean):
        if id(norm) in measured:
            measure_inputs(model, norm, index, problem.clean, measured[id(norm)][1])
    for norm, moments in measured.values():
        norm.moving_mean.assign(moments.mean)
        norm.moving_variance.assign(moments.variance)
        norm.beta.assign(moments.mean)
        norm.epsilon = _epsilon(moments)
        norm.gamma.assign(np.sqrt(moments.variance + norm.epsilon))
    recalibrate(model, problem.distorted)
    model, _ = rebuild(model, exchange.convert_back, give_back=True)
    return Outcome(model)


def _epsilon(clean):
    """What is added to the variances of the filters of a layer with these moments."""
    rounding = np.mean((_ROUNDING * clean.mean) ** 2)
    return float(_SHARE * np.mean(clean.variance) + rounding + _SMALLEST)


def _matched(problem):
    """Paths of the convolutions that can take a scale and a shift, and are copied as they are."""
    return [
        path
        for path, layer in convolutions(problem).items()
        if type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
        and layer.use_bias
        and not layer.lora_enabled
        and layer.dtype_policy.quantization_mode is None
        and layer.kernel_constraint is None
        and layer.bias_constraint is None
        and not getattr(layer.activation, "weights", None)
    ]


class _NormalizedConvolution(keras.layers.Layer):
    """A convolution with a batch normalization before its activation, which does nothing yet.

    Args:
        source: The built plain convolution that it begins as.
    """

    def __init__(self, source):
        super().__init__(name=source.name, dtype=source.dtype_policy)
        # Not that of the source, since it may be a layer.
        self.activation = conv_like(source, source.get_weights()).activation
        self.conv = conv_like(source, source.get_weights(), activation=None)
        axis = -1 if source.data_format == "channels_last" else 1
        self.norm = keras.layers.BatchNormalization(
            axis=axis, epsilon=0.0, name=source.name, dtype=source.dtype_policy
        )

    def build(self, input_shape):
        self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs):
        return self.activation(self.norm(self.conv(inputs), training=False))

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)


def _to_conv(normalized, source):
    """The plain convolution, with the settings of the source, that does the same."""
    kernel, bias, scale, shift, mean, variance = (
        ops.convert_to_numpy(w).astype("float64")
        for w in (*normalized.conv.weights, *normalized.norm.weights)
    )
    scale = scale / np.sqrt(variance + normalized.norm.epsilon)
    return conv_like(source, [kernel * scale, (bias - mean) * scale + shift])


def _batch_norm(problem):
    if all_batch_normalizations(problem.model):
        return "The model has batch normalization, which `batch norm` fits to distorted images."
    return None


def _no_bias(problem):
    if not _matched(problem):
        return (
            "No plain convolution without constraints, LoRA and quantization has a bias to "
            "take a shift."
        )
    return None


FILTER_MOMENTS = Method(
    name="filter moments",
    apply=_apply,
    needs_labels=False,
    reason_against=first_reason(_batch_norm, no_convolution, no_clean, _no_bias),
)
