"""Time of one training step: selected filters against what one would do otherwise.

    python benchmarks/training_step.py

All-Conv Net, batches of 64 images; the first three convolutions are tuned: whole, a
quarter of their filters by kerasft, the same quarter by masking the gradients of whole
layers, or by LoRA of rank 4; besides, the whole network is. The variants take turns
within one run; memory is measured in a process for each. Before anything is timed, the
weight gradients of the quarter are compared with those of whole layers and of masking.
"""

import keras
import numpy as np
import pandas as pd
from measuring import (
    Parser,
    call_measured,
    in_fresh_process,
    median_with_interval,
    take_turns,
    write_table,
)

from kerasft.backend import default_jit_compile
from kerasft.models import all_conv_net
from kerasft.surgery import make_partially_trainable

LAYERS = ("conv1", "conv2", "conv3")
FILTERS = 96
WHOLE, QUARTER, MASKED = "three layers whole", "a quarter of their filters", "masked gradients"
LORA, NETWORK = "LoRA of rank 4", "whole network"


def main(arguments=None):
    parser = Parser(__doc__, "training_step.csv")
    parser.add_argument("--repeats", default=9, type=int, help="turns")
    parser.add_argument("--steps", default=4, type=int, help="steps in each turn")
    args = parser.parse_args(arguments)
    if args.quick:
        args.repeats = args.steps = 1
    images, labels = batch(8 if args.quick else 64)
    check(images, labels)
    models = {name: compiled(make(), "adam") for name, make in VARIANTS.items()}
    seconds = take_turns(
        {
            name: lambda model=model: train(model, images, labels, args.steps)
            for name, model in models.items()
        },
        args.repeats,
    )
    # In a quick run the first one stands for all: each takes a start of Keras.
    in_processes = [WHOLE] if args.quick else models
    memory = {name: in_fresh_process(peak_memory, name) for name in in_processes}
    rows = []
    for name, model in models.items():
        ratio, low, high = median_with_interval(seconds[name] / seconds[WHOLE])
        to_network, to_masking = (
            median_with_interval(seconds[name] / seconds[other])[0] for other in (NETWORK, MASKED)
        )
        rows.append(
            {
                "variant": name,
                "ratio": round(ratio, 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "ratio_to_whole_network": round(to_network, 3),
                "ratio_to_masking": round(to_masking, 3),
                "seconds_per_step": round(float(np.median(seconds[name])) / args.steps, 4),
                "trained_parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
                "optimizer_values": sum(int(np.prod(v.shape)) for v in model.optimizer.variables),
                "optimizer_bytes": optimizer_bytes(model),
                "peak_mib": memory.get(name),
                "million_multiply_adds": multiply_adds(name),
                "repeats": args.repeats,
            }
        )
    write_table(pd.DataFrame(rows), args.out)


def batch(size=64):
    """Random images and labels; what they show does not change the time of a step."""
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (size, 32, 32, 3)).astype("float32")
    return images, generator.integers(0, 10, size)


def source():
    """The network that all variants start from, the same at every call."""
    keras.utils.set_random_seed(0)
    return all_conv_net(classes=10)


def quarter():
    """A quarter of the filters of each layer, drawn at random."""
    generator = np.random.default_rng(1)
    return {name: np.sort(generator.permutation(FILTERS)[: FILTERS // 4]) for name in LAYERS}


def whole_layers():
    """The three layers trained and all others frozen, in plain Keras."""
    model = source()
    for layer in model.layers:
        layer.trainable = layer.name in LAYERS
    return model


def masked_gradients():
    """Whole layers whose gradients are multiplied by 0 or 1, as one does in plain Keras."""
    import tensorflow as tf

    class MaskedGradients(keras.Model):
        def train_step(self, data):
            images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                scores = self(images, training=True)
                loss = self.compute_loss(images, labels, scores)
            gradients = tape.gradient(loss, self.trainable_variables)
            masked = [g * mask for g, mask in zip(gradients, self.masks, strict=True)]
            self.optimizer.apply_gradients(zip(masked, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = whole_layers()
    masked = MaskedGradients(model.inputs, model.outputs)
    masked.masks = [
        tf.constant(np.isin(np.arange(FILTERS), filters), "float32")
        for filters in quarter().values()
    ]
    return masked


def lora():
    """Keras's own low-rank adaptation of the three layers, all else frozen."""
    model = whole_layers()
    for name in LAYERS:
        model.get_layer(name).enable_lora(rank=4)
    return model


VARIANTS = {
    WHOLE: whole_layers,
    QUARTER: lambda: make_partially_trainable(source(), quarter()),
    MASKED: masked_gradients,
    LORA: lora,
    NETWORK: source,
}


def compiled(model, optimizer):
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    return model


def train(model, images, labels, steps):
    for _ in range(steps):
        model.train_on_batch(images, labels)


def optimizer_bytes(model):
    """Bytes of the optimizer's state."""
    return sum(keras.ops.convert_to_numpy(v).nbytes for v in model.optimizer.variables)


def peak_memory(variant):
    """MiB that training takes beyond the model and the images."""
    images, labels = batch()
    model = compiled(VARIANTS[variant](), "adam")
    _, _, mib = call_measured(lambda: train(model, images, labels, 3))
    return round(mib, 1)


def multiply_adds(variant):
    """Millions of multiply-adds of the convolutions for one image; `None` for LoRA.

    Each convolution takes as many for its output, for the gradient of its input, which
    all need but the lowest one trained, and for the gradient of its kernel, which takes
    the share of the filters trained.
    """
    shares = {
        WHOLE: dict.fromkeys(LAYERS, 1),
        MASKED: dict.fromkeys(LAYERS, 1),
        QUARTER: dict.fromkeys(LAYERS, 1 / 4),
        NETWORK: None,
    }
    if variant not in shares:
        return None
    model = source()
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            once = height * width * int(np.prod(layer.kernel.shape))
            share = 1 if shares[variant] is None else shares[variant].get(layer.name, 0)
            total += once * (1 + (layer.name != LAYERS[0]) + share)
    return round(total / 1e6, 1)


def check(images, labels):
    """One plain gradient step moves the quarter as whole layers and masking move it."""
    start = [kernel_of(source(), name) for name in LAYERS]
    moved = {}
    for name in (WHOLE, QUARTER, MASKED):
        model = compiled(VARIANTS[name](), keras.optimizers.SGD(1.0))
        model.train_on_batch(images, labels)
        moved[name] = [
            kernel_of(model, layer) - before for layer, before in zip(LAYERS, start, strict=True)
        ]
    for filters, *moves in zip(quarter().values(), *moved.values(), strict=True):
        whole, ours, masked = moves
        frozen = np.setdiff1d(np.arange(FILTERS), filters)
        for other in (whole, masked):
            np.testing.assert_allclose(
                ours[..., filters], other[..., filters], rtol=1e-3, atol=1e-5
            )
        if not whole[..., filters].any() or ours[..., frozen].any() or masked[..., frozen].any():
            raise AssertionError("Expected the quarter to move, and nothing else.")
    # LoRA starts as the network it adapts.
    expected = source().predict_on_batch(images)
    np.testing.assert_allclose(lora().predict_on_batch(images), expected, rtol=1e-4, atol=1e-6)


def kernel_of(model, layer):
    return np.array(keras.ops.convert_to_numpy(model.get_layer(layer).kernel))


if __name__ == "__main__":
    main()
