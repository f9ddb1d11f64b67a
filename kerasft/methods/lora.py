"""Low-rank additions to the kernels of convolutions, merged into them afterwards.

Keras's `enable_lora` with rank 4. It leaves the biases of these layers
trainable.

Reference:
    Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, ICLR 2022,
    arXiv 2106.09685.
"""

import keras

from kerasft.layer_lookup import named_layers
from kerasft.layers.live_config import live_config
from kerasft.methods.convolutions import convolutions
from kerasft.methods.copies import copy_model, train_only
from kerasft.methods.method import Method
from kerasft.methods.reasons import first_reason, no_convolution, no_labels
from kerasft.methods.training import train
from kerasft.seeding import seed_keras
from kerasft.surgery import refuse_out_of_reach
from kerasft.tunable import find_tunable

RANK = 4

_KINDS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _apply(problem, seed):
    named = named_layers(problem.model)
    for path in convolutions(problem):
        find_tunable(path, named, way_out=False)
    refuse_out_of_reach(_paths(problem), named)
    seed_keras(seed)
    model = copy_model(problem.model)
    layers, paths = named_layers(model), _paths(problem)
    train_only(model, paths)
    for path in paths:
        layers[path].enable_lora(RANK)
    return train(model, problem, convert=_merged)


def _paths(problem):
    return [
        path
        for path, layer in convolutions(problem).items()
        if isinstance(layer, _KINDS) and not layer.kernel_constraint
    ]


def _merged(layer):
    """A plain convolution with the sum of a kernel and its addition, or `None`."""
    if not getattr(layer, "lora_enabled", False):
        return None
    config = live_config(layer)
    del config["lora_rank"], config["lora_alpha"]
    conv = type(layer).from_config(config)
    conv.build_from_config(layer.get_build_config())
    weights = [layer.kernel, *([layer.bias] if layer.use_bias else [])]
    conv.set_weights([keras.ops.convert_to_numpy(weight) for weight in weights])
    return conv


def _no_kernel(problem):
    if not _paths(problem):
        return "Keras adds LoRA to Conv layers without a kernel constraint, and there are none."
    return None


LORA = Method(
    name="lora",
    apply=_apply,
    needs_labels=True,
    reason_against=first_reason(no_labels, no_convolution, _no_kernel),
)
