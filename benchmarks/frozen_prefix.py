"""Time of fine-tuning a late layer: frozen layers below it computed once, or in every epoch.

    python benchmarks/frozen_prefix.py

All-Conv Net, of which a quarter of the filters of `conv5` is tuned on 300 images by
`kerasft.fine_tune`, from the call to the merged model, with `cache_prefix=True` and
`False` in turns. Before anything is timed, the weights of both are compared.
"""

import keras
import numpy as np
import pandas as pd
from images import photograph_like
from measuring import Parser, ratios, take_turns, write_table

import kerasft

LAYER = "conv5"
CACHED, NOT_CACHED = "cache_prefix=True", "cache_prefix=False"


def main(arguments=None):
    parser = Parser(__doc__, "bench-frozen-prefix.csv")
    parser.add_argument("--turns", default=5, type=int)
    args = parser.parse_args(arguments)
    turns, images, epoch_counts = (1, 32, (2,)) if args.quick else (args.turns, 300, (3, 20))
    model, train, validation = task(images)
    check(model, train, validation)
    rows = []
    for epochs in epoch_counts:
        seconds = take_turns(
            {
                name: lambda cache=cache, n=epochs: tune(model, train, validation, n, cache)
                for name, cache in ((CACHED, True), (NOT_CACHED, False))
            },
            turns,
        )
        for name, (ratio, low, high) in ratios(seconds, NOT_CACHED).items():
            rows.append(
                {
                    "layer": LAYER,
                    "images": images,
                    "epochs": epochs,
                    "way": name,
                    "seconds": round(float(np.median(seconds[name])), 2),
                    "ratio": round(ratio, 3),
                    "low": round(low, 3),
                    "high": round(high, 3),
                    "turns": turns,
                }
            )
    write_table(pd.DataFrame(rows), args.out)


def task(images):
    """A network and images with labels to train and to validate on."""
    keras.utils.set_random_seed(0)
    model = kerasft.models.all_conv_net(classes=10)
    pictures = photograph_like(images + images // 3)
    labels = np.arange(len(pictures)) % 10
    return model, (pictures[:images], labels[:images]), (pictures[images:], labels[images:])


def tune(model, train, validation, epochs, cache, optimizer="adam"):
    return kerasft.fine_tune(
        model,
        train,
        validation,
        selection={LAYER: range(0, 192, 4)},
        optimizer=optimizer,
        epochs=epochs,
        cache_prefix=cache,
        verbose=0,
    )


def check(model, train, validation):
    """Both ways end with the same weights but for rounding, and one of them did cache."""
    train = tuple(part[:64] for part in train)
    # Adam would turn the rounding of a gradient near zero into a whole step.
    cached, plain = (tune(model, train, validation, 2, cache, "sgd") for cache in (True, False))
    if not cached.cached_prefix or plain.cached_prefix:
        raise SystemExit(f"Expected a cached prefix. Received: {cached.cached_prefix}.")
    start, ours, theirs = (
        [keras.ops.convert_to_numpy(weight) for weight in each.weights]
        for each in (model, cached.model, plain.model)
    )
    moved = max(np.abs(a - b).max() for a, b in zip(theirs, start, strict=True))
    if not moved > 0:
        raise SystemExit("Expected weights that training moves. Received: the same.")
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3 * moved)


if __name__ == "__main__":
    main()
