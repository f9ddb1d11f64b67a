"""The limit of a training step: the kernel gradient of a quarter of the filters.

    python benchmarks/kernel_gradient.py

The second convolution of All-Conv Net, batches of 64, single operations of TensorFlow: the
gradient of the whole kernel, of a quarter of its filters, and picking the quarter's
channels out of the upstream gradient, which comes before it. The operations take turns.
Before anything is timed, the quarter's gradient is compared with that of the whole.
"""

import numpy as np
import pandas as pd
import tensorflow as tf
from measuring import Parser, ratios, take_turns, write_table
from training_step import FILTERS, LAYERS, quarter

WHOLE, QUARTER, PICK = "the whole kernel", "a quarter of its filters", "picking the channels"


def main(arguments=None):
    parser = Parser(__doc__, "bench-kernel-gradient.csv")
    parser.add_argument("--turns", default=21, type=int)
    args = parser.parse_args(arguments)
    turns, batch, at_least = (1, 2, 0) if args.quick else (args.turns, 64, 0.1)
    generator = tf.random.Generator.from_seed(0)
    inputs, upstream = (generator.normal((batch, 32, 32, FILTERS)) for _ in range(2))
    filters = tf.constant(quarter()[LAYERS[1]], "int32")
    picked = tf.gather(upstream, filters, axis=3)
    operations = {
        WHOLE: tf.function(lambda: kernel_gradient(inputs, upstream)),
        QUARTER: tf.function(lambda: kernel_gradient(inputs, picked)),
        PICK: tf.function(lambda: tf.gather(upstream, filters, axis=3)),
    }
    whole, part = (operations[name]().numpy() for name in (WHOLE, QUARTER))
    np.testing.assert_allclose(part, whole[..., filters.numpy()], rtol=1e-3, atol=1e-2)
    seconds = take_turns(operations, turns, at_least)
    to_whole = ratios(seconds, WHOLE)
    rows = [
        {
            "operation": name,
            **dict(zip(("ratio", "low", "high"), np.round(to_whole[name], 3), strict=True)),
            "ms": round(float(np.median(seconds[name])) * 1e3, 2),
            "turns": turns,
        }
        for name in operations
    ]
    write_table(pd.DataFrame(rows), args.out)


def kernel_gradient(inputs, upstream):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs,
        filter_sizes=[3, 3, inputs.shape[3], upstream.shape[3]],
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


if __name__ == "__main__":
    main()
