"""Time of predictions: the merged model against its source and the partial model.

    python benchmarks/merged_inference.py

All-Conv Net; a quarter of the filters of the first three convolutions is trained for
one step, then merged. Before anything is timed, predictions are compared bit by bit:
the merged model's with the partial model's, and with the source's where nothing was
trained. The source is timed twice, under two names: the second shows what noise does.
"""

import keras
import numpy as np
import pandas as pd
from images import photograph_like
from measuring import Parser, ratios, take_turns, write_table

import kerasft
from kerasft.backend import default_jit_compile, predict_without_slow_jit

LAYERS = ("conv1", "conv2", "conv3")


def main(arguments=None):
    parser = Parser(__doc__, "bench-merged-inference.csv")
    parser.add_argument("--turns", default=21, type=int)
    args = parser.parse_args(arguments)
    turns, images = (1, 64) if args.quick else (args.turns, 512)
    data = photograph_like(images).astype("float32")
    models = make_models(data)
    check(models, data)
    # Another copy, so that the two share nothing.
    models["source again"] = keras.models.clone_model(models["source"])
    models["source again"].set_weights(models["source"].get_weights())
    predict_without_slow_jit(models["source again"])
    seconds = take_turns(
        {
            name: lambda model=model: model.predict(data, batch_size=64, verbose=0)
            for name, model in models.items()
        },
        turns,
    )
    rows = [
        {
            "model": name,
            "ratio": round(ratio, 3),
            "low": round(low, 3),
            "high": round(high, 3),
            "ms_per_image": round(float(np.median(seconds[name])) / images * 1e3, 4),
            "turns": turns,
        }
        for name, (ratio, low, high) in ratios(seconds, "source").items()
    ]
    write_table(pd.DataFrame(rows), args.out)


def make_models(data):
    """The source, the partial model after one step, and what it merges into."""
    keras.utils.set_random_seed(0)
    source = kerasft.models.all_conv_net(classes=10)
    partial = kerasft.make_partially_trainable(source, dict.fromkeys(LAYERS, range(24)))
    partial.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    partial.train_on_batch(data[:64], np.arange(64) % 10)
    models = {"source": source, "merged": kerasft.merge(partial), "partial": partial}
    for model in models.values():
        predict_without_slow_jit(model)
    return models


def check(models, data):
    """Merging changes no bit of the predictions."""

    def predict(model):
        predict_without_slow_jit(model)
        return model.predict(data, batch_size=64, verbose=0)

    untrained = kerasft.make_partially_trainable(models["source"], {"conv1": [0]})
    for first, second in (
        (models["merged"], models["partial"]),
        (kerasft.merge(untrained), models["source"]),
    ):
        np.testing.assert_array_equal(predict(first), predict(second))


if __name__ == "__main__":
    main()
