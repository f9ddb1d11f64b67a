"""What more a training step of selected filters could save: two ideas, measured before building.

    python benchmarks/training_step_ideas.py

The networks and filters of `training_step.py`. *Folded*: the frozen batch normalizations
are taken out, as if folded into the convolutions. *Needed channels*: the second
convolution computes the gradient of its input for those channels alone that the trained
filters of the first one make; nothing below needs the others, but whoever asks for the
gradient of an image would get a wrong one. Both are for TensorFlow and stand here, not in
the package. Before anything is timed, the weight gradients are compared.
"""

import keras
import numpy as np
import pandas as pd
from measuring import Parser, ratios, take_turns, write_table
from training_step import (
    FILTERS,
    LAYERS,
    NETWORK,
    QUARTER,
    VARIANTS,
    WHOLE,
    batch,
    compiled,
    kernel_of,
    quarter,
    source,
    train,
)

from kerasft.surgery import make_partially_trainable

FOLDED, CHANNELS = "folded", "needed channels"


def main(arguments=None):
    parser = Parser(__doc__, "bench-training-step-ideas.csv")
    parser.add_argument("--repeats", default=9, type=int, help="turns")
    parser.add_argument("--steps", default=4, type=int, help="steps in each turn")
    args = parser.parse_args(arguments)
    if args.quick:
        args.repeats = args.steps = 1
    images, labels = batch(8 if args.quick else 64)
    variants = {
        **{name: VARIANTS[name] for name in (WHOLE, QUARTER)},
        f"{QUARTER}, {FOLDED}": lambda: partial(without_normalization()),
        f"{QUARTER}, {CHANNELS}": lambda: needed_channels(partial(source())),
        f"{QUARTER}, {FOLDED}, {CHANNELS}": lambda: needed_channels(
            partial(without_normalization())
        ),
        NETWORK: VARIANTS[NETWORK],
    }
    check(images, labels)
    models = {name: compiled(make(), "adam") for name, make in variants.items()}
    seconds = take_turns(
        {
            name: lambda model=model: train(model, images, labels, args.steps)
            for name, model in models.items()
        },
        args.repeats,
    )
    to_whole, to_network = ratios(seconds, WHOLE), ratios(seconds, NETWORK)
    rows = [
        {
            "variant": name,
            **dict(zip(("ratio", "low", "high"), np.round(to_whole[name], 3), strict=True)),
            "ratio_to_whole_network": round(to_network[name][0], 3),
            "seconds_per_step": round(float(np.median(seconds[name])) / args.steps, 4),
            "repeats": args.repeats,
        }
        for name in variants
    ]
    write_table(pd.DataFrame(rows), args.out)


def partial(model):
    return make_partially_trainable(model, quarter())


def without_normalization():
    """The network as if its batch normalizations were folded; its weights are others."""
    model = source()
    inputs = outputs = keras.Input(model.input_shape[1:])
    for layer in model.layers[1:]:
        if not isinstance(layer, keras.layers.BatchNormalization):
            outputs = layer.__class__.from_config(layer.get_config())(outputs)
    return keras.Model(inputs, outputs)


def needed_channels(model):
    """Let the second convolution differentiate for the channels that are trained below it."""
    import tensorflow as tf

    channels = quarter()[LAYERS[0]].astype("int32")
    places = np.full(FILTERS, len(channels), "int32")
    places[channels] = np.arange(len(channels))
    layer = model.get_layer(LAYERS[1])
    convolve = layer.convolution_op

    def convolution_op(inputs, kernel):
        if kernel.shape[-1] != FILTERS:
            # The gradient of the trained slice of the kernel.
            return convolve(inputs, kernel)

        @tf.custom_gradient
        def convolution(inputs):
            def gradient(upstream):
                # Under "same" the input is as large as the output.
                needed = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.concat([tf.shape(upstream)[:3], [len(channels)]], 0),
                    filter=tf.gather(kernel, channels, axis=2),
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding="SAME",
                )
                # A channel of zeros for all others.
                return tf.gather(tf.pad(needed, [[0, 0]] * 3 + [[0, 1]]), places, axis=3)

            return convolve(inputs, kernel), gradient

        return convolution(inputs)

    layer.convolution_op = convolution_op
    return model


def check(images, labels):
    """With the needed channels alone, one plain gradient step moves all filters as without."""
    start = [kernel_of(source(), name) for name in LAYERS]
    moved = []
    for model in (partial(source()), needed_channels(partial(source()))):
        compiled(model, keras.optimizers.SGD(1.0)).train_on_batch(images, labels)
        moved.append([kernel_of(model, n) - w for n, w in zip(LAYERS, start, strict=True)])
    for ours, theirs in zip(*moved, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
        if not ours.any():
            raise AssertionError("Expected the quarter to move.")


if __name__ == "__main__":
    main()
