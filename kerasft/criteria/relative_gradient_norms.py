import keras
import numpy as np

from kerasft.criteria.loss_gradients import loss_gradients
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.susceptibility.model_input import validate_model
from kerasft.susceptibility.rank_filters import convolution_chains


def relative_gradient_norms(model, data, layers=None):
    """How much of each layer's weights the loss of distorted images asks to change.

    The L2 norm of the gradient of the mean cross-entropy for the layer's
    kernel and bias over the norm of these weights.

    Args:
        model: A built Functional or Sequential classifier. It is not changed.
        data: `RankingData` with distorted images and labels.
        layers: Names of `Conv1D`, `Conv2D` or `Conv3D` layers. Default: every
            `Conv2D`.

    Returns:
        Dictionary from layer name to a number of at least 0; infinity for
        weights that are all 0.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: As `rank_filters_by("gradient", …)`.

    Reference:
        Y. Lee et al., *Surgical fine-tuning improves adaptation to
        distribution shifts*, ICLR 2023 (arXiv 2210.11466), Auto-RGN.
    """
    validate_model(model, batch_size=1)
    names = list(convolution_chains(model, layers))
    gradients = loss_gradients(model, data, names)
    found = named_layers(model)
    return {name: _ratio(name, gradients[name], found[find_layer(name, found)]) for name in names}


def _ratio(name, gradients, layer):
    weights = [keras.ops.convert_to_numpy(x) for x in (layer.kernel, layer.bias) if x is not None]
    change, size = (
        np.linalg.norm(np.concatenate([x.ravel() for x in parts]).astype("float64"))
        for parts in (gradients, weights)
    )
    # A ratio with NaN has no place in an order.
    if not np.isfinite([change, size]).all():
        raise ValueError(
            f"Expected finite gradients and weights of layer {name!r}. Received: NaN or infinity."
        )
    if size == 0:
        return float("inf") if change > 0 else 0.0
    return float(change / size)
